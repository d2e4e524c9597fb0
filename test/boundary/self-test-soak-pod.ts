/**
 * PID 1 of a pod in which the Secret rotates, first in peace and then with the agent attacking in a loop. Prints how
 * long each rotation took to reach the supervisor's watch, and what the attacks got.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import type { SelfTestReport } from '../../src/boundary/attacks/types.ts';
import { connect } from '../../src/client/index.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import { type BuiltPod, buildPod } from './self-test-build.ts';
import { finished } from './self-test-containers.ts';
import { podWith, RESOLVER_UID, type SoakPlan, type SoakResult } from './self-test-pod-spec.ts';

/** Milliseconds after which a rotation counts as lost. */
const LOST_MS = 10_000;

/**
 * In a cluster the agent's CPU limit keeps it from taking the resolver's time; here the agent has the last core for
 * itself, and everybody else, in peace as under attack, the first. What is measured is what attacks do, not what a
 * busy neighbour does. A machine with one core cannot tell the two apart.
 */
function ownCore(): void {
  if (availableParallelism() > 1)
    execFileSync('taskset', ['--cpu-list', '--pid', '0', String(process.pid)], { stdio: 'ignore' });
}

async function soak(plan: SoakPlan): Promise<SoakResult> {
  ownCore();
  const pod = await buildPod(podWith({ listener: 'serve' }));
  using client = connect({ socket: pod.socket });
  const stop = new AbortController();
  const arrivals = new Arrivals();
  let interruptions = 0;
  const watch = client.watchProviderEnvironment({
    signal: stop.signal,
    onDisconnect: () => {
      // Until the first snapshot the resolver is still starting.
      if (arrivals.any) interruptions++;
    },
  });
  const watching = (async () => {
    for await (const environment of watch) {
      arrivals.arrived(environment.credentials.get('GITLAB_TOKEN')?.value.reveal().toString() ?? '');
    }
  })().catch(() => undefined);

  const quietMs = await rotate(pod, plan.quietRotations, plan.gapMs, arrivals);
  let attacking = true;
  const attacks = attackLoop(pod, () => attacking);
  const attackedMs = await rotate(pod, plan.attackedRotations, plan.gapMs, arrivals);
  attacking = false;
  const reports = await attacks;
  // The watch is closed by us: what it says of that is no interruption.
  const result = { quietMs, attackedMs, interruptions, runs: reports.length, findings: findingsIn(reports) };
  stop.abort();
  await watching;
  return result;
}

/** Waits for values to come out of the watch. */
class Arrivals {
  #last = '';
  #waiting: { readonly value: string; readonly resolve: () => void } | undefined;

  /** Whether anything has arrived yet. */
  get any(): boolean {
    return this.#last !== '';
  }

  arrived(value: string): void {
    this.#last = value;
    if (this.#waiting?.value === value) this.#waiting.resolve();
  }

  async waitFor(value: string): Promise<void> {
    if (this.#last === value) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { value, resolve };
    const timer = setTimeout(() => reject(new Error('a rotation did not arrive')), LOST_MS);
    await promise.finally(() => clearTimeout(timer));
  }
}

/** Rotates the Secret again and again; returns the milliseconds from each rotation to its arrival. */
async function rotate(pod: BuiltPod, count: number, gapMs: number, arrivals: Arrivals): Promise<number[]> {
  const volume = new SecretVolume(pod.secretVolume);
  const milliseconds: number[] = [];
  for (let i = 0; i < count; i++) {
    const value = newSecret('glpat');
    volume.write({ GITLAB_TOKEN: value, OTHER: newSecret() }, 0o444);
    const written = performance.now();
    await arrivals.waitFor(value);
    milliseconds.push(performance.now() - written);
    await new Promise((wake) => setTimeout(wake, gapMs));
  }
  execFileSync('chown', ['-R', String(RESOLVER_UID), pod.secretVolume]);
  return milliseconds;
}

async function attackLoop(pod: BuiltPod, goOn: () => boolean): Promise<SelfTestReport[]> {
  const reports: SelfTestReport[] = [];
  while (goOn()) {
    const { stdout, stderr } = await finished(
      pod.startProbe(['--output=json'], undefined, cpus().length - 1),
    );
    if (stdout === '') throw new Error(`the self-test did not report: ${stderr}`);
    reports.push(JSON.parse(stdout) as SelfTestReport);
  }
  return reports;
}

function findingsIn(reports: readonly SelfTestReport[]): string[] {
  return reports.flatMap(({ attacks }) =>
    attacks
      .filter(({ outcome }) => outcome === 'broken' || outcome === 'unclear')
      .map(({ id, outcome, reason }) => `${id}: ${outcome}: ${reason}`),
  );
}

const result = await soak(JSON.parse(process.argv[2] ?? '') as SoakPlan);
process.stdout.write(JSON.stringify(result), () => process.exit(0));
