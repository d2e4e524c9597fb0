/** Records of what peers do on a socket: OCSF's API Activity. */
import type { Sandbox } from '../../config/config.ts';
import {
  API_ACTIVITY,
  type AuditedCaller,
  actor,
  ocsfRecord,
  plainCaller,
  type RecordOptions,
  Severity,
} from './record.ts';

const READ = 2;

/** A call by its names: the gRPC service, and what the audit calls the method. */
export interface AuditedCall {
  readonly service: string;
  readonly operation: string;
}

export interface ApiOutcome {
  readonly call: AuditedCall;
  readonly caller: AuditedCaller;
  readonly success: boolean;
  readonly reason?: string | undefined;
  readonly unmapped: Readonly<Record<string, unknown>>;
  readonly correlation?: string | undefined;
}

type Timeless = Omit<RecordOptions, 'now'>;

export function apiRecord(sandbox: Sandbox, outcome: ApiOutcome): Timeless {
  const { call, caller, success, reason, unmapped, correlation } = outcome;
  const who = describe(caller);
  return {
    sandbox,
    correlation,
    classUid: API_ACTIVITY,
    activityId: READ,
    severity: success ? Severity.informational : Severity.medium,
    success,
    message: `${call.operation}: ${String(unmapped.outcome)}`,
    reason,
    attributes: {
      actor: who.actor,
      api: { operation: call.operation, service: { name: call.service } },
      src_endpoint: who.endpoint,
      action_id: success ? 1 : 2,
    },
    unmapped: { caller: who.plain, ...(reason === undefined ? {} : { reason }), ...unmapped },
  };
}

/** The JSON of a record, cut where its time stands. Only names and numbers of OCSF's own stand before that. */
export function aroundTime(options: Timeless): { readonly beforeTime: string; readonly afterTime: string } {
  const json = JSON.stringify(ocsfRecord({ ...options, now: 0 }));
  const from = json.indexOf('"time":0,') + '"time":'.length;
  return { beforeTime: json.slice(0, from), afterTime: json.slice(from + 1) };
}

interface DescribedCaller {
  readonly actor: Record<string, unknown>;
  readonly endpoint: Record<string, unknown>;
  readonly plain: Record<string, unknown>;
}

const described = new WeakMap<AuditedCaller, DescribedCaller>();

/** A caller in OCSF's words and in ours, made once for each connection. */
function describe(caller: AuditedCaller): DescribedCaller {
  let who = described.get(caller);
  if (who === undefined) {
    const uid = caller.uid === undefined ? {} : { uid: String(caller.uid) };
    who = { actor: actor(caller), endpoint: { name: 'unix socket', ...uid }, plain: plainCaller(caller) };
    described.set(caller, who);
  }
  return who;
}
