/**
 * Tables and summaries fit 80 columns where each name has 40 characters. What says what is wrong and what to do
 * (findings, causes) is one line each, for editors and grep.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { formatReport } from '../../src/boundary/attacks/report.ts';
import type { SelfTestReport } from '../../src/boundary/attacks/types.ts';
import { CHECKS } from '../../src/boundary/catalogue.ts';
import { renderTable } from '../../src/boundary/report.ts';
import { COLUMNS, wrapped } from '../../src/domain/wrapped.ts';
import {
  AcknowledgeOutcome,
  BoundaryState,
  CredentialState,
} from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { REMEDIES } from '../../src/snapshot/refusal.ts';
import { type Answers, FakeResolver } from '../support/fake-resolver.ts';
import { runInProcess } from '../support/in-process.ts';

const long = (letter: string) => letter.repeat(40);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'msr-widths-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function expectNarrow(text: string): void {
  expect(text.length).toBeGreaterThan(100);
  expect(text.split('\n').filter((line) => line.length > COLUMNS)).toEqual([]);
}

const DAYS_AGO = BigInt(Date.now() - 99 * 86_400_000);
const reference = { namespace: long('n'), name: long('s'), key: long('k') };
const endpoints = [{ host: `${long('h')}.example.com`, port: 443, path: `/${long('a')}/**` }];
const common = { provider: long('p'), reference, endpoints, fingerprint: 'f'.repeat(16) };
const ANSWERS: Answers = {
  list: {
    credentials: [
      {
        ...common,
        key: long('K'),
        state: CredentialState.SERVED,
        required: true,
        expiresAtMs: 32_472_144_000_000n,
      },
      ...Object.keys(REMEDIES).map((reason) => ({
        ...common,
        key: long('R'),
        state: CredentialState.REFUSED,
        reason,
        required: true,
      })),
    ],
  },
  status: {
    version: '10.10.10-rc.10',
    serving: true,
    startedAtMs: DAYS_AGO,
    sandbox: { id: long('i'), name: long('x'), namespace: long('n') },
    boundary: { state: BoundaryState.PROVEN },
    volumes: [
      { namespace: long('n'), name: long('s'), state: 'secret-missing', keys: 2_000, readAtMs: DAYS_AGO },
      {
        namespace: long('n'),
        name: long('t'),
        state: 'mounted-by-sub-path',
        keys: 2_000,
        readAtMs: DAYS_AGO,
      },
    ],
    watchers: [
      {
        caller: long('c'),
        pid: 4_194_304,
        sinceMs: DAYS_AGO,
        servedLagMs: 12_345.6,
        unacknowledgedMs: 12_345_678,
      },
      {
        caller: long('d'),
        acknowledgedOutcome: AcknowledgeOutcome.REJECTED,
        rejections: 1_000,
        acknowledgedLagMs: 12_345.6,
      },
    ],
    refusedPeers: [{ uid: 4_294_967_294, reason: 'uid-not-listed', count: 1_000_000n, lastMs: DAYS_AGO }],
  },
};

describe('of a resolver that answers', () => {
  it.each(['list', 'get', 'status'])('%s', async (command) => {
    await using fake = await FakeResolver.open(ANSWERS);
    const { stdout } = await runInProcess(command, '--socket', fake.socket);
    expectNarrow(stdout);
    const wide = await runInProcess(command, '-o', 'wide', '--socket', fake.socket);
    const whole = command === 'status' ? `sandbox ${long('n')}/${long('x')} (${long('i')})` : long('h');
    expect(wide.stdout).toContain(whole);
  });
});

describe('of files', () => {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  test('config validate', async () => {
    for (const name of ['providers', 'profiles']) mkdirSync(join(folder, name));
    const source = `{type: kubernetesSecret, namespace: ${long('n')}, name: ${long('s')}, key: ${long('k')}}`;
    const bulk = `{type: kubernetesSecret, name: ${long('b')}}`;
    const provider = (name: string) =>
      `provider:\n  name: ${long(name)}\n  type: ${long('t')}\n  endpoints: [{host: h.example.com}]\n  credentials: {${long(name).toUpperCase()}: {source: ${source}}}\n  credentialsFrom: [{source: ${bulk.replace('bb', name + name)}, mode: allKeys}]\n`;
    for (const name of ['p', 'q', 'r']) file(`providers/${name}.yaml`, provider(name));
    const config = file(
      'config.yaml',
      `sandbox: {id: i, name: n, namespace: ${long('n')}}\nprovidersDir: ${folder}/providers\nprofilesDir: ${folder}/profiles\ncallers: [{name: ${long('c')}, uid: 4000000000, providers: ["*"]}]\n`,
    );
    const { code, stdout } = await runInProcess('config', 'validate', config);
    expect(code).toBe(0);
    const summary = stdout.slice(stdout.indexOf('\n  provider ') + 1);
    expectNarrow(summary);
    for (const word of [long('p'), long('P'), long('n'), long('s'), long('k'), long('c')])
      expect(summary).toContain(word);
    const wide = await runInProcess('config', 'validate', config, '-o', 'wide');
    expect(wide.stdout).toContain(
      `  provider ${long('p')} (${long('t')}): ${long('P')} = ${long('n')}/${long('s')}/${long('k')}, allKeys of `,
    );
  });

  test('lint, of what it checked, and of its rules', async () => {
    const pod = (name: string) =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: ${long(name)}, namespace: n-1}\nspec: {initContainers: [{name: secret-resolver, image: i}], containers: [{name: agent, image: i}]}\n`;
    const stream = file('pods.yaml', ['a', 'b', 'c'].map(pod).join('---\n'));
    const { stdout } = await runInProcess('lint', '-f', stream);
    const summary = stdout.slice(stdout.lastIndexOf('\nchecked ') + 1);
    expect(summary.replaceAll(/\s+/g, ' ')).toContain(
      `checked Pod ${long('a')}, Pod ${long('b')}, Pod ${long('c')}: `,
    );
    expectNarrow(summary);
    expectNarrow((await runInProcess('lint', '--rules')).stdout);
  });

  test('profile lint, in its last line', async () => {
    const profile = file('p.yaml', `id: ${long('i')}\n`);
    const { stdout } = await runInProcess('profile', 'lint', profile);
    expect(stdout).toMatch(/\n1 profile, .{1,60}\n$/);
  });
});

test('check, of what passed, and its verdict', () => {
  const findings = CHECKS.map(({ id, severity }) => ({
    id,
    severity,
    outcome: 'pass' as const,
    evidence: '',
    remedy: '',
  }));
  const sandbox = { id: long('i'), name: long('x'), namespace: long('n') };
  const report = { version: '1', checkedAtMs: 0, sandbox, findings };
  expectNarrow(renderTable({ ...report, state: 'proven' }, { colour: false, all: false }));
  expectNarrow(renderTable({ ...report, state: 'relaxed' }, { colour: false, all: false }));
});

test('self-test, of what it is, its table and its verdict', () => {
  const report: SelfTestReport = {
    passed: false,
    agent: {
      uid: 4_000_000_000,
      gid: 4_000_000_000,
      groups: Array(16).fill(4_000_000_000),
      capabilities: '0000000000000000',
    },
    socketPath: '/run/secret-resolver/socket/resolver.sock',
    secretsRoot: '/var/lib/secret-resolver/secrets',
    attacks: [
      {
        id: 'ephemeral-container-exec',
        what: `attack ${'the resolver '.repeat(8)}`,
        outcome: 'broken',
        accepted: true,
        reason: `${long('s')}: ${long('x')}`,
        tries: [],
        omitted: 0,
        rightReasons: ['EACCES'],
        durationMs: 1,
      },
    ],
    counts: { held: 100, broken: 100, unclear: 100, 'not-applicable': 0 },
    durationMs: 100_000,
  } as unknown as SelfTestReport;
  expectNarrow(formatReport(report, false, false));
  expect(formatReport(report, false, true)).toMatch(/do not start the agent here\. 100 held, /);
});

describe('a wrapped line', () => {
  it('is kept where it fits, and has every word otherwise', () => {
    expect(wrapped('  short', 4)).toBe('  short');
    const words = Array.from({ length: 40 }, (_, index) => `word${index}`);
    const text = wrapped(`  ${words.join(' ')}`, 4);
    expectNarrow(text);
    expect(text.split(/\s+/).filter((word) => word !== '')).toEqual(words);
    expect(text.split('\n').slice(1)).toEqual(
      text
        .split('\n')
        .slice(1)
        .map((line) => `    ${line.trim()}`),
    );
  });

  it('breaks a reference behind its slashes, and what has none not at all', () => {
    expect(wrapped(`  ${long('n')}/${long('s')}/${long('k')}`, 4)).toBe(
      `  ${long('n')}/\n    ${long('s')}/\n    ${long('k')}`,
    );
    expect(wrapped(`  a ${'x'.repeat(100)}`, 4)).toBe(`  a\n    ${'x'.repeat(100)}`);
  });
});
