import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

function check(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, 'check', ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
    timeout: 20_000,
  });
}

it('exits 2 without a configuration, and says how to give one', () => {
  const { status, stderr } = check();
  expect(status).toBe(2);
  expect(stderr).toContain('SECRET_RESOLVER_CONFIG');
});

it('exits 2 for a configuration that is not there, and names it', () => {
  const { status, stderr } = check('--config', '/nonexistent/config.yaml');
  expect(status).toBe(2);
  expect(stderr).toContain('/nonexistent/config.yaml: cannot be read: ENOENT');
});

it('exits 2 for a form of output that it does not know', () => {
  const { status, stderr } = check('--output', 'pdf');
  expect(status).toBe(2);
  expect(stderr).toContain('table, wide, json, yaml, html');
});

it('has a help text that says where to run it', () => {
  const { status, stdout } = check('--help');
  expect(status).toBe(0);
  expect(stdout).toContain('kubectl exec POD -c secret-resolver -- secret-resolver check');
});
