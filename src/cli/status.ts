import { Command } from 'commander';
import { withExceptions } from '../boundary/verdict.ts';
import { type ResolverClient, ResolverError } from '../client/index.ts';
import { ExitCode } from '../domain/errors.ts';
import { printable } from '../domain/printable.ts';
import { wrapped } from '../domain/wrapped.ts';
import {
  AcknowledgeOutcome,
  BoundaryState,
  type GetStatusResponse,
  type NotServing,
  type Watcher,
} from '../gen/secretresolver/v1/resolver_pb.ts';
import { CALLER_HELP, socketOption, withClient } from './caller.ts';
import type { CommandContext } from './context.ts';
import { plainListed } from './list.ts';
import { ago, colour, groupedTables, type OutputFormat, outputOption, plainTable, print } from './output.ts';
import { examples, PROGRAM } from './program.ts';

export function createCommand(context: CommandContext): Command {
  return new Command('status')
    .description(
      'show why a resolver is not serving, its boundary, volumes and watchers; exit 0 if it is serving, 1 if not',
    )
    .addOption(socketOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      CALLER_HELP +
        examples('secret-resolver status', 'kubectl exec POD -c secret-resolver -- secret-resolver status'),
    )
    .action(async (options: { socket: string; output: OutputFormat }) => {
      const [status, refused] = await withClient(options, (client) =>
        Promise.all([client.getStatus(), refusedCredentials(client)]),
      );
      const data = { ...plain(status), ...(refused && { refusedCredentials: refused }) };
      print(context, options.output, data, (wide) => text(context, status, refused?.length ?? 0, wide));
      if (!status.serving) context.exit(ExitCode.refused);
    });
}

/** Credentials that this user may see; undefined where the resolver does not list any now: the status says why. */
async function refusedCredentials(client: ResolverClient) {
  try {
    const { credentials } = await client.listCredentials();
    return credentials
      .map(plainListed)
      .filter(({ state }) => state === 'refused')
      .map(({ provider, key, reason = '', required, reference }) => ({
        provider,
        key,
        reason,
        required,
        reference,
      }));
  } catch (error) {
    if (error instanceof ResolverError) return undefined;
    throw error;
  }
}

const BOUNDARY: Readonly<Record<BoundaryState, string>> = {
  [BoundaryState.UNSPECIFIED]: 'unchecked',
  [BoundaryState.PROVEN]: 'proven',
  [BoundaryState.BROKEN]: 'broken',
  [BoundaryState.RELAXED]: 'relaxed',
};

const ACKNOWLEDGED: Readonly<Record<AcknowledgeOutcome, string>> = {
  [AcknowledgeOutcome.UNSPECIFIED]: 'none',
  [AcknowledgeOutcome.APPLIED]: 'applied',
  [AcknowledgeOutcome.REJECTED]: 'rejected',
};

function plain(status: GetStatusResponse) {
  const { sandbox, boundary } = status;
  return {
    version: status.version,
    serving: status.serving,
    notServingBecause: status.notServingBecause.map(plainCause),
    startedAt: new Date(Number(status.startedAtMs)).toISOString(),
    sandbox: { id: sandbox?.id ?? '', name: sandbox?.name ?? '', namespace: sandbox?.namespace ?? '' },
    boundary: {
      state: BOUNDARY[boundary?.state ?? BoundaryState.UNSPECIFIED],
      relaxed: boundary?.relaxed ?? false,
      exceptions: boundary?.exceptions ?? [],
      findings: (boundary?.findings ?? []).map(({ id, severity, outcome, evidence, remedy }) => ({
        id,
        severity,
        outcome,
        evidence,
        remedy,
      })),
    },
    volumes: status.volumes.map(({ namespace, name, state, generation, keys, readAtMs, rotations }) => ({
      secret: `${namespace}/${name}`,
      state,
      generation,
      keys,
      readAt: new Date(Number(readAtMs)).toISOString(),
      rotations: Number(rotations),
    })),
    watchers: status.watchers.map((watcher) => ({
      caller: watcher.caller,
      pid: watcher.pid,
      since: new Date(Number(watcher.sinceMs)).toISOString(),
      servedRevision: watcher.servedRevision,
      acknowledgedRevision: watcher.acknowledgedRevision,
      acknowledged: ACKNOWLEDGED[watcher.acknowledgedOutcome],
      servedLagMs: watcher.servedLagMs,
      acknowledgedLagMs: watcher.acknowledgedLagMs,
      unacknowledgedMs: watcher.unacknowledgedMs,
      rejections: watcher.rejections,
      consumer: watcher.consumer,
      ...(watcher.node === '' ? {} : { node: watcher.node }),
    })),
    refusedPeers: status.refusedPeers.map(({ uid, reason, count, lastMs }) => ({
      ...(uid === undefined ? {} : { uid }),
      reason,
      count: Number(count),
      last: new Date(Number(lastMs)).toISOString(),
    })),
    audit: {
      ...(status.audit?.error ? { error: status.audit.error } : {}),
      dropped: Number(status.audit?.dropped ?? 0n),
    },
  };
}

/** A cause as data: the names are there where a refused credential is the cause. */
function plainCause({ reason, provider, key, reference, remedy }: NotServing) {
  return {
    reason,
    ...(provider === '' ? {} : { provider, key }),
    ...(reference && { reference: `${reference.namespace}/${reference.name}/${reference.key}` }),
    ...(remedy === '' ? {} : { remedy }),
  };
}

function causeText(cause: NotServing): string {
  const { reason, provider, key, reference, remedy } = plainCause(cause);
  const what = provider === undefined ? reason : `${provider}:${key} from ${reference}: ${reason}`;
  return printable(`${what}${remedy === undefined ? '' : ` -> ${remedy}`}`);
}

/** What the watcher has in force: an outcome, and for how long it has not said so of the newest. */
function inForce({ unacknowledgedMs, acknowledgedOutcome, rejections }: Watcher): string {
  if (unacknowledgedMs > 0) return `behind for ${Math.round(unacknowledgedMs / 1_000)} s`;
  const outcome = ACKNOWLEDGED[acknowledgedOutcome] ?? 'none';
  if (acknowledgedOutcome !== AcknowledgeOutcome.REJECTED || rejections < 2) return outcome;
  return `rejected, ${rejections} times`;
}

/** What is missing although the resolver serves. */
function missingLines(status: GetStatusResponse, refused: number): string[] {
  const unmounted = status.volumes.filter(({ state }) => state === 'secret-missing');
  const names = unmounted.map(({ namespace, name }) => `${namespace}/${name}`);
  const is = refused === 1 ? 'credential is' : 'credentials are';
  return [
    ...(refused === 0 ? [] : [`${refused} ${is} refused: see "${PROGRAM} list"`]),
    ...(names.length === 0 ? [] : [`not mounted: ${printable(names.join(', '))}`]),
  ];
}

function text(context: CommandContext, status: GetStatusResponse, refused: number, wide: boolean): string {
  const now = Date.now();
  const data = plain(status);
  const [first, ...others] = status.notServingBecause;
  const serving = status.serving
    ? colour(context, 'green', 'serving')
    : `${colour(context, 'red', 'not serving')}${first === undefined ? '' : `: ${causeText(first)}`}`;
  const failed = data.boundary.findings.filter(({ outcome }) => outcome !== 'pass');
  const { state } = data.boundary;
  const boundary = state === 'relaxed' ? 'not proven; serving anyway because of --relaxed' : state;
  const { version, sandbox } = data;
  const of = printable(`sandbox ${sandbox.namespace}/${sandbox.name} (${sandbox.id})`);
  return [
    `${serving}\n`,
    ...others.map((cause) => `  and ${causeText(cause)}\n`),
    `resolver ${printable(version)}, started ${ago(status.startedAtMs, now)}\n`,
    `${wide ? of : wrapped(of, 4)}\n`,
    ...missingLines(status, refused).map((line) => `${wide ? line : wrapped(line, 4)}\n`),
    ...(data.audit.error === undefined && data.audit.dropped === 0
      ? []
      : [
          `audit: ${printable(data.audit.error ?? 'written again')}, ${data.audit.dropped} records dropped\n`,
        ]),
    `boundary: ${boundary}${withExceptions(data.boundary.exceptions)}\n`,
    ...data.boundary.exceptions.map((each) => `  exception: ${printable(each)}\n`),
    ...failed.map(
      ({ id, severity, evidence, remedy }) =>
        `  ${printable(`${severity} ${id}: ${evidence}${remedy === '' ? '' : ` -> ${remedy}`}`)}\n`,
    ),
    '\n',
    groupedTables(status.volumes, wide, ({ namespace }) => namespace, [
      ['namespace', ({ namespace }) => namespace, 'wide'],
      ['secret', ({ name }) => name],
      ['state', ({ state }) => state],
      ['generation', ({ generation }) => generation || '-', 'wide'],
      ['keys', ({ keys }) => String(keys)],
      ['read', ({ readAtMs }) => ago(readAtMs, now)],
      ['rotations', ({ rotations }) => String(rotations), 'wide'],
    ]),
    '\n',
    watchersTable(status, now, wide),
    refusedPeersTable(status, now),
  ].join('');
}

function watchersTable({ watchers }: GetStatusResponse, now: number, wide: boolean): string {
  if (watchers.length === 0) return 'no watchers\n';
  return groupedTables(watchers, wide, ({ caller }) => `watcher ${caller}`, [
    ['watcher', ({ caller }) => caller, 'wide'],
    ['pid', ({ pid }) => (pid === 0 ? '-' : String(pid))],
    ['since', ({ sinceMs }) => ago(sinceMs, now)],
    ['in force', inForce],
    ['sent', ({ servedLagMs }) => (servedLagMs === 0 ? '-' : milliseconds(servedLagMs))],
    // That of a revision before says nothing about the one that it is behind with.
    [
      'applied',
      ({ unacknowledgedMs, acknowledgedLagMs }) =>
        unacknowledgedMs > 0 ? '-' : milliseconds(acknowledgedLagMs),
    ],
    ['consumer', ({ consumer }) => consumer, 'wide'],
    ['node', ({ node }) => node || '-', 'wide'],
  ]);
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}

function refusedPeersTable({ refusedPeers }: GetStatusResponse, now: number): string {
  if (refusedPeers.length === 0) return '';
  const rows = refusedPeers.map(({ uid, reason, count, lastMs }) => [
    uid === undefined ? '-' : String(uid),
    reason,
    String(count),
    ago(lastMs, now),
  ]);
  return `\n${plainTable(['refused uid', 'reason', 'times', 'last'], rows)}`;
}
