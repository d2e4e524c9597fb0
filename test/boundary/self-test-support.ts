/** Runs pods for the self-test's tests: real namespaces, UIDs, mounts and processes, built by self-test-pod.ts. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttackReport, SelfTestReport } from '../../src/boundary/attacks/types.ts';
import { ARTIFACTS, LEDGER } from '../support/secrets.ts';
import type { PodResult, PodSpec, SoakPlan, SoakResult } from './self-test-pod-spec.ts';

/** Milliseconds for a pod that runs the self-test once. */
const POD_TIMEOUT_MS = 45_000;

/** Builds the pod in namespaces of its own, runs the self-test in it as the agent, and takes everything down again. */
export async function runPod(spec: PodSpec): Promise<PodResult> {
  return (await inNamespaces('./self-test-pod.ts', spec, POD_TIMEOUT_MS)) as PodResult;
}

/** As {@link runPod}, for the soak. */
export async function runSoak(plan: SoakPlan, timeoutMs: number): Promise<SoakResult> {
  return (await inNamespaces('./self-test-soak-pod.ts', plan, timeoutMs)) as SoakResult;
}

/** Runs a program as root and PID 1 in namespaces of its own, and returns what it prints, which must hold no secret. */
async function inNamespaces(program: string, input: unknown, timeoutMs: number): Promise<unknown> {
  const main = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(
    'unshare',
    [
      ...['--pid', '--fork', '--mount', '--net', '--ipc', '--mount-proc', '--propagation', 'private'],
      ...['--kill-child', process.execPath, main, JSON.stringify(input)],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' },
  );
  const [stdout, stderr] = await Promise.all([collect(child.stdout), collect(child.stderr), ended(child)]);
  writeFileSync(join(ARTIFACTS, `probe-${randomBytes(4).toString('hex')}.txt`), `${stdout}\n${stderr}`);
  for (const secret of knownSecrets()) {
    if (`${stdout}${stderr}`.includes(secret)) throw new Error('a secret was printed');
  }
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`the pod could not be built: ${stderr || stdout}`);
  }
}

async function collect(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

function ended(child: ReturnType<typeof spawn>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.on('error', reject);
  child.on('close', () => resolve());
  return promise;
}

/** Every secret of this run. */
function knownSecrets(): string[] {
  return readFileSync(LEDGER, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Buffer.from(line, 'base64').toString());
}

/** The report of a run with `--output json`. */
export function reportOf(result: PodResult): SelfTestReport {
  try {
    return JSON.parse(result.stdout) as SelfTestReport;
  } catch {
    throw new Error(
      `the self-test did not report (exit ${result.exitCode}): ${result.stderr || result.stdout}`,
    );
  }
}

export function attackIn(report: SelfTestReport, id: string): AttackReport {
  const found = report.attacks.find((attack) => attack.id === id);
  if (found === undefined) throw new Error(`the report has no attack ${id}`);
  return found;
}
