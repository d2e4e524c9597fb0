/** The invariants: compares observations with the expected state. Pure: no I/O, no clock. */
import type { History } from './history.ts';
import type { Observation, Seen } from './observation.ts';

/**
 * Milliseconds of clear time after which no response may contain a value that is no longer on the volume. An event
 * causes the withdrawal within a few milliseconds; the rest allows for a busy machine.
 */
export const WITHDRAWN_WITHIN_MS = 2_000;
/** Milliseconds of clear time in which what is on the volume must be served: a re-read without an event comes every 10 s. */
export const SERVED_WITHIN_MS = 12_000;
/** Milliseconds of clear time before a call that fails without an excuse. */
export const ANSWERED_AFTER_MS = 2_000;
/** Milliseconds from kill -9 until the supervisor's watch has the first snapshot. */
export const RECOVERED_WITHIN_MS = 1_000;
/**
 * Milliseconds in which a bare `node -e 0`, started beside the resolver, must have ended for a late recovery to be the
 * resolver's own. The resolver's start costs about four of those: on a machine that gives node less than that, none
 * could hold the bound.
 */
export const BARE_START_WITHIN_MS = RECOVERED_WITHIN_MS / 4;

/** The load of the machine during a recovery. If only the machine made it late, it is not counted, and the run reports this. */
export interface Machine {
  /** What a bare `node -e 0` took that was started beside the resolver. */
  readonly bareStartMs: number;
  /** How long the process that had to act next was ready to run but had no core, as the kernel counts it. */
  readonly coreWaitMs: number;
}

export interface Violation {
  readonly invariant:
    | 'mixed'
    | 'partial'
    | 'foreign'
    | 'late'
    | 'older-after-newer'
    | 'behind'
    | 'withdrawn-without-cause'
    | 'revision-reused'
    | 'handle-changed'
    | 'unserved'
    | 'stranger-served'
    | 'slow-recovery'
    | 'ended-by-itself'
    | 'growth'
    | 'leak';
  /** Milliseconds on the monotonic clock. */
  readonly at: number;
  readonly what: string;
}

interface InForce {
  readonly generation: number;
  readonly life: number;
  readonly at: number;
}

export class Judge {
  readonly violations: Violation[] = [];
  /** Recoveries that were late on a machine where any would have been. */
  readonly notJudged: { readonly at: number; readonly what: string }[] = [];
  readonly #history: History;
  /** Keys that come and go by themselves: their absence is no partial generation. */
  readonly #optional: ReadonlySet<string>;
  /** When each generation was first seen, newest last. */
  readonly #firstSeen = new Map<string, { readonly generation: number; readonly at: number }[]>();
  readonly #newestOfStream = new Map<string, number>();
  readonly #inForce = new Map<string, InForce>();
  readonly #contentOf = new Map<string, string>();
  readonly #handles = new Map<string, string>();

  constructor(history: History, optional: Iterable<string> = []) {
    this.#history = history;
    this.#optional = new Set(optional);
  }

  report(invariant: Violation['invariant'], at: number, what: string): void {
    this.violations.push({ invariant, at, what });
  }

  observe(observation: Observation): void {
    const { client, at, foreign, sees } = observation;
    for (const name of foreign)
      this.report('foreign', at, `${client}: ${name} has a value that is not its own`);
    this.#checkRevision(observation);
    this.#checkHandles(observation);
    for (const secret of new Set([...sees, ...Object.keys(observation.secrets)])) {
      const seen = observation.secrets[secret];
      if (!sees.includes(secret)) this.report('foreign', at, `${client}: ${secret} is not for this caller`);
      if (seen === undefined) this.#checkAbsence(observation, secret);
      else this.#checkPresence(observation, secret, seen);
    }
  }

  /** The end of the run, when all has settled: what may be served is served. */
  settled({ client, at, secrets, sees }: Observation): void {
    for (const secret of sees) {
      const current = this.#history.current(secret);
      if (current === undefined || current.keys.size === 0 || !this.#history.permission(secret).allowed)
        continue;
      if (secrets[secret]?.generations[0] !== current.generation)
        this.report('behind', at, `${client}: ${secret} did not settle on generation ${current.generation}`);
    }
  }

  /** A call of a listed caller that got no answer. */
  failed(client: string, from: number, at: number, code: string): void {
    const clear = this.#history.clearMs(from - ANSWERED_AFTER_MS, at, client);
    // Every excuse in the time before it counts, however short.
    if (clear < at - from + ANSWERED_AFTER_MS - 0.001) return;
    this.report('unserved', at, `${client}: a call failed with ${code} after ${Math.round(at - from)} ms`);
  }

  /** Bytes sent to an unlisted peer. */
  stranger(at: number, bytes: number, what: string): void {
    if (bytes > 0) this.report('stranger-served', at, `an unlisted UID was sent ${bytes} bytes (${what})`);
  }

  /** `at` is undefined where the watch was not waited for any longer: that is no machine's fault. */
  recovered(killedAt: number, at: number | undefined, { bareStartMs, coreWaitMs }: Machine): void {
    if (at === undefined) {
      this.report('slow-recovery', killedAt, 'the watch never had a snapshot after kill -9');
      return;
    }
    const ms = at - killedAt;
    if (ms <= RECOVERED_WITHIN_MS) return;
    const what = [
      `the watch had a snapshot ${Math.round(ms)} ms after kill -9, ${Math.round(coreWaitMs)} ms of it without a core`,
      `a bare node beside it took ${Math.round(bareStartMs)} ms`,
    ].join('; ');
    if (bareStartMs > BARE_START_WITHIN_MS || ms - coreWaitMs <= RECOVERED_WITHIN_MS)
      this.notJudged.push({ at, what });
    else this.report('slow-recovery', at, what);
  }

  #checkPresence(observation: Observation, secret: string, seen: Seen): void {
    const { client, kind, from, at } = observation;
    const where = `${client}: ${secret}`;
    const [generation] = seen.generations;
    if (seen.generations.length !== 1 || generation === undefined) {
      this.report('mixed', at, `${where} mixes generations ${seen.generations.join(', ')}`);
      return;
    }
    const version = this.#history.version(secret, generation);
    if (version === undefined) {
      this.report('foreign', at, `${where} has generation ${generation}, which was never in force`);
      return;
    }
    const had = new Set(seen.keys);
    const missing = [...version.keys].filter(
      (key) => !had.has(key) && !this.#optional.has(`${secret}:${key}`),
    );
    const excess = seen.keys.filter((key) => !version.keys.has(key));
    if (missing.length > 0 || excess.length > 0) {
      this.report(
        'partial',
        at,
        `${where}, generation ${generation}: without ${missing.join(' ') || '-'}, with ${excess.join(' ') || '-'} too many`,
      );
    }
    if (kind !== 'snapshot') {
      this.#checkLate(observation, `${where}, generation ${generation}`, version.until, WITHDRAWN_WITHIN_MS);
      const caller = `caller:${client.split(' ')[0]}`;
      for (const name of [caller, secret, ...seen.keys.map((key) => `${secret}:${key}`)]) {
        const { allowed, at: since, withinMs } = this.#history.permission(name);
        if (!allowed) this.#checkLate(observation, `${client}: ${name}`, since, withinMs);
      }
    }
    this.#checkOrder(observation, secret, generation);
    if (kind === 'poll') this.#inForce.set(secret, { generation, life: this.#history.lifeAt(from), at });
  }

  #checkLate({ from, at, client }: Observation, what: string, since: number, withinMs: number): void {
    const clear = this.#history.clearMs(since, from, client);
    if (from > since && clear > withinMs)
      this.report('late', at, `${what} was there ${Math.round(clear)} ms after its withdrawal`);
  }

  #checkOrder({ client, kind, from, at }: Observation, secret: string, generation: number): void {
    if (kind === 'held') return;
    const known = this.#firstSeen.get(secret) ?? [];
    this.#firstSeen.set(secret, known);
    const newest = known.at(-1);
    if (newest === undefined || generation > newest.generation) known.push({ generation, at });
    if (kind === 'poll') {
      const newer = known.findLast((each) => each.generation > generation && each.at < from);
      if (newer !== undefined)
        this.report(
          'older-after-newer',
          at,
          `${client}: ${secret} is generation ${generation} after ${newer.generation} had been seen`,
        );
      return;
    }
    const stream = `${client} ${secret}`;
    const last = this.#newestOfStream.get(stream) ?? 0;
    if (generation < last)
      this.report(
        'older-after-newer',
        at,
        `${client}: ${secret} is generation ${generation} after ${last} on one stream`,
      );
    this.#newestOfStream.set(stream, Math.max(last, generation));
  }

  #checkAbsence({ client, kind, from, at }: Observation, secret: string): void {
    const current = this.#history.current(secret);
    const { allowed, at: since } = this.#history.permission(secret);
    // Only what stood during the whole call can be asked for.
    if (kind === 'snapshot' || current === undefined || current.keys.size === 0 || !allowed) return;
    if (current.from > from) return;
    const clear = this.#history.clearMs(Math.max(current.from, since), from, client);
    if (clear > SERVED_WITHIN_MS)
      this.report(
        'behind',
        at,
        `${client}: ${secret}, generation ${current.generation}, is not served after ${Math.round(clear)} ms`,
      );
    const last = this.#inForce.get(secret);
    if (
      kind === 'poll' &&
      last?.generation === current.generation &&
      last.at < from &&
      last.life === this.#history.lifeAt(at) &&
      since < last.at
    ) {
      this.report(
        'withdrawn-without-cause',
        at,
        `${client}: ${secret}, generation ${current.generation}, was served and is not any more`,
      );
    }
  }

  /** A revision stands for one content. Watchers that may see different providers are different contents. */
  #checkRevision({ client, at, revision, secrets }: Observation): void {
    const content = Object.entries(secrets)
      .map(([secret, { generations, keys }]) => `${secret} ${generations.join()} ${keys.toSorted().join()}`)
      .sort()
      .join('; ');
    const before = this.#contentOf.get(revision);
    if (before === undefined) this.#contentOf.set(revision, content);
    else if (before !== content)
      this.report('revision-reused', at, `${client}: one revision for two contents`);
  }

  #checkHandles({ client, at, handles }: Observation): void {
    for (const [name, handle] of Object.entries(handles)) {
      const before = this.#handles.get(name) ?? handle;
      this.#handles.set(name, before);
      if (before !== handle) this.report('handle-changed', at, `${client}: ${name} has another handle`);
    }
  }
}
