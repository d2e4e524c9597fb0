/**
 * The shape of OCSF 1.8.0 that every audit record has. Field names and numbers are OCSF's; ours stand under
 * `unmapped`. A record has names and references, never a value, a placeholder or a hash of a value.
 */
import { basename } from 'node:path';
import { type Sandbox, type SecretReference, secretId } from '../../config/config.ts';
import { VERSION } from '../../domain/version.ts';
import type { CredentialRefusal } from '../../snapshot/refusal.ts';

const CLASSES = {
  'API Activity': { uid: 6003, category: 6 },
  'Device Config State Change': { uid: 5019, category: 5 },
  'Detection Finding': { uid: 2004, category: 2 },
  'Application Lifecycle': { uid: 6002, category: 6 },
} as const;

const CATEGORIES = { 2: 'Findings', 5: 'Discovery', 6: 'Application Activity' } as const;

export const Severity = { informational: 1, low: 2, medium: 3, high: 4, critical: 5 } as const;
export type Severity = (typeof Severity)[keyof typeof Severity];

export interface AuditedCaller {
  /** Name of the rule that let it in, or undefined for a peer that no rule fits. */
  readonly name: string | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** 0 where the peer lives in another PID namespace. */
  readonly pid: number | undefined;
  readonly exe: string | undefined;
}

/** Of whom nothing is known. */
export const NOBODY: AuditedCaller = {
  name: undefined,
  uid: undefined,
  gid: undefined,
  pid: undefined,
  exe: undefined,
};

/** A call by its names: the gRPC service, and what the audit calls the method. */
export interface AuditedCall {
  readonly service: string;
  readonly operation: string;
}

export type AuditedCredential = Omit<CredentialRefusal, 'reason'>;

export interface RecordOptions {
  readonly className: keyof typeof CLASSES;
  readonly activityId: number;
  readonly severity: Severity;
  readonly success: boolean;
  readonly message: string;
  readonly reason?: string | undefined;
  readonly now: number;
  readonly sandbox: Sandbox;
  /** The same in the record of a response and in that of its acknowledgement. */
  readonly correlation?: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** What OCSF has no place for. */
  readonly unmapped: Readonly<Record<string, unknown>>;
}

/** One record, for JSON: what is undefined is left out there. */
export function ocsfRecord(options: RecordOptions): Record<string, unknown> {
  const { className, activityId, sandbox } = options;
  const { uid, category } = CLASSES[className];
  return {
    class_uid: uid,
    class_name: className,
    category_uid: category,
    category_name: CATEGORIES[category],
    activity_id: activityId,
    type_uid: uid * 100 + activityId,
    time: options.now,
    severity_id: options.severity,
    // In a finding `status_id` is the state of the case: 1 New, 4 Resolved. Elsewhere 1 Success, 2 Failure.
    status_id: className === 'Detection Finding' ? (options.success ? 4 : 1) : options.success ? 1 : 2,
    message: options.message,
    status_detail: options.reason,
    metadata: {
      version: '1.8.0',
      product: { name: 'mounted-secret-resolver', vendor_name: 'mounted-secret-resolver', version: VERSION },
      log_name: 'audit',
      correlation_uid: options.correlation,
      // `action_id` is an attribute of this profile, and of no class.
      profiles: 'action_id' in options.attributes ? ['security_control'] : undefined,
    },
    ...options.attributes,
    unmapped: {
      sandbox: { id: sandbox.id, name: sandbox.name, namespace: sandbox.namespace },
      ...options.unmapped,
    },
  };
}

export function actor({ name, uid, gid, pid, exe }: AuditedCaller): Record<string, unknown> {
  const groups = gid === undefined ? undefined : [{ uid: String(gid) }];
  return {
    app_name: name,
    user: uid === undefined ? undefined : { uid: String(uid), groups },
    process: {
      pid: pid ?? 0,
      file: exe === undefined ? undefined : { path: exe, name: basename(exe), type_id: 1 },
    },
  };
}

export function plainCredential(credential: AuditedCredential): Record<string, unknown> {
  const { provider, key, reference, required } = credential;
  return { provider, key, reference: referenceText(reference), required };
}

/** `<namespace>/<name>/<key>`, after `<source>:` where it has one. */
export function referenceText(reference: SecretReference): string {
  return `${secretId(reference)}/${reference.key}`;
}
