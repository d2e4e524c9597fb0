import type { Control } from '../control.ts';
import { readExternalSecret, relevant } from './shared/external-secret.ts';

export const splitPair: Control = {
  id: 'split-pair',
  group: 'rotation',
  severity: 'warn',
  threat: 'There is no transaction across Secrets: for a while the new user name meets the old password.',
  promise: 'A user name and its password rotate together.',
  rule: {
    about: 'object',
    remedy: 'Write both keys by one ExternalSecret into one Secret.',
    *find(subject) {
      const found = relevant(subject);
      if (found === undefined) return;
      for (const other of subject.all) {
        const partner = other === subject.object ? undefined : readExternalSecret(other);
        if (partner === undefined || partner.namespace !== found.namespace || partner.target === found.target)
          continue;
        for (const key of found.keys) {
          const match = partner.keys.find((candidate) => isPair(key, candidate));
          // Its own partner in the same Secret makes a pair whole, whatever else is called alike.
          if (match === undefined || found.keys.some((own) => isPair(key, own))) continue;
          yield {
            path: found.at,
            message: `the pair ${key} and ${match} is split over the Secrets ${found.target} and ${partner.target}`,
          };
        }
      }
    },
  },
};

const USER_ENDING = /(user|username|user-?id|login|client-?id|access-?key-?id|account)$/;
const PASSWORD_ENDING = /(password|passwd|pass|pwd|client-?secret|secret-?access-?key|secret-?key|token)$/;

/** Whether one key names a user and the other the password of the same thing: `db-user` and `db-password`. */
function isPair(user: string, password: string): boolean {
  const a = user.toLowerCase().replace(/[._]/g, '-');
  const b = password.toLowerCase().replace(/[._]/g, '-');
  if (!USER_ENDING.test(a) || !PASSWORD_ENDING.test(b)) return false;
  return stem(a, USER_ENDING) === stem(b, PASSWORD_ENDING);
}

function stem(key: string, ending: RegExp): string {
  return key.replace(ending, '').replace(/-+$/, '');
}
