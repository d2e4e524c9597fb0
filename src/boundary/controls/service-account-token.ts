import { ABSENT, lazily } from '../attacks/types.ts';
import type { Control } from '../control.ts';

export const serviceAccountToken: Control = {
  id: 'service-account-token',
  group: 'processes',
  severity: 'warn',
  threat:
    'With a token that may read Secrets the agent asks the API server, and needs neither mount nor socket.',
  promise: 'The agent has no token of the API server.',
  rule: {
    about: 'pod',
    remedy: 'Write automountServiceAccountToken: false.',
    *find({ pod }) {
      if (pod.spec.automountServiceAccountToken === false) return;
      yield { path: ['automountServiceAccountToken'], message: 'automountServiceAccountToken is not false' };
    },
  },
  expression: {
    cel: '!object.spec.?automountServiceAccountToken.orValue(true)',
    message: 'write automountServiceAccountToken: false',
  },
  attacks: [
    {
      id: 'service-account-token',
      family: 'files',
      what: 'read the service-account token',
      rightReasons: ABSENT,
      run: lazily(async () => (await import('../attacks/files.ts')).attackServiceAccountToken),
    },
  ],
};
