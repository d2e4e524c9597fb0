import { asMap } from '../../manifest/data.ts';
import type { Container } from '../../manifest/pod.ts';
import type { Fault, PodSubject } from '../../manifest/rule.ts';
import { type Control, cel } from '../control.ts';
import { kitAndEnvoy } from './shared/egress.ts';
import { securityPath } from './shared/pod.ts';

export const resolverPrivileges: Control = {
  id: 'resolver-privileges',
  group: 'self',
  severity: 'enforce',
  threat:
    'A compromised process that holds values carries them out more easily with privileges that it does not need.',
  promise:
    'The resolver, the egress process and its Envoy have the restricted securityContext that inject writes.',
  rule: {
    remedy:
      'Write runAsNonRoot: true, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}.',
    *find(subject) {
      for (const container of [subject.resolver, ...kitAndEnvoy(subject)])
        yield* faultsOf(container, subject);
    },
  },
  expression: {
    cel: cel`
      (variables.resolver + variables.kit + variables.envoy).all(r,
        r.?securityContext.?runAsNonRoot.orValue(object.spec.?securityContext.?runAsNonRoot.orValue(false))
        && r.?securityContext.?runAsUser.orValue(variables.podUid) != 0
        && !r.?securityContext.?allowPrivilegeEscalation.orValue(true)
        && r.?securityContext.?readOnlyRootFilesystem.orValue(false)
        && r.?securityContext.?capabilities.?drop.orValue([]).exists(k, k.matches("^(?i)(CAP_)?ALL$"))
        && r.?securityContext.?seccompProfile.?type.orValue(
          object.spec.?securityContext.?seccompProfile.?type.orValue("")) in ["RuntimeDefault", "Localhost"])`,
    message: 'a securityContext is not the restricted one that inject writes',
  },
};

function* faultsOf(container: Container, { pod }: PodSubject): Iterable<Fault> {
  const security = asMap(container.data.securityContext);
  const podSecurity = asMap(pod.spec.securityContext);
  const seccomp = asMap(security.seccompProfile ?? podSecurity.seccompProfile).type;
  const faults: [boolean, string][] = [
    [(security.runAsNonRoot ?? podSecurity.runAsNonRoot) !== true, 'runAsNonRoot is not true'],
    [container.uid === 0, 'runAsUser is 0'],
    [security.allowPrivilegeEscalation !== false, 'allowPrivilegeEscalation is not false'],
    [security.readOnlyRootFilesystem !== true, 'readOnlyRootFilesystem is not true'],
    [!container.dropsAll, 'capabilities.drop is not [ALL]'],
    [seccomp !== 'RuntimeDefault' && seccomp !== 'Localhost', 'seccompProfile is not RuntimeDefault'],
  ];
  for (const [broken, what] of faults)
    if (broken) yield { path: securityPath(container), message: `container ${container.name}: ${what}` };
}
