/** What the process loads is what SECURITY.md accounts for: each package by its name, and how deep they lie. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

interface LockedPackage {
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
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

const names = (list = '') =>
  list
    .replace(/\(.*?\)/gs, '')
    .split(',')
    .map((name) => name.trim().replaceAll('\\', ''))
    .filter(Boolean);

/** The list of what each of them brings. */
const brought = [...section.matchAll(/^- \*\*(\S+)\*\*: ([\s\S]*?)\.\n(?=\n|- )/gm)].map(
  ([, by = '', list = '']) => {
    const [carried, leftOut] = list.replace(/\s+/g, ' ').split('. Left out of the image: ');
    return { by, carried: names(carried), leftOut: names(leftOut) };
  },
);

/** Where a package that `from` asks for is installed: beside it, or in the nearest folder above. */
function installed(from: string, name: string): string | undefined {
  for (let above = from; ; above = above.slice(0, Math.max(0, above.lastIndexOf('/node_modules/')))) {
    const path = `${above === '' ? '' : `${above}/`}node_modules/${name}`;
    if (locked.has(path)) return path;
    if (above === '') return undefined;
  }
}

/** How many levels of packages lie below one, as \`npm ls --all\` shows them. */
function depth(path: string, without: ReadonlySet<string>, above: readonly string[] = []): number {
  const { dependencies, optionalDependencies } = locked.get(path) ?? {};
  const below = Object.keys({ ...dependencies, ...optionalDependencies })
    .map((name) => installed(path, name))
    .filter((child) => child !== undefined)
    .filter((child) => !above.includes(child) && !without.has(entryOf(child)))
    .map((child) => 1 + depth(child, without, [...above, path]));
  return Math.max(0, ...below);
}

describe('the table of the trusted base', () => {
  it('has a row for every runtime dependency and no other, with a reason, a size, what it brings and who is behind it', () => {
    const rows = table('package');
    expect(rows.map(([name]) => name).sort()).toEqual(direct.toSorted());
    expect(rows.filter((row) => row.length !== 5 || row.some((cell) => cell === ''))).toEqual([]);
  });

  it('has an entry for every package that those bring, and for no other', () => {
    const listed = brought.flatMap(({ carried, leftOut }) => [...carried, ...leftOut]);
    expect(listed.sort()).toEqual([...runtime].filter((name) => !direct.includes(name)).sort());
    expect(brought.filter(({ by }) => !direct.includes(by))).toEqual([]);
  });

  it('says of each package who brings it', () => {
    const below = (path: string, seen = new Set<string>()): Set<string> => {
      const { dependencies, optionalDependencies } = locked.get(path) ?? {};
      for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
        const child = installed(path, name);
        if (child === undefined || seen.has(child)) continue;
        seen.add(child);
        below(child, seen);
      }
      return seen;
    };
    for (const { by, carried, leftOut } of brought) {
      const reached = new Set([...below(`node_modules/${by}`)].map(entryOf));
      expect([...carried, ...leftOut].filter((name) => !reached.has(name))).toEqual([]);
    }
    const counted = table('package').map(([name, , , brings = '']) => [name, brings]);
    const expected = table('package').map(([name = '']) => {
      const path = `node_modules/${name}`;
      const { size } = below(path);
      if (size === 0) return [name, 'nothing'];
      return [name, name === 'koffi' ? 'its addon' : `${size}, ${1 + depth(path, new Set())} deep`];
    });
    expect(counted).toEqual(expected);
  });

  it('says of each package whether the image has it, as the image is built', () => {
    const leftOut = read('deploy/image/left-out.txt')
      .split('\n')
      .filter((line) => /^[^#]/.test(line));
    const said = brought.flatMap((row) => row.leftOut);
    const covers = (entry: string, name: string) => name === entry || name.startsWith(`${entry}/`);
    expect(said.filter((name) => !leftOut.some((entry) => covers(entry, name)))).toEqual([]);
    expect(leftOut.filter((entry) => !said.some((name) => covers(entry, name)))).toEqual([]);
    const carried = brought.flatMap((row) => row.carried);
    expect(carried.filter((name) => leftOut.some((entry) => covers(entry, name)))).toEqual([]);
  });

  it('says how deep the tree of the packages is', () => {
    const [, all, image] = /is (\d+) levels\s+deep, and (\d+) in the image/.exec(section) ?? [];
    const leftOut = new Set(brought.flatMap((row) => row.leftOut));
    expect(Number(all)).toBe(depth('', new Set()));
    expect(Number(image)).toBe(depth('', leftOut));
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
