/**
 * Execs into a pod with a shared PID namespace, as kubelet's probes are: `serve` neither ends nor reports a finding, and
 * still notices an intruder, with both cores busy. A minute; `npm run endurance` runs it for ten.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { WHOLE } from '../support/endurance.ts';
import { find } from '../support/podman.ts';
import { IMAGE_ENVIRONMENT, Product } from '../support/product.ts';
import { describeAsRoot, describeIf } from '../support/root.ts';
import { AGENT_UID, ENTERING, GOOD_POD, type PodSpec, RESOLVER_UID, runPod, unprivileged } from './pod.ts';

const MINUTES = WHOLE ? 10 : 1;
const TIMEOUT_MS = (MINUTES + 2) * 60_000;

/** The image's `serve`. */
let product: Product | undefined;
afterAll(() => product?.[Symbol.dispose]());
function podOf(): PodSpec {
  product ??= new Product();
  return {
    ...GOOD_POD,
    processNamespace: 'shared',
    neighbours: [{ identity: unprivileged(AGENT_UID) }],
    nodeFlags: product.nodeFlags('/run/secret-resolver/socket/resolver.sock'),
    environment: Object.entries(IMAGE_ENVIRONMENT).map((entry) => entry.join('=')),
    program: `${product.program} serve --config pod/etc/config.yaml`,
  };
}

/** Keeps every core busy until it is disposed of. */
class BusyCores implements Disposable {
  readonly #loops = Array.from({ length: availableParallelism() }, () =>
    spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }),
  );
  [Symbol.dispose](): void {
    for (const loop of this.#loops) loop.kill('SIGKILL');
  }
}

/** The resolver's process, once it runs under its own flags. */
async function resolverOf(folder: string): Promise<number> {
  for (;;) {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const [program, ...args] = read(`/proc/${pid}/cmdline`).split('\0');
      if (program === join(folder, 'node') && args.includes(`--allow-fs-write=${folder}/pod/run/own`))
        return Number(pid);
    }
    await sleep(50);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const exists = (pid: number) => read(`/proc/${pid}/stat`) !== '';

/**
 * What the runtime looks like to the pod: from outside into its PID namespace, root with all capabilities under the
 * runtime's name for some milliseconds, then the program as the agent. Two programs under that name: one to enter, and
 * a shell that waits without starting another process.
 */
function playedExec(sandbox: number, folder: string): ChildProcess {
  const program = (tool: string) => join(folder, 'runtime', tool, 'runc:[2:INIT]');
  const become = `exec "$1" ${unprivileged(AGENT_UID)} true`;
  const script = `read -r -t 0.0$((RANDOM % 8 + 1)) <> "$0"; ${become}`;
  const shell = [program('bash'), '-c', script, join(folder, 'runtime', 'fifo'), program('setpriv')];
  return spawn(program('nsenter'), ['-t', `${sandbox}`, '-p', ...shell], { stdio: 'ignore' });
}

function preparePlay(folder: string): void {
  for (const tool of ['nsenter', 'bash', 'setpriv']) {
    mkdirSync(join(folder, 'runtime', tool), { recursive: true });
    const path = spawnSync('which', [tool], { encoding: 'utf8' }).stdout.trim();
    copyFileSync(path, join(folder, 'runtime', tool, 'runc:[2:INIT]'));
  }
  spawnSync('mkfifo', [join(folder, 'runtime', 'fifo')]);
}

/** A container of runc's in the pod's PID namespace, with the agent's UID and no capability. */
class RuncContainer implements AsyncDisposable {
  readonly #id: string;
  constructor(sandbox: number, folder: string) {
    this.#id = `secret-resolver-test-${sandbox}`;
    const bundle = join(folder, 'bundle');
    mkdirSync(join(bundle, 'rootfs', 'bin'), { recursive: true });
    for (const path of ['proc', 'dev', 'sys', 'etc']) mkdirSync(join(bundle, 'rootfs', path));
    copyFileSync('/usr/bin/busybox', join(bundle, 'rootfs/bin/busybox'));
    for (const name of ['sleep', 'true']) symlinkSync('busybox', join(bundle, 'rootfs/bin', name));
    spawnSync('runc', ['spec'], { cwd: bundle });
    const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
    Object.assign(config.process, {
      terminal: false,
      args: ['sleep', '100000'],
      user: { uid: AGENT_UID, gid: AGENT_UID },
      capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },
    });
    delete config.linux.resources;
    for (const namespace of config.linux.namespaces)
      if (namespace.type === 'pid') namespace.path = `/proc/${sandbox}/ns/pid`;
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    const run = spawnSync('runc', ['run', '--detach', '--bundle', bundle, this.#id], { stdio: 'ignore' });
    if (run.status !== 0) throw new Error(`runc run ended with ${run.status}`);
  }

  exec(): ChildProcess {
    return spawn('runc', ['exec', this.#id, 'true'], { stdio: 'ignore' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    spawnSync('runc', ['delete', '--force', this.#id]);
  }
}

/** Starts an exec every so often until `signal` comes; how many ended well. */
async function execs(start: () => ChildProcess, everyMs: number, signal: AbortSignal): Promise<number> {
  let done = 0;
  let next = performance.now();
  const running = new Set<Promise<void>>();
  while (!signal.aborted) {
    const ended = once(start(), 'exit').then(([code]) => {
      if (code === 0) done++;
      running.delete(ended);
    });
    running.add(ended);
    // On a busy machine there may be more to come than it can do.
    if (running.size >= 20) await Promise.race(running);
    next += everyMs;
    await sleep(Math.max(0, next - performance.now()));
  }
  await Promise.all(running);
  return done;
}

async function during(seconds: number, pid: number): Promise<void> {
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until && exists(pid)) await sleep(100);
}

const findings = (stdout: string) =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map(
      (line) =>
        JSON.parse(line) as {
          class_uid: number;
          message: string;
          unmapped: { finding?: string; outcome?: string };
        },
    )
    .filter(({ class_uid, unmapped }) => class_uid === 2004 && unmapped.outcome !== 'pass');

const missing =
  process.getuid?.() === 0
    ? find('runc') === undefined
      ? 'install runc'
      : undefined
    : 'run the tests as root';

describeIf('execs into the pod by runc', missing, () => {
  it(
    'twenty a second end nothing and are no finding',
    async () => {
      let count = 0;
      let lived = false;
      const { code, stdout, stderr } = await runPod(
        'execs',
        podOf(),
        async (sandbox, folder) => {
          preparePlay(folder);
          const resolver = await resolverOf(folder);
          using _busy = new BusyCores();
          const stop = new AbortController();
          const played = execs(() => playedExec(sandbox, folder), 50, stop.signal);
          await using runc = new RuncContainer(sandbox, folder);
          const real = execs(() => runc.exec(), 500, stop.signal);
          await during(MINUTES * 60, resolver);
          stop.abort();
          const done = [await played, await real];
          count = done.reduce((sum, one) => sum + one, 0);
          process.stdout.write(`${done.join(' played and ')} real execs in ${MINUTES} min\n`);
          lived = exists(resolver);
          if (lived) process.kill(resolver, 'SIGTERM');
        },
        TIMEOUT_MS,
      );
      expect(lived, stdout + stderr).toBe(true);
      expect(findings(stdout)).toEqual([]);
      expect(code, stderr).toBe(0);
      expect(stderr).not.toContain('short-lived');
      expect(count).toBeGreaterThan(MINUTES * 60 * 15);
    },
    TIMEOUT_MS,
  );
});

describeAsRoot('execs into the pod', () => {
  it.each([
    ['with SYS_PTRACE', `${ENTERING} --no-new-privs`, 'process-capabilities'],
    ['with our UID', unprivileged(RESOLVER_UID), 'process-same-uid'],
  ])(
    'hide no intruder %s',
    async (_, identity, finding) => {
      let noticedMs = Number.POSITIVE_INFINITY;
      const { code, stdout, stderr } = await runPod(
        'execs-intruder',
        podOf(),
        async (sandbox, folder) => {
          preparePlay(folder);
          const resolver = await resolverOf(folder);
          using _busy = new BusyCores();
          const stop = new AbortController();
          const played = execs(() => playedExec(sandbox, folder), 50, stop.signal);
          await sleep(5_000);
          const from = performance.now();
          const enter = ['-t', `${sandbox}`, '-p', 'setpriv', ...identity.split(' '), 'sleep', '60'];
          const intruder = spawn('nsenter', enter, { stdio: 'ignore' });
          await during(30, resolver);
          noticedMs = performance.now() - from;
          stop.abort();
          intruder.kill('SIGKILL');
          await played;
        },
        TIMEOUT_MS,
      );
      expect(code, stdout + stderr).toBe(1);
      expect(findings(stdout).map(({ unmapped }) => unmapped.finding)).toEqual([finding]);
      expect(noticedMs).toBeLessThan(15_000);
    },
    TIMEOUT_MS,
  );
});
