/** What the process loads is what SECURITY.md accounts for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly dependencies: Record<string, string>;
  readonly allowScripts: Record<string, boolean>;
};

it('every runtime dependency stands in the table of the trusted base, and nothing else does', () => {
  const section =
    /## Trusted base\n([\s\S]*?)\n## /.exec(readFileSync(join(ROOT, 'SECURITY.md'), 'utf8'))?.[1] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| ') && !/^\| (-|package)/.test(line));
  const named = rows.flatMap(
    (row) =>
      row
        .split('|')[1]
        ?.split(',')
        .map((name) => name.trim()) ?? [],
  );
  expect(named.sort()).toEqual(Object.keys(manifest.dependencies).sort());
});

it('every runtime dependency is pinned to one version', () => {
  for (const version of Object.values(manifest.dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

it('no package of the product may run a script when it is installed', () => {
  const allowed = Object.entries(manifest.allowScripts).flatMap(([name, allow]) => (allow ? [name] : []));
  expect(allowed).toEqual(['node']);
  expect(Object.keys(manifest.dependencies)).not.toContain('node');
});
