/** Rules about Secrets and ExternalSecrets: what keeps a rotation or a revocation from reaching the mount. */
import { asList, asMap, asText } from '../data.ts';
import type { ManifestObject } from '../kinds.ts';
import type { ObjectRule, ObjectSubject } from './rule.ts';

/** Longest refreshInterval without a word, in seconds: ESO's own default. */
const LONGEST_REFRESH_SECONDS = 3600;

interface ExternalSecret {
  readonly target: string;
  readonly namespace: string | undefined;
  readonly keys: readonly string[];
}

function isExternalSecret(object: ManifestObject): boolean {
  return object.kind === 'ExternalSecret' && object.apiVersion.startsWith('external-secrets.io/');
}

function readExternalSecret(object: ManifestObject): ExternalSecret {
  const spec = asMap(object.data.spec);
  const target = asMap(spec.target);
  const template = asMap(asMap(target.template).data);
  return {
    target: asText(target.name) ?? object.name,
    namespace: object.namespace,
    keys: [
      ...asList(spec.data).flatMap((entry) => asText(asMap(entry).secretKey) ?? []),
      ...Object.keys(template),
    ],
  };
}

/** The spec of an ExternalSecret that a resolver reads; undefined for everything else. */
function relevant({ object, isRead }: ObjectSubject) {
  if (!isExternalSecret(object)) return undefined;
  const external = readExternalSecret(object);
  return isRead(external.target) ? { external, spec: asMap(object.data.spec) } : undefined;
}

export const SECRET_RULES: readonly ObjectRule[] = [
  {
    about: 'object',
    id: 'immutable-secret',
    severity: 'error',
    why: 'An immutable Secret is replaced, never updated: running pods keep the mount of the old one.',
    remedy: 'Take out immutable.',
    *check(subject) {
      const { object } = subject;
      if (object.kind === 'Secret' && object.apiVersion === 'v1') {
        if (object.data.immutable !== true || !subject.isRead(object.name)) return;
        yield { path: ['immutable'], message: `the Secret ${object.name} is immutable` };
      }
      const found = relevant(subject);
      if (found !== undefined && asMap(found.spec.target).immutable === true) {
        yield {
          path: ['spec', 'target', 'immutable'],
          message: `the ExternalSecret ${object.name} makes an immutable Secret`,
        };
      }
    },
  },
  {
    about: 'object',
    id: 'external-secret-deletion',
    severity: 'error',
    why: 'With Retain a key that is gone upstream fails the sync, and the whole Secret stays as it was: nothing is revoked.',
    remedy: 'Write target.deletionPolicy: Merge, which takes the key out of the Secret and of the mount.',
    *check(subject) {
      const found = relevant(subject);
      if (found === undefined) return;
      const policy = asMap(found.spec.target).deletionPolicy ?? 'Retain';
      const path = ['spec', 'target', 'deletionPolicy'];
      if (policy === 'Retain') {
        yield { path, message: `the ExternalSecret ${subject.object.name} retains what is deleted upstream` };
      } else if (policy === 'Delete') {
        yield {
          path,
          severity: 'warning',
          message: `the ExternalSecret ${subject.object.name} deletes the whole Secret with its last key, and a mount keeps the files of a Secret that is gone`,
        };
      }
    },
  },
  {
    about: 'object',
    id: 'external-secret-refresh',
    severity: 'error',
    why: 'What ESO does not read again does not rotate.',
    remedy: 'Write refreshPolicy: Periodic and a refreshInterval between 1m and 1h.',
    *check(subject) {
      const found = relevant(subject);
      if (found === undefined) return;
      const name = `the ExternalSecret ${subject.object.name}`;
      const { refreshPolicy, refreshInterval } = found.spec;
      if (refreshPolicy === 'CreatedOnce' || refreshPolicy === 'OnChange') {
        yield {
          path: ['spec', 'refreshPolicy'],
          message: `${name} is refreshed ${refreshPolicy === 'OnChange' ? 'only when it is edited itself' : 'once'}`,
        };
        return;
      }
      if (refreshInterval === undefined) return;
      const seconds = durationSeconds(String(refreshInterval));
      const path = ['spec', 'refreshInterval'];
      if (seconds === undefined) yield { path, message: `${name} has a refreshInterval that is no duration` };
      else if (seconds <= 0) yield { path, message: `${name} is refreshed once: its refreshInterval is 0` };
      else if (seconds > LONGEST_REFRESH_SECONDS) {
        yield { path, severity: 'warning', message: `${name} is refreshed less than once an hour` };
      }
    },
  },
  {
    about: 'object',
    id: 'split-pair',
    severity: 'warning',
    why: 'There is no transaction across Secrets: for a while the new user name meets the old password.',
    remedy: 'Write both keys by one ExternalSecret into one Secret.',
    *check(subject) {
      const found = relevant(subject);
      if (found === undefined) return;
      for (const other of subject.all) {
        if (other === subject.object || !isExternalSecret(other)) continue;
        const partner = readExternalSecret(other);
        if (partner.namespace !== found.external.namespace || partner.target === found.external.target)
          continue;
        for (const key of found.external.keys) {
          const match = partner.keys.find((candidate) => isPair(key, candidate));
          // Its own partner in the same Secret makes a pair whole, whatever else is called alike.
          if (match === undefined || found.external.keys.some((own) => isPair(key, own))) continue;
          yield {
            path: ['spec'],
            message: `the pair ${key} and ${match} is split over the Secrets ${found.external.target} and ${partner.target}`,
          };
        }
      }
    },
  },
];

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

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** Seconds of a Go duration such as `1h30m`; undefined where the text is none. */
function durationSeconds(text: string): number | undefined {
  if (/^[-+]?0+$/.test(text)) return 0;
  const match = /^([-+]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of (match[2] ?? '').matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g)) {
    seconds += Number(amount) * (UNIT_SECONDS[unit ?? ''] ?? 0);
  }
  return match[1] === '-' ? -seconds : seconds;
}
