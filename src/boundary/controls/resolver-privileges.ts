import { asMap } from '../../manifest/data.ts';
import type { Control } from '../control.ts';
import { cel } from '../expression.ts';
import { securityPath } from './shared/pod.ts';

export const resolverPrivileges: Control = {
  id: 'resolver-privileges',
  group: 'self',
  severity: 'enforce',
  threat:
    'A compromised resolver holds the values, and every privilege that it does not need helps to carry them out.',
  promise: "The resolver's securityContext is the restricted one that inject writes.",
  rule: {
    about: 'pod',
    remedy:
      'Write runAsNonRoot: true, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}.',
    *find({ resolver, pod }) {
      const security = asMap(resolver.data.securityContext);
      const podSecurity = asMap(pod.spec.securityContext);
      const seccomp = asMap(security.seccompProfile ?? podSecurity.seccompProfile).type;
      const faults: [boolean, string][] = [
        [(security.runAsNonRoot ?? podSecurity.runAsNonRoot) !== true, 'runAsNonRoot is not true'],
        [security.allowPrivilegeEscalation !== false, 'allowPrivilegeEscalation is not false'],
        [security.readOnlyRootFilesystem !== true, 'readOnlyRootFilesystem is not true'],
        [!resolver.dropsAll, 'capabilities.drop is not [ALL]'],
        [seccomp !== 'RuntimeDefault' && seccomp !== 'Localhost', 'seccompProfile is not RuntimeDefault'],
      ];
      for (const [broken, message] of faults) {
        if (broken) yield { path: securityPath(resolver), message: `the resolver's ${message}` };
      }
    },
  },
  expression: {
    cel: cel`
      variables.resolver.all(r,
        r.?securityContext.?runAsNonRoot.orValue(object.spec.?securityContext.?runAsNonRoot.orValue(false))
        && !r.?securityContext.?allowPrivilegeEscalation.orValue(true)
        && r.?securityContext.?readOnlyRootFilesystem.orValue(false)
        && r.?securityContext.?capabilities.?drop.orValue([]).exists(k, k.matches("^(?i)(CAP_)?ALL$"))
        && r.?securityContext.?seccompProfile.?type.orValue(
          object.spec.?securityContext.?seccompProfile.?type.orValue("")) in ["RuntimeDefault", "Localhost"])`,
    message: "the resolver's securityContext is not the restricted one that inject writes",
  },
};
