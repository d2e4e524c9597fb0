/** Every command of the quick starts runs as it is written, in one shell, unless it is marked as needing a cluster. */
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MAIN, NODE } from '../support/checkout.ts';
import { endWithUs, removeWithUs } from '../support/leftovers.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { blocks } from './blocks.ts';

const CLUSTER = '# needs a cluster\n';
const PROGRAMS = /\b(?:kubectl|helm|docker|openshell (?:--|workspace))/;

/** What a page shows besides that every command ends with 0. */
const SHOWN: Readonly<Record<string, readonly RegExp[]>> = {
  'docs/quick-start/envoy.md': [
    /0 errors, 0 warnings/,
    /name: GITLAB_TOKEN\n +value: openshell:resolve:env:GITLAB_TOKEN/,
  ],
  'docs/quick-start/laptop.md': [
    /^serving$/m,
    /^ {2}GITLAB_TOKEN +served/m,
    /^ {2}GITLAB_TOKEN +[0-9a-f]{16}$/m,
    /^ {2}GITLAB_TOKEN +key-missing/m,
    /"credential revoked"/,
  ],
  'docs/quick-start/openshell.md': [
    /^0 errors, 1 warning$/m,
    /^next: openshell --workspace team-a provider create --name gitlab /m,
    /"msg":"listening"/,
  ],
};

let root: string;
let remove: () => void;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'msr-quick-start-'));
  remove = removeWithUs(root);
  mkdirSync(join(root, 'bin'));
  const program = `#!/bin/sh\nexec '${NODE}' '${MAIN}' "$@"\n`;
  writeFileSync(join(root, 'bin/secret-resolver'), program, { mode: 0o755 });
});
afterAll(() => remove());

it('has an expectation for each page', () => {
  expect(globSync('docs/quick-start/*.md').sort()).toEqual(Object.keys(SHOWN));
});

it.each(Object.entries(SHOWN))('%s', async (page, shown) => {
  const all = blocks(page, 'sh');
  const here = all.filter((block) => !block.startsWith(CLUSTER));
  for (const block of here) expect(block).not.toMatch(PROGRAMS);
  for (const block of all.filter((block) => !here.includes(block))) expect(block).toMatch(PROGRAMS);
  const folder = mkdtempSync(join(root, 'page-'));
  const token = newSecret();
  // Read and not exported, as the pages say.
  const script = ['set -euo pipefail', 'read -r GITLAB_TOKEN', ...here].join('\n');
  const shell = spawn('bash', ['-c', script], {
    cwd: folder,
    detached: true,
    env: { PATH: `${join(root, 'bin')}:${process.env.PATH}`, HOME: folder },
  });
  endWithUs(shell, true);
  shell.stdin.end(`${token}\n`);
  const ended = new Promise((done) => shell.once('exit', done));
  const [out, error] = await Promise.all([text(shell.stdout), text(shell.stderr)]);
  expect(await ended, out + error).toBe(0);
  for (const words of shown) expect(out).toMatch(words);
  // A page that rotates makes the second value itself.
  const values = globSync('secrets/*/*/..*/*token', { cwd: folder }).map((file) =>
    readFileSync(join(folder, file), 'utf8'),
  );
  const logs = globSync('*.log', { cwd: folder }).map((log) => readFileSync(join(folder, log), 'utf8'));
  for (const value of [token, ...values.map(registerSecret)])
    for (const text of [out, error, ...logs]) expect(text).not.toContain(value);
});
