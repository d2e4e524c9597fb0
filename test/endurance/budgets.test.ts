/**
 * What one listed UID can do to another with raw sockets, against the real resolver with the memory of the manifest.
 * `npm run endurance` runs each attack for 30 s. Figures are printed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { type CliProcess, startServe } from '../support/cli.ts';
import { WHOLE } from '../support/endurance.ts';
import { MemoryGroup } from '../support/memory-group.ts';
import { IMAGE_ENVIRONMENT, Product } from '../support/product.ts';
import { RawClient } from '../support/raw-calls.ts';
import { describeAsRoot } from '../support/root.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

const SECONDS = WHOLE ? 30 : 4;
const MIB = 1024 * 1024;
const RESOLVER = 10_771;
const ATTACKS = ['unfinished', 'unread', 'unknown', 'rate', 'churn'];
/** Each attack has a UID of its own: none begins with the debts of the one before. */
const FIRST_ATTACKER = 20_003;
/** Milliseconds between two calls of the supervisor. */
const CALL_EVERY_MS = 5;

interface Latencies {
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  readonly calls: number;
}

describeAsRoot('a listed UID that means harm', () => {
  let workspace: Workspace;
  let product: Product;
  let group: MemoryGroup;
  let serve: CliProcess;
  let peace: Latencies;
  const figures: Record<string, unknown>[] = [];

  beforeAll(async () => {
    product = new Product();
    workspace = new Workspace();
    const audit = join(workspace.root, 'run', 'audit');
    group = new MemoryGroup(256 * MIB);
    for (const [name, keys] of [
      ['mine', 1],
      ['theirs', 50],
    ] as const) {
      workspace.writeProvider(`${name}.yaml`, {
        name,
        type: 'custom',
        endpoints: ENDPOINTS,
        credentialsFrom: [
          { source: { type: 'kubernetesSecret', namespace: NAMESPACE, name }, mode: 'allKeys' },
        ],
      });
      const values = Array.from({ length: keys }, (_, index) => [
        `${name.toUpperCase()}_${index}`,
        registerSecret(newSecret().padEnd(keys === 1 ? 0 : 60_000, 'x')),
      ]);
      workspace.secret(name).write(Object.fromEntries(values));
    }
    workspace.writeConfig({
      // Not through this process, which measures.
      audit: { path: audit },
      callers: [
        { name: 'supervisor', uid: 0, providers: ['mine'] },
        ...ATTACKS.map((name, index) => ({ name, uid: FIRST_ATTACKER + index, providers: ['theirs'] })),
      ],
    });
    serve = await group.during(() =>
      startServe(workspace.configFile, [], {
        uid: RESOLVER,
        gid: RESOLVER,
        env: IMAGE_ENVIRONMENT,
        program: product.program,
        nodeFlags: product.nodeFlags(workspace.socket, audit),
      }),
    );
    await measure(1); // Compiled, collected, connected.
    peace = await measure(Math.max(3, SECONDS / 3));
    figures.push({ attack: 'none', ...peace, peakMiB: group.peakBytes / MIB });
  });

  afterAll(async () => {
    await serve?.[Symbol.asyncDispose]();
    group?.[Symbol.dispose]();
    workspace?.[Symbol.dispose]();
    product?.[Symbol.dispose]();
    console.log(figures.map((f) => JSON.stringify(f)).join('\n'));
  });

  /** The supervisor's calls, one each few milliseconds. */
  async function measure(seconds: number): Promise<Latencies> {
    using client = new RawClient(workspace.socket);
    const waits: number[] = [];
    const until = performance.now() + seconds * 1_000;
    while (performance.now() < until) {
      const from = performance.now();
      const { code } = await client.call('GetProviderEnvironment');
      expect(code).toBe(status.OK);
      waits.push(performance.now() - from);
      await sleep(CALL_EVERY_MS);
    }
    waits.sort((a, b) => a - b);
    const at = (share: number) => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? 0;
    return { p50: at(0.5), p99: at(0.99), worst: at(1), calls: waits.length };
  }

  function flood(attack: string): { readonly child: ChildProcess; readonly seen: () => string } {
    const child = spawn(NODE, [join(CHECKOUT, 'test/endurance/flooder.ts'), attack, workspace.socket], {
      uid: FIRST_ATTACKER + ATTACKS.indexOf(attack),
      gid: FIRST_ATTACKER,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let last = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      last = text.trim().split('\n').at(-1) ?? last;
    });
    return { child, seen: () => last };
  }

  it.each(ATTACKS)(
    'by %s calls does not take memory or time from another UID',
    async (attack) => {
      group.forgetPeak();
      const { child, seen } = flood(attack);
      await sleep(500);
      const during = await measure(SECONDS);
      const ended = new Promise((done) => child.once('close', done));
      child.stdin?.end();
      const from = performance.now();
      using fresh = new RawClient(workspace.socket);
      expect((await fresh.call('GetProviderEnvironment')).code).toBe(status.OK);
      const freshMs = performance.now() - from;
      await ended;
      const peakMiB = group.peakBytes / MIB;
      figures.push({ attack, ...during, times: during.p99 / peace.p99, freshMs, peakMiB, seen: seen() });
      expect(serve.child.exitCode).toBeNull();
      expect(group.kills).toBe(0);
      // The attack was one.
      expect(JSON.parse(seen()).calls).toBeGreaterThan(100);
      expect(peakMiB).toBeLessThan(128);
      expect(freshMs).toBeLessThan(1_000);
      expect(during.p99).toBeLessThan(5 * peace.p99);
    },
    (SECONDS + 20) * 1_000,
  );
});
