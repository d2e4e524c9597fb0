/** What the consumers that serve a provider environment have in common: who may see which providers, and the audit of it. */
import type { OwnedBytes } from '../domain/owned-bytes.ts';
import { shownName } from '../domain/shown-name.ts';
import type { AuditedCall } from '../observe/audit/audit.ts';
import { referenceText } from '../observe/audit/record.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { View } from '../snapshot/views.ts';
import { refuse } from '../socket/calls.ts';
import type { PeerConnection } from '../socket/connections.ts';
import { Status } from '../socket/grpc-status.ts';
import { maySee, selectProviders } from '../socket/policy.ts';
import { type CallRefusal, refusalsOf } from '../socket/refusal.ts';
import type { ConsumerHost } from './consumer.ts';

/** Names of an unknown provider that the audit repeats, and characters of each: a request may hold 64 KiB of them. */
const MAX_AUDITED_NAMES = 8;
const MAX_AUDITED_NAME_LENGTH = 64;

type EnvironmentRefusal =
  | { readonly kind: 'provider-not-allowed'; readonly providers: readonly string[] }
  | { readonly kind: 'names-only' }
  | {
      readonly kind: 'required-credential-refused';
      readonly provider: string;
      readonly key: string;
      readonly reference: string;
      readonly required: true;
      readonly reason: string;
    };

const environmentRefusal = refusalsOf<EnvironmentRefusal>((reason) => {
  switch (reason.kind) {
    case 'provider-not-allowed':
      return { code: Status.PERMISSION_DENIED, details: 'no such provider for this caller' };
    case 'names-only':
      return { code: Status.PERMISSION_DENIED, details: 'this caller may see names and states only' };
    case 'required-credential-refused':
      return {
        code: Status.FAILED_PRECONDITION,
        details: `the required credential ${reason.key} of provider ${reason.provider} is refused`,
      };
  }
});

/** The snapshot in force, or the refusal that there is none. */
export function currentSnapshot({ state }: Pick<ConsumerHost, 'state'>): Snapshot {
  const current = state.snapshot();
  return 'snapshot' in current ? current.snapshot : refuse(current.refusal);
}

/** The providers that a caller asked for, or the refusal of them; none asked for means all that it may see. */
export function providersFor(
  { config }: Pick<ConsumerHost, 'config'>,
  { caller }: PeerConnection,
  requested: readonly string[],
): readonly string[] {
  if (caller.namesOnly) refuse(environmentRefusal({ kind: 'names-only' }));
  const known = config().providers.map(({ name }) => name);
  const selected = selectProviders(caller, requested, known);
  if (selected !== undefined) return selected;
  return refuse(environmentRefusal({ kind: 'provider-not-allowed', providers: auditable(requested, known) }));
}

/** The providers that a connection may see at this moment. */
export function visibleProviders(
  { config }: Pick<ConsumerHost, 'config'>,
  { caller }: PeerConnection,
): readonly string[] {
  return config().providers.flatMap(({ name }) => (maySee(caller, name) ? name : []));
}

/** Why nothing of a view is served: a refused required credential withholds each of its providers. */
export function withholding({ withheldBy }: Pick<View, 'withheldBy'>): CallRefusal | undefined {
  if (withheldBy === undefined) return undefined;
  const { provider, key, reason } = withheldBy;
  const reference = referenceText(withheldBy.reference);
  return environmentRefusal({
    kind: 'required-credential-refused',
    provider,
    key,
    reference,
    required: true,
    reason,
  });
}

/** Hands a view out, and audits it; refuses where it is withheld. */
export function serve(
  host: Pick<ConsumerHost, 'audit' | 'afterSending'>,
  call: AuditedCall,
  connection: PeerConnection,
  view: View,
): OwnedBytes {
  const refusal = withholding(view);
  if (refusal !== undefined) refuse(refusal);
  auditServed(host, call, connection, view);
  return view.message;
}

/** Audits that a view was sent to a caller, once it was. `correlation` is that of its acknowledgement. */
export function auditServed(
  { audit, afterSending }: Pick<ConsumerHost, 'audit' | 'afterSending'>,
  call: AuditedCall,
  { audited }: PeerConnection,
  { credentials, revision }: View,
  correlation?: string,
): void {
  afterSending(() => audit.served(call, audited, credentials, revision, correlation));
}

/**
 * Names that a peer asked for, as many and as long as the audit has room for. A name that no provider has may be
 * a token in the wrong field, and is shown only where it reads as a name.
 */
function auditable(names: readonly string[], known: readonly string[]): string[] {
  const providers = new Set(known);
  return names
    .slice(0, MAX_AUDITED_NAMES)
    .map((name) => (providers.has(name) ? name.slice(0, MAX_AUDITED_NAME_LENGTH) : shownName(name)));
}
