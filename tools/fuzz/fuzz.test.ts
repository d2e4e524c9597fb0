/**
 * Runs the committed corpus through every target, and proves that each target detects faults: the tested code is broken
 * on purpose. The search itself is `npm run fuzz`.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { lintProfiles } from '../../src/config/profile/lint.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { ConfigError } from '../../src/domain/errors.ts';
import { changes } from '../../src/snapshot/snapshot.ts';
import { readGeneration } from '../../src/sources/kubelet-secret/generation.ts';
import { NODE } from '../../test/support/checkout.ts';
import { until } from '../../test/support/cli.ts';
import { CORPUS_LIMIT, readCorpus } from './corpus.ts';
import { withCounters } from './coverage.ts';
import { fuzz, runOnce } from './engine.ts';
import type { Opened, Target } from './target.ts';
import { http2 } from './targets/http2.ts';
import { placeholders } from './targets/placeholders.ts';
import { profiles } from './targets/profiles.ts';
import { providerFiles } from './targets/provider-files.ts';
import { requests } from './targets/requests.ts';
import { secretVolumes } from './targets/secret-volumes.ts';
import { loadTarget, TARGETS } from './targets.ts';

it.each(TARGETS)('nothing in the corpus of %s is a finding', async (name) => {
  const corpus = readCorpus(name);
  expect(corpus.length).toBeGreaterThan(10);
  expect(corpus.length).toBeLessThanOrEqual(CORPUS_LIMIT.files);
  expect(corpus.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThanOrEqual(CORPUS_LIMIT.bytes);
  const target = await loadTarget(name);
  await using opened = await target.open();
  for (const input of corpus) expect(await runOnce(target, opened, input)).toBeUndefined();
  await opened.settle?.();
});

/** A search that is not guided must come upon all of these; it ends with the last of them. */
async function mustFind<S extends object>(
  target: Target<S>,
  broken: Partial<S>,
  expected: readonly string[],
): Promise<void> {
  await using opened = await target.open(broken);
  const found: string[] = [];
  const overlooked = () => expected.filter((what) => !found.some((each) => each.startsWith(what)));
  await fuzz(target, opened, {
    seed: 1,
    seconds: 45,
    executions: 4_000,
    corpus: readCorpus(target.name),
    coverage: undefined,
    onFinding: ({ what }) => found.push(what),
    stopped: () => overlooked().length === 0,
  });
  expect(overlooked()).toEqual([]);
}

it('http2 finds values sent to the wrong caller', async () => {
  await mustFind(
    http2,
    {
      // As a server would that answers a GOAWAY with what it had in its buffer.
      received: (bytes, live) =>
        bytes.includes('CONTINUATION') ? Buffer.concat([bytes, Buffer.from(live.open.secret)]) : bytes,
    },
    ['a value came back to a connection that made no call for it'],
  );
  await mustFind(
    http2,
    {
      received: (bytes, live) => (bytes.includes('OPEN') ? Buffer.from(live.closed.secret) : bytes),
    },
    ['what came back repeats a secret'],
  );
});

it('requests finds undocumented codes, and details that reveal too much', async () => {
  await mustFind(
    requests,
    {
      answer: (answer) => {
        if (answer.code === 3) return { ...answer, code: 2 };
        return answer.code === 7 ? { ...answer, details: 'no\n    at refuse (calls.ts:1)' } : answer;
      },
    },
    ['an answer has the code 2', 'the details of an answer are long or odd'],
  );
});

it('provider-files finds errors that quote the file, and those that are no ConfigError', async () => {
  await mustFind(
    providerFiles,
    {
      load: (file, environment, folders) => {
        try {
          const config = loadConfig(file, environment, folders);
          if (config.providers[0]?.credentials[0]?.trim === 'none') throw new RangeError('not known here');
          return config;
        } catch (error) {
          if (!(error instanceof ConfigError) || folders?.providersDir === undefined) throw error;
          const text = readFileSync(join(folders.providersDir, '0.yaml'), 'utf8');
          const message = text.replaceAll(/[^ -~]/g, '').slice(0, 400) || 'is wrong';
          throw new ConfigError(error.issues.map((issue) => ({ ...issue, message })));
        }
      },
    },
    ['the message of a ConfigError repeats a secret', 'RangeError: not known here'],
  );
});

it('profiles finds a linter that overlooks what the loader refuses', async () => {
  await mustFind(
    profiles,
    {
      lint: (file, text) =>
        lintProfiles(file, text).map((one) => ({
          ...one,
          findings: one.findings.filter(({ issue }) => !issue.message.startsWith('must be lowercase')),
        })),
    },
    ['the linter overlooks what loading refuses'],
  );
});

it('secret-volumes finds a reader that truncates, and one that throws', async () => {
  await mustFind(
    secretVolumes,
    {
      read: (directory, wanted) => {
        const read = readGeneration(directory, wanted);
        if (read.kind === 'fault' && read.fault === 'leads-out-of-volume') throw new Error('no such volume');
        if (read.kind === 'generation') {
          const keys = [...read.generation.keys].filter(([key]) => key !== 'b.c');
          return { kind: 'generation', generation: { ...read.generation, keys: new Map(keys) } };
        }
        return read;
      },
    },
    ['a key was overlooked', 'Error: no such volume'],
  );
});

it('secret-volumes finds a change that tells what changed', async () => {
  await mustFind(
    secretVolumes,
    {
      changes: (before, after) =>
        changes(before, after).map((change) => ({
          ...change,
          value: after.credentials
            .find(({ key }) => key === change.key)
            ?.value.reveal()
            .toString(),
        })),
    },
    ['what changed repeats a secret'],
  );
});

it('placeholders finds a value sent to an unbound endpoint', async () => {
  await mustFind(
    placeholders,
    {
      // As a resolver would that looked at another host than the request goes to.
      rewrite: (resolver, request, now) =>
        resolver.rewriteRequest({ ...request, host: 'a.example.com', port: 443 }, now),
    },
    ['a value leaves to an endpoint that it is not bound to'],
  );
});

it('an input that ends the process is a finding', async () => {
  const run = spawn(NODE, [join(import.meta.dirname, 'run.ts'), 'placeholders', '--seconds', '40']);
  let said = '';
  run.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = new Promise((resolve) => run.once('close', resolve));
  const worker = () =>
    Number(readFileSync(`/proc/${run.pid}/task/${run.pid}/children`, 'utf8').split(' ')[0]);
  await until(() => worker() > 0);
  process.kill(worker(), 'SIGKILL');
  expect(await ended).toBe(1);
  expect(said).toContain(
    'placeholders: the process ended (SIGKILL)\n  again: npm run fuzz -- placeholders --input ',
  );
  const file = /--input (.*)/.exec(said)?.[1];
  if (file !== undefined) rmSync(file);
});

it('a search without a single wait can be stopped, and the memory of its inputs is freed', async () => {
  let runs = 0;
  let bytes = 0;
  let memory = 0;
  let signalled = false;
  process.once('SIGUSR2', () => {
    signalled = true;
  });
  const target: Target = { ...placeholders, maxBytes: 128 * 1024, seeds: [Buffer.alloc(64 * 1024)] };
  const opened: Opened = {
    run: (input) => {
      runs += 1;
      // The engine's own, and the copy that it runs.
      bytes += 2 * input.byteLength;
      memory = Math.max(memory, process.memoryUsage().arrayBuffers);
      if (runs === 12_000) process.kill(process.pid, 'SIGUSR2');
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const options = { seed: 1, seconds: 600, corpus: [], coverage: undefined, stopped: () => signalled };
  const { executions } = await fuzz(target, opened, { ...options, executions: 36_000 });
  expect(executions).toBeLessThan(36_000);
  expect(memory).toBeLessThan(bytes / 2);
});

it.each([
  ['guided', ['Error: out of the maze']],
  ['blind', []],
])(
  'a %s search finds in the maze: %j',
  async (how, expected) => {
    const { stdout } = await execa(NODE, [join(import.meta.dirname, 'fixtures', 'maze-child.ts'), how]);
    const { found, covered, all } = JSON.parse(stdout) as { found: string[]; covered: number; all: number };
    expect(found.map((what) => what.split(' at ')[0])).toEqual(expected);
    expect(all).toBe(6);
    if (how === 'guided') expect(covered).toBe(5);
  },
  90_000,
);

it.each([
  ['if (a) b();', 'if (a) {C;b();}'],
  ['const f = (a) => a ? b : c && d;', 'const f = (a) => (C,(a ? (C,(b)) : (C,(c && (C,(d))))));'],
  ['for (const a of b) if (a) { c(); } else d();', 'for (const a of b) {C;if (a) {C; c(); } else {C;d();}}'],
  ['switch (a) { case 1: b(); default: }', 'switch (a) { case 1: C;b(); default: }'],
  [
    'class A { m(): void { try { b(); } catch { c(); } } }',
    'class A { m(): void {C; try { b(); } catch {C; c(); } } }',
  ],
])('every branch of %j has a counter', (source, expected) => {
  expect(withCounters('a.ts', source).replaceAll(/__branchHits\[\d+\]\+\+/g, 'C')).toBe(expected);
});
