/** Names that a stranger's manifest or the wire brings never drive the terminal, in what any command says to a person. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { main } from '../../src/cli/run.ts';
import { BoundaryState, CredentialState } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { CONFIG_FILE, readInput } from '../manifest/support.ts';
import { type Answers, FakeResolver } from '../support/fake-resolver.ts';
import { keptContext, runInProcess } from '../support/in-process.ts';

const EVIL = 'e\x1b[31m\nforged: line\u202e';
const SHOWN = 'e\\x1b[31m\\x0aforged: line\\u{202e}';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'msr-hostile-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** That the name is shown, and nothing that drives a terminal; a line that it forged would begin with its second half. */
function expectHarmless(text: string): void {
  expect(text).toContain(SHOWN);
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(text).not.toMatch(/^\s*forged/m);
}

const reference = { namespace: EVIL, name: EVIL, key: EVIL };
const endpoints = [{ host: EVIL, port: 443, path: EVIL }];
const ANSWERS: Answers = {
  environment: {
    environment: { [EVIL]: Buffer.from('x') },
    credentialProviders: { [EVIL]: EVIL },
    staticCredentialBindings: { [EVIL]: { endpoints, workloadCredentialHandle: 'a'.repeat(64) } },
    refusals: [{ provider: EVIL, key: EVIL, reason: EVIL, required: true }],
  },
  list: {
    credentials: [
      { provider: EVIL, key: EVIL, reference, state: CredentialState.SERVED, fingerprint: EVIL, endpoints },
      { provider: EVIL, key: `${EVIL}2`, reference, state: CredentialState.REFUSED, reason: EVIL, endpoints },
    ],
  },
  status: {
    version: EVIL,
    sandbox: { id: EVIL, name: EVIL, namespace: EVIL },
    boundary: {
      state: BoundaryState.BROKEN,
      exceptions: [EVIL],
      findings: [{ id: EVIL, severity: EVIL, outcome: 'fail', evidence: EVIL, remedy: EVIL }],
    },
    volumes: [{ namespace: EVIL, name: EVIL, state: EVIL, generation: EVIL }],
    watchers: [{ caller: EVIL, consumer: EVIL, node: EVIL }],
    notServingBecause: [{ reason: EVIL, provider: EVIL, key: EVIL, reference, remedy: EVIL }],
    refusedPeers: [{ uid: 1, reason: EVIL }],
    audit: { error: EVIL, dropped: 1n },
  },
};

describe('on the wire', () => {
  test.each([
    [['list']],
    [['list', '-o', 'wide']],
    [['get']],
    [['get', '-o', 'wide']],
    [['status']],
    [['status', '-o', 'wide']],
    [['watch', '--count', '1']],
  ])('%j', async (command) => {
    await using fake = await FakeResolver.open(ANSWERS);
    const { stdout, stderr } = await runInProcess(...command, '--socket', fake.socket);
    expect(stderr).toBe('');
    expectHarmless(stdout);
  });

  test.each(['list', 'get', 'status', 'watch'])('the message of an error: %s', async (command) => {
    await using fake = await FakeResolver.open({ error: { code: status.PERMISSION_DENIED, details: EVIL } });
    const { code, stdout, stderr } = await runInProcess(command, '--socket', fake.socket);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    // gRPC has a status message in one line; what it makes of the rest is not escaped by it.
    expect(stderr).toContain('e\\x1b[31m');
    expect(stderr.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A name as YAML and JSON write it in double quotes. */
const quoted = JSON.stringify(EVIL);

describe('in a manifest', () => {
  const flags = ['-c', CONFIG_FILE, '--image', 'registry.example/secret-resolver:0.1.0'];
  test('inject: notes, what it passes through, and the summary', async () => {
    const stranger = `apiVersion: v1\nkind: ${quoted}\nmetadata: {name: x, namespace: tenant-a}\nspec: {template: {spec: {containers: [{name: a, image: i}]}}}\n`;
    const pod = readInput('pod.yaml').replace('spec:\n', `spec:\n  serviceAccountName: ${quoted}\n`);
    const path = file('pod-\x9b.yaml', `${pod}---\n${stranger}`);
    const { code, stdout, stderr } = await runInProcess('inject', ...flags, '-f', path, '-i');
    expect(stderr.split('\n')).toEqual([
      `passed through: ${SHOWN} x (inject does not know v1 ${SHOWN})`,
      expect.stringContaining(`so no container gets the token of ${SHOWN};`),
      `${path.replace('\x9b', '\\x9b')}: Pod agent-pod`,
      '',
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expectHarmless(stderr);
  });

  test('inject and lint: what is wrong, and with which of the names', async () => {
    const other = `apiVersion: v1\nkind: ${quoted}\nmetadata: {name: x}\n`;
    const none = await runInProcess('inject', ...flags, '-f', file('kind.yaml', other));
    expect(none).toMatchObject({ code: 2, stdout: '' });
    expectHarmless(none.stderr);
    const pod = `apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: tenant-a}\nspec:\n  initContainers: [{name: secret-resolver, image: i}]\n  containers: [{name: ${quoted}, image: i, securityContext: {privileged: true}}]\n`;
    const path = file('lint.yaml', pod);
    expectHarmless((await runInProcess('lint', '-f', path, '--agent', EVIL)).stdout);
    const unread = file('unread.yaml', `${pod}---\n${other.replace('metadata', `${quoted}: {}\nmetadata`)}`);
    expectHarmless((await runInProcess('lint', '-f', unread, '--agent', EVIL)).stdout);
  });

  test('a file of a folder', async () => {
    const path = join(folder, 'files');
    mkdirSync(path);
    writeFileSync(join(path, 'a\x1b[31m.yaml'), Buffer.from([0xc3, 0x28]));
    expect(await runInProcess('lint', '-f', path)).toMatchObject({
      code: 2,
      stderr: `secret-resolver: ${path}/a\\x1b[31m.yaml: is not UTF-8 text (save it as UTF-8)\n`,
    });
  });

  test('inject --diff escapes on a terminal, and is for patch as it is elsewhere', async () => {
    const evil = readInput('pod.yaml')
      .replace('name: agent-pod', 'name: agent-pod # \x1b[31m')
      .replace('spec:\n', 'spec:\n  # a\tb \x1b[2J\r\n');
    const diff = async (isTTY: boolean) => {
      const { context, kept } = keptContext();
      Object.assign(context, { env: { NO_COLOR: '1' }, stdin: Readable.from([Buffer.from(evil)]) });
      Object.assign(context.stdout, { isTTY });
      await main(['inject', ...flags, '-f', '-', '--diff'], COMMANDS, context);
      return kept.stdout;
    };
    expect(await diff(false)).toContain(' # a\tb \x1b[2J\r\n');
    const shown = await diff(true);
    expect(shown).toContain(' # a\tb \\x1b[2J\r\n');
    expect(shown).toContain('name: agent-pod # \\x1b[31m\n');
    expect(shown).not.toContain('\x1b');
  });
});

describe('in a configuration', () => {
  test('a file of two lines beside the providers is one file, which is not read', async () => {
    const providers = join(folder, 'two-lines');
    mkdirSync(providers);
    writeFileSync(join(providers, `${EVIL}.yaml`), 'provider: 7\n');
    const config = file('two-lines.yaml', 'sandbox: {id: i, name: n, namespace: tenant-a}\n');
    const { code, stdout } = await runInProcess('config', 'validate', config, '--providers', providers);
    expect(code).toBe(0);
    expect(stdout).toContain(`${providers}/${SHOWN}.yaml: warning: is not read [secret-resolver]\n`);
    expectHarmless(stdout);
  });

  test('the file of a provider', async () => {
    const providers = join(folder, 'providers');
    mkdirSync(providers);
    writeFileSync(join(providers, 'a\x1b[31m.yaml'), 'provider: 7\n');
    const config = file('config.yaml', 'sandbox: {id: i, name: n, namespace: tenant-a}\n');
    for (const command of [
      ['config', 'validate', config, '--providers', providers],
      ['openshell', 'doctor', '-c', config],
      ['serve', '--config', config],
      ['inject', '-f', file('p.yaml', readInput('pod.yaml')), '-c', config, '--image', 'i:1'],
    ]) {
      const { code, stdout, stderr } = await runInProcess(...command);
      expect(code).toBe(2);
      if (command[0] !== 'serve') expect(stdout + stderr).toContain(`${providers}/a\\x1b[31m.yaml:1:1: `);
      expect(stdout + stderr).not.toContain('\x1b');
    }
  });
});
