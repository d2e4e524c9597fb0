import { Command } from 'commander';
import { withExceptions } from '../boundary/verdict.ts';
import { ExitCode } from '../domain/errors.ts';
import { printable } from '../domain/printable.ts';
import {
  AcknowledgeOutcome,
  BoundaryState,
  type GetStatusResponse,
} from '../gen/secretresolver/v1/resolver_pb.ts';
import { CALLER_HELP, socketOption, withClient } from './caller.ts';
import type { CommandContext } from './context.ts';
import { ago, colour, groupedTables, type OutputFormat, outputOption, plainTable, print } from './output.ts';

/** `status`: boundary, volumes, watchers. */
export function createCommand(context: CommandContext): Command {
  return new Command('status')
    .description(
      'show the state of a running resolver: boundary, volumes, watchers; exit 0 if it is serving, 1 if not',
    )
    .addOption(socketOption())
    .addOption(outputOption())
    .addHelpText('after', CALLER_HELP)
    .action(async (options: { socket: string; output: OutputFormat }) => {
      const status = await withClient(options, (client) => client.getStatus());
      print(context, options.output, plain(status), (wide) => text(context, status, wide));
      if (!status.serving) context.exit(ExitCode.refused);
    });
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

const BOUNDARY_TEXT: Readonly<Record<BoundaryState, string>> = {
  ...BOUNDARY,
  [BoundaryState.RELAXED]: 'not proven; serving anyway because of --relaxed',
};

function boundaryState({ boundary }: GetStatusResponse): BoundaryState {
  return boundary?.state ?? BoundaryState.UNSPECIFIED;
}

function plain(status: GetStatusResponse) {
  const { sandbox, boundary } = status;
  return {
    version: status.version,
    serving: status.serving,
    startedAt: new Date(Number(status.startedAtMs)).toISOString(),
    sandbox: { id: sandbox?.id ?? '', name: sandbox?.name ?? '', namespace: sandbox?.namespace ?? '' },
    boundary: {
      state: BOUNDARY[boundaryState(status)],
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
    })),
  };
}

function text(context: CommandContext, status: GetStatusResponse, wide: boolean): string {
  const now = Date.now();
  const data = plain(status);
  const serving = status.serving
    ? colour(context, 'green', 'serving')
    : colour(context, 'red', 'not serving');
  const failed = data.boundary.findings.filter(({ outcome }) => outcome !== 'pass');
  return [
    `resolver ${data.version}, sandbox ${data.sandbox.namespace}/${data.sandbox.name} (${data.sandbox.id}): ${serving}, started ${ago(status.startedAtMs, now)}\n`,
    `boundary: ${BOUNDARY_TEXT[boundaryState(status)]}${withExceptions(data.boundary.exceptions)}\n`,
    ...data.boundary.exceptions.map((each) => `  exception: ${printable(each)}\n`),
    ...failed.map(
      ({ id, severity, evidence, remedy }) =>
        `  ${severity} ${id}: ${printable(evidence)}${remedy === '' ? '' : ` -> ${printable(remedy)}`}\n`,
    ),
    '\n',
    wide
      ? plainTable(
          ['namespace', 'secret', 'state', 'generation', 'keys', 'read', 'rotations'],
          status.volumes.map((volume) => [
            volume.namespace,
            volume.name,
            volume.state,
            volume.generation || '-',
            String(volume.keys),
            ago(volume.readAtMs, now),
            String(volume.rotations),
          ]),
        )
      : groupedTables(
          status.volumes,
          ({ namespace }) => namespace,
          ['secret', 'state', 'keys', 'read'],
          ({ name, state, keys, readAtMs }) => [name, state, String(keys), ago(readAtMs, now)],
        ),
    '\n',
    status.watchers.length === 0
      ? 'no watchers\n'
      : plainTable(
          ['watcher', 'pid', 'since', 'in force', 'sent', 'applied'],
          status.watchers.map((watcher, index) => [
            watcher.caller,
            watcher.pid === 0 ? '-' : String(watcher.pid),
            ago(watcher.sinceMs, now),
            watcher.acknowledgedRevision === watcher.servedRevision
              ? (data.watchers[index]?.acknowledged ?? '')
              : 'behind',
            `${watcher.servedLagMs.toFixed(1)} ms`,
            `${watcher.acknowledgedLagMs.toFixed(1)} ms`,
          ]),
        ),
  ].join('');
}
