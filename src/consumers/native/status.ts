/** What GetStatus tells, as data, and its encoding. */
import { create, toBinary } from '@bufbuild/protobuf';
import { secretId } from '../../config/config.ts';
import { VERSION } from '../../domain/version.ts';
import {
  AcknowledgeOutcome,
  BoundaryState,
  GetStatusResponseSchema,
} from '../../gen/secretresolver/v1/resolver_pb.ts';
import { type Authorised, maySee } from '../../socket/policy.ts';
import type { NotServing } from '../../socket/serving-state.ts';
import type { VolumeRead } from '../../sources/index.ts';
import type { StatusFacts } from '../status-facts.ts';

const VERDICTS = {
  proven: BoundaryState.PROVEN,
  broken: BoundaryState.BROKEN,
  relaxed: BoundaryState.RELAXED,
} as const;

const OUTCOMES = {
  applied: AcknowledgeOutcome.APPLIED,
  rejected: AcknowledgeOutcome.REJECTED,
} as const;

/**
 * A caller is shown what concerns its providers: their volumes, and watches of them. The evidence of a finding names
 * mounts and processes of others too, so only a caller that may see every provider gets it.
 */
export function encodeStatus(facts: StatusFacts, caller: Authorised): Buffer {
  const sees = (provider: string) => maySee(caller, provider);
  const seesAll =
    caller.providers.includes('*') ||
    (facts.providers.length > 0 && facts.providers.every(({ name }) => sees(name)));
  const visible = new Set(
    facts.providers
      .filter(({ name }) => sees(name))
      .flatMap((provider) => [
        ...provider.credentials.map(({ reference }) => secretId(reference)),
        ...provider.from.map(({ secret }) => secretId(secret)),
      ]),
  );
  const message = create(GetStatusResponseSchema, {
    version: VERSION,
    sandbox: facts.sandbox,
    startedAtMs: BigInt(facts.startedAtMs),
    serving: facts.notServing.length === 0,
    notServingBecause: causes(facts.notServing, sees),
    boundary: {
      state: facts.boundary === undefined ? BoundaryState.UNSPECIFIED : VERDICTS[facts.boundary.verdict],
      relaxed: facts.boundary?.relaxed ?? false,
      checkedAtMs: BigInt(facts.boundary?.checkedAtMs ?? 0),
      // Their text names processes and mounts, as evidence does; the check that is excepted is no secret.
      exceptions: (facts.boundary?.exceptions ?? []).map((text) =>
        seesAll ? text : text.slice(0, text.indexOf(':')),
      ),
      findings: (facts.boundary?.findings ?? []).map(({ id, severity, outcome, evidence, remedy }) => ({
        id,
        severity,
        outcome,
        ...(seesAll && { evidence, remedy }),
      })),
    },
    volumes: facts.volumes
      .filter(({ secret }) => visible.has(secretId(secret)))
      .map(({ secret, read, readAtMs, rotations }) => ({
        namespace: secret.namespace,
        name: secret.name,
        ...contentOf(read),
        readAtMs: BigInt(readAtMs),
        rotations: BigInt(rotations),
      })),
    watchers: facts.watches
      .filter(({ providers }) => providers().some(sees))
      .map(({ providers: _, sinceMs, acknowledgedOutcome: outcome, ...watch }) => ({
        ...watch,
        sinceMs: BigInt(sinceMs),
        acknowledgedOutcome: outcome === undefined ? AcknowledgeOutcome.UNSPECIFIED : OUTCOMES[outcome],
      })),
    refusedPeers: seesAll
      ? facts.refusedPeers.map(({ uid, reason, count, lastMs }) => ({
          ...(uid !== undefined && { uid }),
          reason,
          count: BigInt(count),
          lastMs: BigInt(lastMs),
        }))
      : [],
    audit: { error: facts.audit.error ?? '', dropped: BigInt(facts.audit.dropped) },
  });
  return Buffer.from(toBinary(GetStatusResponseSchema, message));
}

function contentOf(read: VolumeRead) {
  if (read.kind === 'fault') return { state: read.fault };
  const { id, keys } = read.generation;
  const readable = [...keys.values()].filter(({ kind }) => kind === 'bytes');
  return { state: 'ready', generation: id, keys: readable.length };
}

/** Causes with the names of what the caller may see; others once, without names. */
function causes(all: readonly NotServing[], sees: (provider: string) => boolean) {
  const visible = all.filter(({ credential }) => credential === undefined || sees(credential.provider));
  return [
    ...visible.map(({ reason, remedy, credential }) => ({ reason, remedy, ...credential })),
    ...(visible.length < all.length ? [{ reason: 'required-credential-refused' }] : []),
  ];
}
