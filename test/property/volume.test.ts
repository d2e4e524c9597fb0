/**
 * Random sequences of changes to two Secret volumes on a real file system, with the real Volume, resolve and
 * SnapshotStore. Every published snapshot equals one whole state of each volume, states never go back, and the last one
 * is reached. So nothing is mixed, and no value is published after its removal.
 */
import { mkdirSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { secretId } from '../../src/config/config.ts';
import { resolve } from '../../src/snapshot/resolve.ts';
import { type Snapshot, SnapshotStore, sameResolution } from '../../src/snapshot/snapshot.ts';
import { Volume } from '../../src/sources/volume.ts';
import { wantedKeys } from '../../src/sources/wanted.ts';
import { bulk, config, credential, provider } from '../snapshot/given.ts';
import { until } from '../support/cli.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { folderInMemory } from '../support/memory-folder.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { newSecret } from '../support/secrets.ts';
import {
  type Action,
  act,
  BROKEN_NAMES,
  BULK_KEYS,
  type Entry,
  EXPLICIT_KEYS,
  type Expected,
  expectedOfBulk,
  expectedOfExplicit,
  FUTURE,
  ODD_NAMES,
  PAST,
  type State,
} from './volume-world.ts';

const CI = process.env.CI === 'true';
/** Number of sequences, and milliseconds after which no new one starts. */
const [RUNS, TIME_LIMIT_MS] = CI ? [1_000, 50_000] : [200, 30_000];
/** Milliseconds between re-reads: some actions cause no event. */
const REREAD_MS = 15;

const EXPLICIT = { namespace: 'tenant', name: 'explicit' };
const BULK = { namespace: 'tenant', name: 'bulk' };
const CONFIG = config([
  provider({
    name: 'explicit',
    credentials: [
      credential({ reference: { ...EXPLICIT, key: 'token' }, required: true }),
      credential({
        key: 'ENDING',
        reference: { ...EXPLICIT, key: 'ending' },
        expiresAt: { key: 'until' },
      }),
    ],
  }),
  provider({ name: 'bulk', from: [bulk({ secret: BULK })] }),
]);

/** A part of the model: a volume, its past states, and the index of the last published one. */
class Part {
  readonly directory: string;
  readonly provider: string;
  readonly expected: (state: State) => Expected;
  readonly history: State[] = [{ kind: 'fault', fault: 'secret-missing' }];
  #reached = 0;

  constructor(directory: string, provider: string, expected: (state: State) => Expected) {
    this.directory = directory;
    this.provider = provider;
    this.expected = expected;
  }

  act(action: Action): void {
    this.history.push(act(this.directory, action));
  }

  of({ credentials, refusals }: Snapshot): Expected {
    const mine = (item: { provider: string }) => item.provider === this.provider;
    return {
      served: Object.fromEntries(
        credentials.filter(mine).map(({ key, value }) => [key, value.reveal().toString()]),
      ),
      refused: Object.fromEntries(refusals.filter(mine).map(({ key, reason }) => [key, reason])),
    };
  }

  /** Whether it equals one whole state that is not older than the one published before. */
  follows(published: Expected): boolean {
    const found = this.history.findIndex(
      (state, index) => index >= this.#reached && isDeepStrictEqual(this.expected(state), published),
    );
    if (found >= 0) this.#reached = found;
    return found >= 0;
  }

  isLast(published: Expected): boolean {
    const last = this.history.at(-1);
    return last !== undefined && isDeepStrictEqual(this.expected(last), published);
  }
}

interface Step {
  readonly part: 'explicit' | 'bulk';
  readonly action: Action;
  /** Whether to wait until it is published. If not, the next step follows at once or in the next turn. */
  readonly wait: 'published' | 'turn' | 'not';
}

/** Texts are numbers, unique to each step. Each run prefixes them with its own secret. */
const text = (texts: fc.Arbitrary<string>): fc.Arbitrary<Entry> =>
  texts.map((text) => ({ kind: 'text', text }));
const odd: fc.Arbitrary<Entry> = fc.constantFrom(...ODD_NAMES).map((name) => ({ kind: 'odd', odd: name }));
const entriesOf = (keys: readonly string[]) =>
  fc.dictionary(
    fc.constantFrom(...keys),
    fc.oneof({ weight: 3, arbitrary: text(fc.constant('')) }, { weight: 1, arbitrary: odd }),
    { noNullPrototype: true },
  );
const untilEntry = fc.option(text(fc.constantFrom(`${PAST}`, `${FUTURE}`, 'soon')), { nil: undefined });

const action = (keys: readonly string[]): fc.Arbitrary<Action> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(entriesOf(keys), untilEntry).map(([entries, end]): Action => {
        const ends = keys.includes('until') && end !== undefined;
        return { kind: 'write', entries: { ...entries, ...(ends ? { until: end } : {}) } };
      }),
    },
    { weight: 1, arbitrary: fc.constant<Action>({ kind: 'vanish' }) },
    { weight: 1, arbitrary: fc.constant<Action>({ kind: 'remove' }) },
    { weight: 2, arbitrary: fc.constantFrom(...BROKEN_NAMES).map((how): Action => ({ kind: 'break', how })) },
  );
const wait = fc.constantFrom<Step['wait']>('published', 'published', 'turn', 'not');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ part: fc.constant('explicit' as const), action: action(EXPLICIT_KEYS), wait }),
  fc.record({ part: fc.constant('bulk' as const), action: action(BULK_KEYS), wait }),
);

/** Fills the empty texts with unused values. */
function withValues(action: Action, next: () => string): Action {
  if (action.kind !== 'write') return action;
  const entries = Object.entries(action.entries).map(([key, entry]): [string, Entry] => [
    key,
    entry.kind === 'text' && entry.text === '' ? { kind: 'text', text: next() } : entry,
  ]);
  return { kind: 'write', entries: Object.fromEntries(entries) };
}

const log = new MemoryLog();

async function run(steps: readonly Step[]): Promise<void> {
  const root = folderInMemory();
  const seed = newSecret();
  let count = 0;
  const parts = {
    explicit: new Part(join(root, 'explicit'), 'explicit', expectedOfExplicit),
    bulk: new Part(join(root, 'bulk'), 'bulk', expectedOfBulk),
  };
  const store = new SnapshotStore();
  const wrong: string[] = [];
  store.subscribe((snapshot) => {
    for (const part of Object.values(parts)) {
      const published = part.of(snapshot);
      if (!part.follows(published)) {
        wrong.push(`${part.provider}: ${Object.keys(published.served)} ${JSON.stringify(published.refused)}`);
      }
    }
  });
  const volumes = new Map(
    [EXPLICIT, BULK].map((secret) => [
      secretId(secret),
      new Volume({
        secret,
        directory: join(root, secret.name),
        wanted: wantedKeys({ ...CONFIG, parts: {} }, secret),
        log: log.log,
        rereadIntervalMs: REREAD_MS,
        onChange: () => {
          const reads = new Map(
            [...volumes].flatMap(([id, { state }]) => (state === undefined ? [] : [[id, state.read]])),
          );
          const resolution = resolve(CONFIG, reads, Date.now());
          const before = store.current();
          if (before === undefined || !sameResolution(before, resolution))
            store.publish({ ...resolution, mountedAt: performance.now() });
        },
      }),
    ]),
  );
  const published = () => {
    const snapshot = store.current();
    return (
      wrong.length > 0 ||
      (snapshot !== undefined && Object.values(parts).every((part) => part.isLast(part.of(snapshot))))
    );
  };
  try {
    // As with kubelet, the directory exists before the Secret.
    for (const { directory } of Object.values(parts)) mkdirSync(directory);
    await Promise.all([...volumes.values()].map((volume) => volume.start()));
    for (const { part, action, wait } of steps) {
      parts[part].act(withValues(action, () => `${seed}.${++count}`));
      if (wait === 'published') await until(published, 5_000, () => 'a state was never published');
      if (wait === 'turn') await setImmediate();
      expect(wrong).toEqual([]);
    }
    await until(published, 5_000, () => 'the last state was never published');
    expect(wrong).toEqual([]);
  } finally {
    await Promise.all([...volumes.values()].map((volume) => volume[Symbol.asyncDispose]()));
    store.drop();
    rmSync(root, { recursive: true, force: true });
  }
}

it('publishes only whole states of the volumes, in order, up to the last', async () => {
  await run([]);
  // libuv keeps the inotify descriptor that its first watch opens.
  watch(import.meta.dirname).close();
  const descriptors = openDescriptors();
  const steps: string[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (sequence) => {
      steps.push(...sequence.map(({ action }) => action.kind));
      await run(sequence);
    }),
    { numRuns: RUNS, interruptAfterTimeLimit: TIME_LIMIT_MS },
  );
  // Every kind of action occurred, and no descriptor leaked.
  expect(new Set(steps)).toEqual(new Set(['write', 'vanish', 'remove', 'break']));
  expect(openDescriptors()).toEqual(descriptors);
}, 120_000);
