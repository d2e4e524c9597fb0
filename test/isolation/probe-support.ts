/** Runs pods for the probe's tests: real namespaces, UIDs, mounts and processes, built by probe-pod.ts. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttackReport, ProbeReport } from '../../src/isolation/probe/types.ts';
import { ARTIFACTS, LEDGER } from '../support/secrets.ts';
import type { PodResult, PodSpec } from './probe-pod-spec.ts';

/** Builds the pod in namespaces of its own, runs the probe in it as the agent, and takes everything down again. */
export async function runPod(spec: PodSpec): Promise<PodResult> {
  const main = fileURLToPath(new URL('./probe-pod.ts', import.meta.url));
  const namespaces = [
    '--pid',
    '--fork',
    '--mount',
    '--net',
    '--ipc',
    '--mount-proc',
    '--propagation',
    'private',
  ];
  const child = spawn(
    'unshare',
    [...namespaces, '--kill-child', process.execPath, main, JSON.stringify(spec)],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: 45_000, killSignal: 'SIGKILL' },
  );
  const [stdout, stderr] = await Promise.all([collect(child.stdout), collect(child.stderr), ended(child)]);
  writeFileSync(join(ARTIFACTS, `probe-${randomBytes(4).toString('hex')}.txt`), `${stdout}\n${stderr}`);
  let result: PodResult;
  try {
    result = JSON.parse(stdout) as PodResult;
  } catch {
    throw new Error(`the pod could not be built: ${stderr || stdout}`);
  }
  for (const secret of knownSecrets()) {
    if (`${result.stdout}${result.stderr}`.includes(secret)) throw new Error('the probe printed a secret');
  }
  return result;
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
export function reportOf(result: PodResult): ProbeReport {
  try {
    return JSON.parse(result.stdout) as ProbeReport;
  } catch {
    throw new Error(`the probe did not report (exit ${result.exitCode}): ${result.stderr || result.stdout}`);
  }
}

export function attackIn(report: ProbeReport, id: string): AttackReport {
  const found = report.attacks.find((attack) => attack.id === id);
  if (found === undefined) throw new Error(`the report has no attack ${id}`);
  return found;
}
