import { type Control, cel, fail, listed, pass, unknown } from '../control.ts';
import { MIN_SEARCHED_BYTES } from '../facts/facts-self.ts';
import { searchAttack } from './shared/attacks.ts';
import { describeContainer, environmentSecrets } from './shared/pod.ts';
import { MOUNT_IT } from './shared/volumes.ts';

const NOTHING = ['nothing found'];

export const secretInEnvironment: Control = {
  id: 'secret-in-environment',
  group: 'self',
  severity: 'enforce',
  threat:
    'A value in the environment never rotates, and is in /proc, in crash reports and in every child process.',
  promise: 'No value is in an argument or an environment variable.',
  checkId: 'self-secret-exposure',
  check: ({ self, mounts }) => {
    const { found, compared, tooShort, unreadable } = self.exposure;
    if (found.length > 0) {
      return fail(
        listed(found.map(({ place, reference }) => `${place} holds the value of ${reference}`)),
        'env: take the secretKeyRef or the literal out; the mounted file is all that is needed',
      );
    }
    if (unreadable.length > 0) {
      return unknown(
        `could not be read, so not compared: ${listed(unreadable)}`,
        'secret.defaultMode: 0444 (or securityContext.fsGroup with 0440)',
      );
    }
    const gone = mounts.secrets.filter(({ generation }) => generation === undefined);
    if (gone.length > 0)
      return unknown(`nothing to compare in ${listed(gone.map(({ path }) => path))}`, MOUNT_IT);
    const left = tooShort === 0 ? '' : `, ${tooShort} shorter than ${MIN_SEARCHED_BYTES} bytes left out`;
    return pass(`${compared} mounted values compared with argv and environment${left}`);
  },
  rule: {
    remedy:
      'Take out the secretKeyRef or secretRef: the supervisor asks the resolver, the agent holds a placeholder.',
    *find(subject) {
      for (const container of subject.pod.containers) {
        for (const { name, path, by } of environmentSecrets(container)) {
          if (!subject.secrets.has(name)) continue;
          yield {
            path,
            message: `${describeContainer(subject, container)} takes the Secret ${name} by ${by}`,
          };
        }
      }
    },
  },
  expression: {
    cel: cel`
      variables.containers.all(c,
        c.?env.orValue([]).all(e,
          !has(e.valueFrom) || !has(e.valueFrom.secretKeyRef)
          || !(e.valueFrom.secretKeyRef.name in variables.secrets
            || variables.projectedSecrets.exists(p, e.valueFrom.secretKeyRef.name in p)))
        && c.?envFrom.orValue([]).all(e,
          !has(e.secretRef)
          || !(e.secretRef.name in variables.secrets
            || variables.projectedSecrets.exists(p, e.secretRef.name in p))))`,
    message: 'a container takes a Secret that the resolver reads by env or envFrom',
  },
  attacks: [
    searchAttack(
      'environment-search',
      'search our own environment for values in the shape of a credential',
      NOTHING,
    ),
    searchAttack(
      'command-line-search',
      'search the arguments of every process, which any UID may read',
      NOTHING,
    ),
    searchAttack(
      'file-search',
      'search the files that we can read for values in the shape of a credential',
      NOTHING,
      3500,
    ),
  ],
};
