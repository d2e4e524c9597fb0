/** What the process loads is what SECURITY.md accounts for: each package by its name, and how deep they lie. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

interface LockedPackage {
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly license?: string;
}

const manifest = JSON.parse(read('package.json')) as {
  readonly dependencies: Record<string, string>;
  readonly allowScripts: Record<string, boolean>;
};
const locked = new Map(
  Object.entries(
    (JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> }).packages,
  ),
);
/** koffi's addons, one for each platform, are one entry. */
const entryOf = (path: string) =>
  path.replace(/^.*node_modules\//, '').replace(/^@koromix\/koffi-.*/, '@koromix/koffi-*');
const runtime = new Set(
  [...locked].filter(([path, { dev }]) => path !== '' && !dev).map(([path]) => entryOf(path)),
);
const direct = Object.keys(manifest.dependencies);

const section = /## Trusted base\n([\s\S]*?)\n## /.exec(read('SECURITY.md'))?.[1] ?? '';

/** Rows of the section's table with this head, as their cells. */
function table(head: string): string[][] {
  const [, rows = ''] = new RegExp(`^\\| ${head} .*\\n\\| -.*\\n((?:\\|.*\\n)*)`, 'm').exec(section) ?? [];
  return rows
    .trim()
    .split('\n')
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe('the table of the trusted base', () => {
  it('has a row for every runtime dependency and no other, with a reason, a size and who is behind it', () => {
    const rows = table('package');
    expect(rows.map(([name]) => name).sort()).toEqual(direct.toSorted());
    expect(rows.filter((row) => row.length !== 4 || row.some((cell) => cell === ''))).toEqual([]);
  });

  it('is followed by every package of the lock file that the product can load', () => {
    const [, list = ''] =
      /<!-- begin: packages[\s\S]*?-->([\s\S]*?)<!-- end: packages -->/.exec(section) ?? [];
    const listed = [...list.matchAll(/ ([@a-z][\w.@/-]*)(?: \|)? \d+\.\d+\.\d+/g)].map(([, name]) => name);
    expect(list).toContain('@koromix/koffi-\\*');
    expect(new Set([...listed, '@koromix/koffi-*'])).toEqual(runtime);
  });

  it('names only licences that a product under Apache-2.0 may use', () => {
    const licences = [...locked].flatMap(([path, { dev, license }]) => (path === '' || dev ? [] : license));
    expect(new Set(licences)).toEqual(
      new Set(['Apache-2.0', 'MIT', 'ISC', 'BSD-3-Clause', '0BSD', '(Apache-2.0 AND BSD-3-Clause)']),
    );
  });

  it('names the packages that the image leaves out', () => {
    const leftOut = read('deploy/image/left-out.txt')
      .split('\n')
      .filter((line) => /^[^#]/.test(line));
    const covers = (entry: string, name: string) => name === entry || name.startsWith(`${entry}/`);
    expect(leftOut.filter((entry) => ![...runtime].some((name) => covers(entry, name)))).toEqual([]);
    expect(direct.filter((name) => leftOut.some((entry) => covers(entry, name)))).toEqual([]);
  });
});

it('every runtime dependency is pinned to one version', () => {
  for (const version of Object.values(manifest.dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

describe('install scripts', () => {
  it('are named, each of them: a package with a new one fails this', () => {
    const withScript = [...locked]
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => entryOf(path));
    expect(Object.keys(manifest.allowScripts).sort()).toEqual(withScript.sort());
  });

  it('may run for no package of the product', () => {
    const allowed = Object.entries(manifest.allowScripts).flatMap(([name, allow]) => (allow ? [name] : []));
    expect(allowed).toEqual(['node']);
    expect(runtime).not.toContain('node');
  });
});
