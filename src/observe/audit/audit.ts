/** One function an event. What happened is the method's name; who, what and why are its arguments. */
import { type Sandbox, secretId } from '../../config/config.ts';
import type { CredentialChange } from '../../snapshot/snapshot.ts';
import type { WriterState } from '../line-writer.ts';
import { groupChanges } from './change-groups.ts';
import {
  type AuditedCall,
  type AuditedCaller,
  type AuditedCredential,
  actor,
  ocsfRecord,
  plainCredential,
  type RecordOptions,
  Severity,
} from './record.ts';
import { DENIED_PER_PERIOD, RECORDS_PER_PERIOD, RefusalRecords } from './refusal-records.ts';
import { ServedLists } from './served-lists.ts';
import type { AuditSink } from './sink.ts';

export type { AuditedCall } from './record.ts';

/** What a peer does before it calls anything. */
const CONNECT: AuditedCall = { service: 'secretresolver.v1.CredentialResolver', operation: 'connect' };
const READ = 2;
const SEVERAL: AuditedCall = { service: 'several', operation: 'several' };

/** The finding of a boundary check, as far as the audit tells it. */
export interface AuditedFinding {
  readonly id: string;
  readonly severity: string;
  readonly outcome: string;
  readonly evidence: string;
  readonly remedy: string;
  readonly exceptions?: readonly string[];
}

/** What became of a response. `correlation` is that of the response's record. */
interface Acknowledgement {
  readonly revision: bigint;
  readonly outcome: 'applied' | 'rejected';
  readonly correlation: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

type ApiOptions = Partial<Pick<RecordOptions, 'success' | 'reason' | 'correlation' | 'now'>>;

/** What a record of an answered call says. `outcome` is a word of the consumer's. */
type AnsweredFacts = Readonly<Record<string, unknown>> & { readonly outcome: string };

export class Audit implements AsyncDisposable {
  readonly #sink: AuditSink;
  readonly #sandbox: Sandbox;
  readonly #clock: () => number;
  readonly #refusedPeers: RefusalRecords;
  readonly #deniedCalls: RefusalRecords;
  readonly #lists = new ServedLists();

  constructor(sink: AuditSink, sandbox: Sandbox, clock: () => number = Date.now) {
    this.#sink = sink;
    this.#sandbox = sandbox;
    this.#clock = clock;
    const limited = (outcome: string, perPeriod: number, several: AuditedCall) =>
      new RefusalRecords({
        write: ({ call, caller, reason }, facts) =>
          this.#api(call, caller, { outcome, ...facts }, { success: false, reason }),
        perPeriod,
        several,
      });
    this.#refusedPeers = limited('peer-refused', RECORDS_PER_PERIOD, CONNECT);
    this.#deniedCalls = limited('denied', DENIED_PER_PERIOD, SEVERAL);
  }

  lifecycle(what: 'started' | 'stopped', detail: string): void {
    this.#write({
      className: 'Application Lifecycle',
      activityId: what === 'started' ? 3 : 4,
      severity: Severity.informational,
      success: true,
      message: `resolver ${what}`,
      reason: detail,
      attributes: { app: { name: 'mounted-secret-resolver' } },
      unmapped: {},
    });
  }

  /** What the record of an acknowledgement says of the credentials that were served. */
  shortList(credentials: readonly AuditedCredential[]): Readonly<Record<string, unknown>> {
    return this.#lists.short(credentials);
  }

  /**
   * Values left the process: these credentials, in this revision, for this caller. The list is the caller's to keep.
   * `correlation` is given where an acknowledgement may follow.
   */
  served(
    call: AuditedCall,
    caller: AuditedCaller,
    credentials: readonly AuditedCredential[],
    revision: bigint,
    correlation?: string,
  ): void {
    // The time that later records of a long list refer to.
    const now = this.#clock();
    const facts = this.#lists.facts(caller, credentials, now);
    const unmapped = { outcome: 'served', revision: String(revision), ...facts };
    this.#api(call, caller, unmapped, { correlation, now });
  }

  /** A call of a consumer that has words of its own for what came of it. */
  answered(call: AuditedCall, caller: AuditedCaller, facts: AnsweredFacts, correlation?: string): void {
    this.#api(call, caller, facts, { correlation });
  }

  /** A call that shows names and states, and no values. */
  listed(call: AuditedCall, caller: AuditedCaller): void {
    this.#api(call, caller, { outcome: 'listed' });
  }

  /** A call was refused. Rate-limited for each UID, call and reason; what is left out is counted. */
  denied(
    call: AuditedCall,
    caller: AuditedCaller,
    reason: string,
    detail: Readonly<Record<string, unknown>> = {},
  ): void {
    this.#deniedCalls.add({ call, caller, reason }, detail);
  }

  acknowledged(
    call: AuditedCall,
    caller: AuditedCaller,
    { revision, outcome, correlation, facts }: Acknowledgement,
  ): void {
    const unmapped = { outcome: 'acknowledged', revision: String(revision), ...facts };
    const reason = `acknowledged as ${outcome}`;
    this.#api(call, caller, unmapped, { success: outcome === 'applied', reason, correlation });
  }

  /** A connection was closed unheard. Rate-limited for each UID and reason; what is left out is counted. */
  peerRefused(caller: AuditedCaller, reason: string): void {
    this.#refusedPeers.add({ call: CONNECT, caller, reason });
  }

  /**
   * What became of credentials in a new snapshot. `revision` is that of the snapshot as a whole; `callersOf` names who
   * may see a provider.
   */
  credentialsChanged(
    changes: readonly CredentialChange[],
    revision: bigint,
    callersOf: (provider: string) => readonly string[],
  ): void {
    for (const { change, keys } of groupChanges(changes)) {
      const { kind, provider, key, reason, reference, required } = change;
      const bad = kind !== 'loaded' && kind !== 'rotated';
      const many = keys.length > 1;
      this.#state(
        many
          ? `credentials ${kind}: ${keys.length} of ${provider} from ${secretId(reference)}`
          : `credential ${kind}: ${provider}:${key}`,
        bad ? Severity.medium : Severity.informational,
        kind !== 'refused',
        reason,
        {
          outcome: kind,
          ...(many
            ? { provider, keys, reference: `${secretId(reference)}/*`, required }
            : plainCredential(change)),
          callers: callersOf(provider),
          reason,
          revision: String(revision),
        },
      );
    }
  }

  /** A credential breaks rules of one consumer, which alone is not sent it. */
  withheld(
    consumer: string,
    credential: AuditedCredential,
    rules: readonly string[],
    revision: bigint,
  ): void {
    this.#state(
      `credential withheld from ${consumer}: ${credential.provider}:${credential.key}`,
      Severity.medium,
      false,
      rules[0],
      { outcome: 'withheld', ...plainCredential(credential), reasons: rules, revision: String(revision) },
    );
  }

  /** The configuration was read again, or was found wrong and left as it was. */
  configReloaded(success: boolean, detail: string): void {
    this.#state(
      success ? 'configuration reloaded' : 'configuration refused; the one before stays in force',
      success ? Severity.informational : Severity.medium,
      success,
      detail,
      { outcome: success ? 'config-reloaded' : 'config-refused' },
    );
  }

  socketLost(path: string, what: string): void {
    this.#finding('socket-file', Severity.high, false, `the socket file was ${what}`, { path });
  }

  /** A check of the boundary, when it failed or when a failure was accepted. */
  boundaryFinding(finding: AuditedFinding): void {
    const { id, evidence, severity, outcome, remedy, exceptions } = finding;
    const passed = outcome === 'pass';
    const failure = severity === 'enforce' ? Severity.critical : Severity.medium;
    this.#finding(id, passed ? Severity.informational : failure, passed, evidence, {
      severity,
      outcome,
      remedy,
      exceptions,
    });
  }

  /** What is wrong with the stream of records, and how many were lost. */
  get state(): WriterState {
    return this.#sink.state ?? { error: undefined, dropped: 0 };
  }

  /** Writes what was left out so far, then all that waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#refusedPeers[Symbol.dispose]();
    this.#deniedCalls[Symbol.dispose]();
    await this.#sink[Symbol.asyncDispose]();
  }

  #api(
    call: AuditedCall,
    caller: AuditedCaller,
    unmapped: AnsweredFacts,
    { success = true, reason, ...rest }: ApiOptions = {},
  ): void {
    this.#write({
      ...rest,
      className: 'API Activity',
      activityId: READ,
      severity: success ? Severity.informational : Severity.medium,
      success,
      message: `${call.operation}: ${unmapped.outcome}`,
      reason,
      attributes: {
        actor: actor(caller),
        api: { operation: call.operation, service: { name: call.service } },
        src_endpoint: { name: 'unix socket', uid: caller.uid?.toString() },
        action_id: success ? 1 : 2,
      },
      unmapped: { caller, reason, ...unmapped },
    });
  }

  #state(
    message: string,
    severity: Severity,
    success: boolean,
    reason: string | undefined,
    unmapped: Record<string, unknown>,
  ): void {
    this.#write({
      className: 'Device Config State Change',
      activityId: 1,
      severity,
      success,
      message,
      reason,
      attributes: {
        device: { type_id: 6, type: 'Virtual', uid: this.#sandbox.id, name: this.#sandbox.name },
      },
      unmapped,
    });
  }

  #finding(
    id: string,
    severity: Severity,
    resolved: boolean,
    message: string,
    unmapped: Record<string, unknown>,
  ): void {
    this.#write({
      className: 'Detection Finding',
      activityId: resolved ? 3 : 1,
      severity,
      success: resolved,
      message,
      attributes: { finding_info: { uid: id, title: `isolation boundary: ${id}` } },
      unmapped: { finding: id, ...unmapped },
    });
  }

  #write(options: Omit<RecordOptions, 'now' | 'sandbox'> & { readonly now?: number }): void {
    const record = ocsfRecord({ now: this.#clock(), ...options, sandbox: this.#sandbox });
    this.#sink.write(`${JSON.stringify(record)}\n`);
  }
}
