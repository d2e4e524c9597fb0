import { asList, asMap, asText, type Data } from '../../manifest/data.ts';
import { IMAGE_COMMAND } from '../../manifest/egress.ts';
import { EGRESS } from '../../manifest/names.ts';
import { type Container, PROBES } from '../../manifest/pod.ts';
import type { Fault, PodSubject } from '../../manifest/rule.ts';
import { type Control, cel } from '../control.ts';
import { kitAndEnvoy } from './shared/egress.ts';
import { socketVolumes } from './shared/pod.ts';

/** The arguments that inject writes, one a line. */
const SERVE = String.raw`serve(\n--config\n/[^\n]+)?(\n--gateway-driver)?`;
const SELF_TEST = String.raw`(probe|self-test)(\n--(socket|secrets-root|allow-mount)\n/[^\n]+|\n--(resolver-uid|secret)\n[^\n]+)+`;
const KIT = String.raw`egress\n--config\n/[^\n]+`;
/** What a probe of each may run. */
const READY = String.raw`${IMAGE_COMMAND}\negress\n--ready\n--config\n/[^\n]+`;
/** Where nobody says which image it is to be, its name has to say. */
const IMAGE = '(^|/)[^/]*secret-resolver[^/]*$';

export const resolverCommand: Control = {
  id: 'resolver-command',
  group: 'self',
  severity: 'enforce',
  threat:
    'Another program in the container of the resolver reads every value, and a self-test that tries nothing proves nothing.',
  promise:
    'The resolver, the self-test and the egress process run the image, the command and the arguments that inject writes.',
  rule: {
    remedy:
      'Inject again; keep changes by flags of inject. lint --image names an image whose name does not contain secret-resolver.',
    *find(subject) {
      const { pod, resolver, image } = subject;
      yield* containerFaults(resolver, SERVE, image);
      for (const kit of kitAndEnvoy(subject).slice(0, 1))
        yield* containerFaults(kit, KIT, image ?? asText(resolver.data.image));
      if (pod.selfTest === undefined) return;
      yield* containerFaults(pod.selfTest, SELF_TEST, image ?? asText(resolver.data.image));
      yield* selfTestFaults(subject, pod.selfTest);
    },
  },
  expression: {
    cel: cel`
      (variables.resolver + variables.selfTest + variables.kit).all(c,
        c.image.matches("${IMAGE}") && variables.resolver.all(r, r.image == c.image)
        && c.?command.orValue([]).size() == 0 && !has(c.lifecycle)
        && [${PROBES.map((probe) => `c.?${probe}`).join(', ')}].all(p, !p.?exec.hasValue()
          || (c.name == "${EGRESS}" && p.?exec.?command.orValue([]).join("\n").matches("^${READY}$")))
        && c.?args.orValue([]).join("\n").matches(
          c.name == "secret-resolver" ? "^${SERVE}$" : c.name == "${EGRESS}" ? "^${KIT}$" : "^${SELF_TEST}$"))
      && variables.selfTest.all(p,
        ("\n" + p.args.join("\n")).split("\n--allow-mount\n").filter(s, s.startsWith("/")).all(s,
          p.?volumeMounts.orValue([]).exists(m, m.mountPath == s.split("\n")[0]))
        && variables.resolver.all(r, string(variables.resolverUid) in p.args && r.?volumeMounts.orValue([]).all(m,
          (!(m.name in variables.secretVolumes) || p.args.exists(a, a.contains("/") && m.mountPath.endsWith("/" + a)
            && p.args.exists(b, m.mountPath == b + "/" + a)))
          && (!(m.name in variables.socketVolumes) || p.args.exists(a, a.startsWith(m.mountPath + "/"))))))`,
    message:
      'the image, command or arguments of the resolver, its self-test or the egress process are not those that inject writes',
  },
};

function* containerFaults({ data, path, name }: Container, form: string, image?: string): Iterable<Fault> {
  const written = asText(data.image) ?? '';
  if (image === undefined ? !new RegExp(IMAGE).test(written) : written !== image)
    yield {
      path: [...path, 'image'],
      message: `the image of ${name} is not ${image ?? 'called secret-resolver'}`,
    };
  for (const field of ['command', 'lifecycle'] as const) {
    if (data[field] == null || asList(data[field]).length + Object.keys(asMap(data[field])).length === 0)
      continue;
    yield { path: [...path, field], message: `${name} has a ${field}, and inject writes none` };
  }
  for (const field of PROBES) {
    const { exec } = asMap(data[field]);
    const runs = asList(asMap(exec).command).map(String).join('\n');
    if (exec == null || (name === EGRESS && new RegExp(`^${READY}$`).test(runs))) continue;
    yield { path: [...path, field, 'exec'], message: `the ${field} of ${name} runs a command` };
  }
  if (!new RegExp(`^${form}$`).test(argsOf(data).join('\n')))
    yield { path: [...path, 'args'], message: `the arguments of ${name} are not those that inject writes` };
}

function argsOf(data: Data): string[] {
  return asList(data.args).map(String);
}

/** The self-test must try what the pod has, and leave out nothing but the agent's own mounts. */
function* selfTestFaults(subject: PodSubject, selfTest: Container): Iterable<Fault> {
  const { pod, resolver, secrets } = subject;
  const args = argsOf(selfTest.data);
  const given = (flag: string) => args.filter((_, at) => args[at - 1] === flag);
  const wrong = (message: string): Fault => ({
    path: [...selfTest.path, 'args'],
    message: `the self-test ${message}`,
  });
  if (!given('--resolver-uid').includes(String(resolver.uid)))
    yield wrong(`does not look for the resolver's UID ${resolver.uid ?? ''}`);
  for (const folder of given('--allow-mount'))
    if (!selfTest.mounts.some(({ mountPath }) => mountPath === folder))
      yield wrong(`leaves out ${folder}, which the agent does not mount`);
  const sockets = socketVolumes(subject);
  for (const { volume, mountPath } of resolver.mounts) {
    const holds = pod.volumes.find(({ name }) => name === volume)?.secrets ?? [];
    const paths = given('--secrets-root').flatMap((root) => given('--secret').map((id) => `${root}/${id}`));
    if (holds.some(({ name }) => secrets.has(name)) && !paths.includes(mountPath))
      yield wrong(`does not try ${mountPath}`);
    if (sockets.has(volume) && !given('--socket').some((path) => path.startsWith(`${mountPath}/`)))
      yield wrong(`does not try the socket in ${mountPath}`);
  }
}
