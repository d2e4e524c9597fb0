import { mountedVolumes } from '../../manifest/pod.ts';
import { ABSENT } from '../attacks/types.ts';
import { type Control, cel } from '../control.ts';
import { fileAttack } from './shared/attacks.ts';
import { describeContainer, environmentSecrets, isToken } from './shared/pod.ts';

export const serviceAccountToken: Control = {
  id: 'service-account-token',
  group: 'processes',
  severity: 'warn',
  threat:
    'With a token that may read Secrets the agent asks the API server, and needs neither mount nor socket.',
  promise: 'Neither the agent nor the resolver has a token of the API server.',
  rule: {
    remedy: 'Write automountServiceAccountToken: false, and mount no token in the agent.',
    *find(subject, all) {
      const { pod, agent, resolver, roles } = subject;
      if (pod.spec.automountServiceAccountToken !== false)
        yield {
          path: ['automountServiceAccountToken'],
          message: 'automountServiceAccountToken is not false',
        };
      const tokens = new Set(
        all
          .filter(
            ({ kind, data }) => kind === 'Secret' && data.type === 'kubernetes.io/service-account-token',
          )
          .map(({ name }) => name),
      );
      // Where nobody says which container is the agent, each may be.
      const suspects = agent === undefined ? pod.containers : [agent, resolver];
      for (const container of suspects) {
        if (agent === undefined && roles.supervisors.includes(container.name)) continue;
        for (const volume of mountedVolumes(pod, container)) {
          if (!isToken(volume) && !volume.secrets.some(({ name }) => tokens.has(name))) continue;
          yield {
            path: container.mounts.find((mount) => mount.volume === volume.name)?.path ?? container.path,
            message: `${describeContainer(subject, container)} mounts a service account token by volume ${volume.name}`,
          };
        }
        for (const { name, path } of environmentSecrets(container)) {
          if (!tokens.has(name)) continue;
          yield {
            path,
            message: `${describeContainer(subject, container)} takes the service account token ${name} by its environment`,
          };
        }
      }
    },
  },
  expression: {
    cel: cel`
      !object.spec.?automountServiceAccountToken.orValue(true)
      && (variables.agents + variables.resolver).all(c, c.?volumeMounts.orValue([]).all(m,
        !(m.name in variables.tokenVolumes)))`,
    message: 'write automountServiceAccountToken: false, and mount no token in the agent',
  },
  attacks: [fileAttack('service-account-token', 'read the service-account token', ABSENT)],
};
