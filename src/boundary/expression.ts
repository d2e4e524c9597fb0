/** The variables that the CEL of the controls is written with. */
import {
  Annotation,
  EGRESS,
  EGRESS_VOLUME,
  ENVOY,
  KNOWN_SUPERVISORS,
  SELF_TESTS,
} from '../manifest/names.ts';
import { cel, celList } from './control.ts';

/** Variables of the validating policy, in the order in which they build on each other. */
export const VARIABLES: Readonly<Record<string, string>> = {
  inits: 'object.spec.?initContainers.orValue([])',
  initNames: 'variables.inits.map(c, c.name)',
  volumes: 'object.spec.?volumes.orValue([])',
  containers: 'variables.inits + object.spec.containers + object.spec.?ephemeralContainers.orValue([])',
  resolver: 'variables.containers.filter(c, c.name == "secret-resolver")',
  // Kept running it would hold no container back.
  selfTest: cel`
    variables.inits.filter(c, c.name in ${celList(SELF_TESTS)}
      && c.?restartPolicy.orValue("") != "Always")`,
  others: 'variables.containers.filter(c, c.name != "secret-resolver")',
  // Containers that run at some time while the resolver runs.
  beside: cel`
    variables.others.filter(c,
      !variables.inits.exists(i, i.name == c.name)
      || c.?restartPolicy.orValue("") == "Always"
      || variables.initNames.indexOf(c.name) > variables.initNames.indexOf("secret-resolver"))`,
  // Roles as inject finds them: annotation, what inject recorded, known names. An empty agent annotation, or a
  // record without an agent, says that the pod has none.
  annotations: 'object.metadata.?annotations.orValue({})',
  record: `variables.annotations[?"${Annotation.injected}"].orValue("")`,
  agent: cel`
    variables.annotations[?"${Annotation.agent}"].orValue(
      !variables.record.startsWith("{")
      ? (object.metadata.?labels[?"openshell.ai/component"].orValue("") == "supervisor"
        && object.spec.containers.all(c, c.name in ${celList(KNOWN_SUPERVISORS)}) ? "" : "agent")
      : variables.record.contains("\"agent\":\"") ? variables.record.split("\"agent\":\"")[1].split("\"")[0]
      : "")`,
  agents: 'object.spec.containers.filter(c, c.name == variables.agent)',
  supervisorsAreNamed: cel`
    "${Annotation.supervisors}" in variables.annotations || variables.record.contains("\"supervisors\":[")`,
  supervisors: cel`
    "${Annotation.supervisors}" in variables.annotations
    ? variables.annotations["${Annotation.supervisors}"].split(",").map(s, s.trim()).filter(s, s != "").map(s,
      s == "${ENVOY}" && variables.containers.exists(c, c.name == "${EGRESS}") ? "${EGRESS}" : s)
    : variables.supervisorsAreNamed
    ? variables.record.split("\"supervisors\":[")[1].split("]")[0].replace("\"", "").split(",")
    : variables.containers.filter(c, c.name in ${celList(KNOWN_SUPERVISORS)}).map(c, c.name)`,
  // The egress process, which has the socket, and its Envoy, which has not.
  kit: `variables.containers.filter(c, c.name == "${EGRESS}" && c.name in variables.supervisors && c.name != variables.agent)`,
  envoy: `variables.containers.filter(c, c.name == "${ENVOY}" && variables.kit.size() > 0)`,
  trusted: 'variables.supervisors + variables.envoy.map(c, c.name)',
  podUid: 'object.spec.?securityContext.?runAsUser.orValue(-1)',
  resolverUid: cel`
    variables.resolver.map(r, r.?securityContext.?runAsUser.orValue(variables.podUid))[?0].orValue(-1)`,
  resolverVolumes: cel`
    variables.volumes.filter(v,
      variables.resolver.exists(r, r.?volumeMounts.orValue([]).exists(m, m.name == v.name)))`,
  tokenVolumes: cel`
    variables.volumes.filter(v, has(v.projected)
      && v.projected.?sources.orValue([]).exists(s,
        has(s.serviceAccountToken) || has(s.podCertificate))).map(v, v.name)`,
  kitVolumes: cel`
    variables.volumes.filter(v,
      variables.kit.exists(k, k.?volumeMounts.orValue([]).exists(m, m.name == v.name))
      && !variables.resolverVolumes.exists(r, r.name == v.name))`,
  egressVolumes: cel`
    ["${EGRESS_VOLUME}"] + variables.kitVolumes.filter(v,
      variables.envoy.exists(e, e.?volumeMounts.orValue([]).exists(m, m.name == v.name))).map(v, v.name)`,
  // What may hold the socket: by use, whatever it is called.
  socketVolumes: cel`
    ["secret-resolver-socket"] + variables.resolverVolumes.filter(v, has(v.emptyDir)).map(v, v.name)`,
  // Names of the Secrets that the resolver mounts.
  secrets: cel`
    variables.resolverVolumes.filter(v, has(v.secret) && has(v.secret.secretName)).map(v, v.secret.secretName)`,
  projectedSecrets: cel`
    variables.resolverVolumes.filter(v, has(v.projected)).map(v,
      v.projected.?sources.orValue([]).filter(s, has(s.secret)).map(s, s.secret.name))`,
  // Every volume that holds one of them, by whatever name.
  secretVolumes: cel`
    variables.volumes.filter(v,
      (has(v.secret) && has(v.secret.secretName) && (
        v.secret.secretName in variables.secrets
        || variables.projectedSecrets.exists(p, v.secret.secretName in p)))
      || (has(v.projected) && v.projected.?sources.orValue([]).exists(s, has(s.secret) && (
        s.secret.name in variables.secrets
        || variables.projectedSecrets.exists(p, s.secret.name in p))))).map(v, v.name)`,
};
