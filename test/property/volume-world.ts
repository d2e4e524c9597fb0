/**
 * The model of the volume property test: the operations on a real Secret volume, and the result that a reader must get,
 * expressed as simply as possible. It shares no code with src/.
 */
import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { SecretVolume } from '../support/secret-volume.ts';

/** The content of a key: a text, or something that a volume should not contain. */
export type Entry =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'odd'; readonly odd: keyof typeof ODD };

/** Unusual contents: how to create them, and the reason for which a text credential is refused. */
const ODD = {
  empty: { make: (path: string) => writeFileSync(path, ''), reason: 'empty' },
  lineEnd: { make: (path: string) => writeFileSync(path, '\n'), reason: 'empty' },
  twoLines: { make: (path: string) => writeFileSync(path, 'a\nb'), reason: 'line-break-or-nul' },
  notUtf8: { make: (path: string) => writeFileSync(path, Buffer.from([0x80])), reason: 'not-utf8' },
  above64KiB: { make: (path: string) => writeFileSync(path, 'x'.repeat(65_537)), reason: 'value-too-large' },
  above1MiB: {
    make: (path: string) => {
      writeFileSync(path, '');
      truncateSync(path, 1_048_577);
    },
    reason: 'too-large',
  },
  folder: { make: (path: string) => mkdirSync(path), reason: 'not-a-file' },
  fifo: { make: (path: string) => execFileSync('mkfifo', [path]), reason: 'not-a-file' },
  linkOut: { make: (path: string) => symlinkSync('/proc/self/environ', path), reason: 'symlink' },
} as const;
export const ODD_NAMES = Object.keys(ODD) as (keyof typeof ODD)[];

/** Ways to break `..data`, and the fault that results. */
const BROKEN = {
  absolute: { make: (data: string) => symlinkSync('/proc/self', data), fault: 'leads-out-of-volume' },
  path: { make: (data: string) => symlinkSync('../..', data), fault: 'leads-out-of-volume' },
  file: { make: (data: string) => writeFileSync(data, 'x'), fault: 'leads-out-of-volume' },
  missing: { make: () => {}, fault: 'not-kubelet-layout' },
  dangling: { make: (data: string) => symlinkSync('..2026_01_01_00_00_00.gone', data), fault: 'unstable' },
} as const;
export const BROKEN_NAMES = Object.keys(BROKEN) as (keyof typeof BROKEN)[];

type Entries = Readonly<Record<string, Entry>>;
export type State =
  | { readonly kind: 'generation'; readonly entries: Entries }
  | { readonly kind: 'fault'; readonly fault: string };

export type Action =
  | { readonly kind: 'write'; readonly entries: Entries }
  /** The Secret is deleted: an empty directory remains. */
  | { readonly kind: 'vanish' }
  /** The directory itself is deleted. */
  | { readonly kind: 'remove' }
  | { readonly kind: 'break'; readonly how: keyof typeof BROKEN };

/** Performs an action synchronously, so that code on this thread sees it at once, and returns the resulting state. */
export function act(directory: string, action: Action): State {
  switch (action.kind) {
    case 'write': {
      write(directory, action.entries);
      return { kind: 'generation', entries: action.entries };
    }
    case 'vanish':
      new SecretVolume(directory).vanish();
      return { kind: 'fault', fault: 'secret-missing' };
    case 'remove':
      rmSync(directory, { recursive: true, force: true });
      return { kind: 'fault', fault: 'secret-missing' };
    case 'break': {
      write(directory, {});
      const data = join(directory, '..data');
      rmSync(data);
      BROKEN[action.how].make(data);
      return { kind: 'fault', fault: BROKEN[action.how].fault };
    }
  }
}

function write(directory: string, entries: Entries): void {
  const volume = new SecretVolume(directory);
  // A rotation in kubelet's order. If ..data is broken, there is nothing to rotate.
  if (!leadsToGeneration(join(directory, '..data'))) volume.vanish();
  volume.write({}, 0o444, (generation) => {
    for (const [key, entry] of Object.entries(entries)) {
      const path = join(generation, key);
      if (entry.kind === 'text') writeFileSync(path, entry.text);
      else ODD[entry.odd].make(path);
    }
  });
}

function leadsToGeneration(data: string): boolean {
  const link = lstatSync(data, { throwIfNoEntry: false });
  return link?.isSymbolicLink() === true && !readlinkSync(data).includes('/');
}

/** Served texts and reasons of refusals, by environment name. */
export interface Expected {
  readonly served: Readonly<Record<string, string>>;
  readonly refused: Readonly<Record<string, string>>;
}

/** Why an entry cannot be served as text; undefined if it can. */
function reasonOf(entry: Entry | undefined): string | undefined {
  if (entry === undefined) return 'key-missing';
  return entry.kind === 'text' ? undefined : ODD[entry.odd].reason;
}

function one(name: string, entry: Entry | undefined, refusedFirst?: string, refusedLast?: string): Expected {
  const reason = reasonOf(entry);
  const unread = ['key-missing', 'not-a-file', 'symlink', 'too-large'];
  // Order of reasons: an unreadable key, a malformed expiry, the content, an expiry in the past.
  const first =
    reason !== undefined && unread.includes(reason) ? reason : (refusedFirst ?? reason ?? refusedLast);
  if (first !== undefined) return { served: {}, refused: { [name]: first } };
  return { served: { [name]: entry?.kind === 'text' ? entry.text : '' }, refused: {} };
}

function together(parts: readonly Expected[]): Expected {
  return {
    served: Object.assign({}, ...parts.map(({ served }) => served)),
    refused: Object.assign({}, ...parts.map(({ refused }) => refused)),
  };
}

/** Two explicit credentials: TOKEN of key `token`, which is required, and ENDING of key `ending` whose end the key `until` holds. */
export function expectedOfExplicit(state: State): Expected {
  if (state.kind === 'fault') return { served: {}, refused: { TOKEN: state.fault, ENDING: state.fault } };
  const { token, ending, until } = state.entries;
  const end = until?.kind === 'text' ? Number(until.text) : Number.NaN;
  const malformed = Number.isNaN(end) ? 'expiry-malformed' : undefined;
  const both = [
    one('TOKEN', token),
    one('ENDING', ending, malformed, end === PAST ? 'expired' : undefined),
  ] as const;
  const [required, other] = both;
  if (!('TOKEN' in required.refused) || !('ENDING' in other.served)) return together(both);
  return together([required, { served: {}, refused: { ENDING: 'provider-withheld' } }]);
}

/** All keys. These names cannot be environment variables. */
const UNNAMABLE: ReadonlyMap<string, string> = new Map([
  ['with-dash', 'illegal-name'],
  ['PATH', 'reserved-name'],
]);

export function expectedOfBulk(state: State): Expected {
  if (state.kind === 'fault') return { served: {}, refused: { '*': state.fault } };
  return together(
    Object.entries(state.entries).map(([key, entry]) => {
      const unnamable = UNNAMABLE.get(key);
      return unnamable === undefined ? one(key, entry) : { served: {}, refused: { [key]: unnamable } };
    }),
  );
}

export const EXPLICIT_KEYS = ['token', 'ending', 'until', 'unwanted'];
export const BULK_KEYS = ['A', 'B', 'constructor', 'with-dash', 'PATH'];
/** Ends, in Unix milliseconds, that no clock of a test reaches or has yet to reach. */
export const [PAST, FUTURE] = [1_000_000_000_000, 8_000_000_000_000];
