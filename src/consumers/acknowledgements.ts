/**
 * What one watch was sent and what it has acknowledged. A revision is in force in a supervisor when it says so; until
 * then it may use the values before, so a supervisor that lags or rejects is reported.
 */
import { randomUUID } from 'node:crypto';
import type { AuditedCall } from '../observe/audit/audit.ts';
import type { AuditedCredential } from '../observe/audit/record.ts';
import type { AcknowledgedOutcome } from '../observe/metrics.ts';
import type { PeerConnection } from '../socket/connections.ts';
import type { ConsumerHost } from './consumer.ts';
import type { WatchState } from './status-facts.ts';

/** What was sent after the newest acknowledgement and may still be acknowledged. */
const REMEMBERED = 16;
/** Milliseconds after which a supervisor that has not acknowledged is warned of: applying takes it milliseconds. */
const LATE_MS = 5_000;

export interface AcknowledgementsOptions {
  readonly consumer: string;
  readonly host: Pick<ConsumerHost, 'audit' | 'log' | 'meter'>;
  readonly call: AuditedCall;
  readonly connection: PeerConnection;
  readonly providers: WatchState['providers'];
  /** What the peer calls itself. */
  readonly node?: () => string;
}

interface Sending {
  readonly revision: bigint;
  /** Monotonic time of the read that caused it; undefined where the read is older than the wish for it. */
  readonly mountedAt: number | undefined;
  readonly credentials: readonly AuditedCredential[];
}

interface Sent {
  readonly revision: bigint;
  readonly at: number;
  readonly correlation: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** `Id` is what the peer names a response by. */
export class Acknowledgements<Id> {
  readonly #options: AcknowledgementsOptions;
  readonly #sinceMs = Date.now();
  readonly #sent = new Map<Id, Sent>();
  #served = { servedRevision: 0n, servedLagMs: 0 };
  #acknowledged: Pick<WatchState, 'acknowledgedRevision' | 'acknowledgedOutcome' | 'acknowledgedLagMs'> = {
    acknowledgedRevision: 0n,
    acknowledgedOutcome: undefined,
    acknowledgedLagMs: 0,
  };
  #rejections = 0;
  /** When the oldest that is not acknowledged was sent. It may no longer be remembered. */
  #behindSince: number | undefined;
  #late: NodeJS.Timeout | undefined;

  constructor(options: AcknowledgementsOptions) {
    this.#options = options;
  }

  /** Revision last sent; 0 before the first. */
  get servedRevision(): bigint {
    return this.#served.servedRevision;
  }

  get state(): WatchState {
    const { consumer, connection, providers, node } = this.#options;
    const since = this.#behindSince;
    return {
      consumer,
      caller: connection.caller.name,
      pid: connection.audited.pid ?? 0,
      node: node?.() ?? '',
      providers,
      sinceMs: this.#sinceMs,
      ...this.#served,
      ...this.#acknowledged,
      unacknowledgedMs: since === undefined ? 0 : performance.now() - since,
      rejections: this.#rejections,
    };
  }

  /** Notes that a response is handed over. Returns what ties the audit of it to that of its acknowledgement. */
  sent(id: Id, { revision, mountedAt, credentials }: Sending): string {
    const { audit, meter } = this.#options.host;
    const at = performance.now();
    const servedLagMs = mountedAt === undefined ? 0 : at - mountedAt;
    if (mountedAt !== undefined) meter.served(servedLagMs);
    this.#served = { servedRevision: revision, servedLagMs };
    const correlation = randomUUID();
    this.#sent.delete(id);
    this.#sent.set(id, { revision, at, correlation, facts: audit.shortList(credentials) });
    const [oldest] = this.#sent.keys();
    if (this.#sent.size > REMEMBERED && oldest !== undefined) this.#sent.delete(oldest);
    if (this.#behindSince === undefined) this.#setBehind(at);
    return correlation;
  }

  /**
   * Notes what became of a response, and of every one before it. False where it is not known: never sent, acknowledged
   * already, or sent too long ago.
   */
  acknowledge(id: Id, outcome: AcknowledgedOutcome, detail: Readonly<Record<string, unknown>> = {}): boolean {
    const sent = this.#sent.get(id);
    if (sent === undefined) return false;
    for (const earlier of this.#sent.keys()) {
      this.#sent.delete(earlier);
      if (earlier === id) break;
    }
    const [next] = this.#sent.values();
    this.#setBehind(next?.at);
    const lagMs = performance.now() - sent.at;
    const { revision, correlation } = sent;
    this.#acknowledged = {
      acknowledgedRevision: revision,
      acknowledgedOutcome: outcome,
      acknowledgedLagMs: lagMs,
    };
    const { host, call, connection } = this.#options;
    host.meter.acknowledged(outcome, lagMs);
    const facts = { ...this.#node(), ...detail, lag_ms: Math.round(lagMs), ...sent.facts };
    host.audit.acknowledged(call, connection.audited, { revision, outcome, correlation, facts });
    if (outcome === 'rejected') {
      this.#rejections += 1;
      this.#warn(
        revision,
        { ...detail, lagMs: Math.round(lagMs) },
        'a supervisor rejected a revision and may keep the values before; its log has the reason',
      );
    }
    return true;
  }

  /** Its stream is closed: nothing is waited for. */
  closed(): void {
    this.#setBehind(undefined);
  }

  #setBehind(since: number | undefined): void {
    this.#behindSince = since;
    clearTimeout(this.#late);
    if (since === undefined) return;
    const warn = () => {
      const behindMs = Math.round(performance.now() - since);
      this.#warn(
        this.servedRevision,
        { behindMs },
        'a supervisor has not acknowledged a revision for 5 s and may still use the values before',
      );
    };
    this.#late = setTimeout(warn, since + LATE_MS - performance.now()).unref();
  }

  #warn(revision: bigint, facts: object, message: string): void {
    const { host, connection, providers } = this.#options;
    const { uid, pid } = connection.audited;
    const caller = connection.caller.name;
    host.log.warn(
      { caller, uid, pid, ...this.#node(), providers: providers(), revision: String(revision), ...facts },
      message,
    );
  }

  #node(): { readonly node?: string } {
    const node = this.#options.node?.() ?? '';
    return node === '' ? {} : { node };
  }
}
