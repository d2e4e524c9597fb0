/** From the spawn to SERVING, and what the time goes into. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { NODE } from '../../../test/support/checkout.ts';
import { folderInMemory } from '../../../test/support/memory-folder.ts';
import { BARS } from '../bars.ts';
import { BARE_ENVIRONMENT, killed, ours } from '../child.ts';
import type { FigureResult, Scale, Stage } from '../figure.ts';
import { floorRatio, interleave } from '../interleave.ts';
import { ResolverProcess, there } from '../resolver-process.ts';
import { compare, percentile } from '../stats.ts';
import { comparisonRow } from '../verdict.ts';

const KEYS = 60;

/** Milliseconds since the spawn at which each stage ended. */
interface Start {
  readonly flaggedMs: number;
  readonly provenMs: number;
  readonly socketMs: number;
  readonly servingMs: number;
  /** Until then, of all its threads. */
  readonly cpuMs: number;
}

async function startResolver(): Promise<Start> {
  await using resolver = ResolverProcess.prepare(KEYS);
  const { flaggedMs, socketMs, servingMs, cpuMs } = await resolver.start();
  const verdict = resolver.log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { readonly time: number | string; readonly msg: string })
    .find(({ msg }) => msg.includes('boundary'));
  if (verdict === undefined) throw new Error('the log does not tell when the boundary was judged');
  const provenMs = new Date(verdict.time).getTime() - resolver.spawnedAtMs;
  return { flaggedMs, provenMs, socketMs, servingMs, cpuMs };
}

async function startBareNode(): Promise<Start> {
  const from = performance.now();
  await once(spawn(NODE, ['-e', '0'], { env: BARE_ENVIRONMENT, stdio: 'ignore' }), 'exit');
  const ms = performance.now() - from;
  return { flaggedMs: ms, provenMs: ms, socketMs: ms, servingMs: ms, cpuMs: Number.NaN };
}

/** CPU-milliseconds of a Node that does nothing but look at them. */
function cpuOfBareNode(): number {
  const print = 'const { user, system } = process.cpuUsage(); console.log((user + system) / 1e3)';
  return Number(execFileSync(NODE, ['-e', print], { env: BARE_ENVIRONMENT, encoding: 'utf8' }));
}

/** A server over HTTP/2 that does nothing but listen. */
class EmptyServer implements Disposable {
  readonly #folder = folderInMemory();
  readonly #socket = join(this.#folder, 'socket');

  async start(): Promise<Start> {
    const listen = `require('node:http2').createServer().listen(${JSON.stringify(this.#socket)})`;
    const from = performance.now();
    const server = ours(spawn(NODE, ['-e', listen], { env: BARE_ENVIRONMENT, stdio: 'ignore' }));
    there(this.#socket);
    const ms = performance.now() - from;
    await killed(server);
    rmSync(this.#socket);
    return { flaggedMs: ms, provenMs: ms, socketMs: ms, servingMs: ms, cpuMs: Number.NaN };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

export async function start(scale: Scale): Promise<FigureResult> {
  using empty = new EmptyServer();
  const startEmpty = () => empty.start();
  await startResolver();
  await startBareNode();
  await startEmpty();
  const sides = { ours: startResolver, baseline: startBareNode, floor: startEmpty };
  const rounds = await interleave(scale.pick(25, 5), sides);
  const comparison = compare(
    rounds.map(({ ours, baseline }) => ({ ours: ours.servingMs, baseline: baseline.servingMs })),
  );
  const middle = (of: (start: Start) => number) =>
    percentile(
      rounds.map(({ ours }) => of(ours)),
      50,
    );
  const stages: Stage[] = [
    { name: 'until it runs under its flags', ms: middle(({ flaggedMs }) => flaggedMs) },
    { name: 'modules, boundary', ms: middle(({ flaggedMs, provenMs }) => provenMs - flaggedMs) },
    { name: 'socket', ms: middle(({ provenMs, socketMs }) => socketMs - provenMs) },
    { name: 'Secret read', ms: middle(({ socketMs, servingMs }) => servingMs - socketMs) },
  ];
  return {
    rows: [
      {
        ...comparisonRow(
          {
            id: 'start',
            figure: `process start → ready, ${KEYS} credentials`,
            unit: 'ms',
            baseline: '`node -e 0`, start to exit',
            bar: BARS.start,
          },
          comparison,
        ),
        floor: {
          name: 'empty HTTP/2 server, start to listening',
          value: floorRatio(rounds, ({ servingMs }) => servingMs),
        },
      },
      {
        id: 'start-cpu',
        figure: `process start → ready, ${KEYS} credentials, CPU time`,
        unit: 'ms',
        ours: middle(({ cpuMs }) => cpuMs),
        baseline: {
          name: 'Node that looks at its own',
          value: percentile(
            rounds.map(() => cpuOfBareNode()),
            50,
          ),
        },
        rounds: rounds.length,
        bar: BARS['start-cpu'],
      },
    ],
    details: { start: { bareMs: comparison.baseline, stages } },
    notes: [
      'start: from the spawn until Health.Watch on the socket says SERVING; the socket is looked for every 0.25 ms. As root all of it runs in a PID namespace of its own, as a pod has one: the boundary check looks at every process that it can see.',
    ],
  };
}
