import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { complaints } from './house.ts';
import { translations } from './words.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'check-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function plant(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

describe('the house', () => {
  it('lets imports go down', () => {
    plant({
      'src/main.ts': `await import('./cli/run.ts');`,
      'src/cli/run.ts': `import { a } from '../domain/a.ts';\nexport type { A } from '../gen/a.ts';`,
      'src/domain/a.ts': 'export const a = 1;',
      'src/gen/a.ts': 'export type A = 1;',
    });
    expect(complaints(root)).toEqual([]);
  });

  it.each([
    ['an import', `import { run } from '../cli/run.ts';`],
    ['an import of a type', `import type { Run } from '../cli/run.ts';`],
    ['a re-export', `export * from '../cli/run.ts';`],
    ['an import while it runs', `export const run = () => import('../cli/run.ts');`],
  ])('refuses %s that goes up', (_, text) => {
    plant({ 'src/domain/a.ts': text, 'src/cli/run.ts': '' });
    expect(complaints(root)).toEqual(['src/domain/a.ts: imports cli/run.ts, which is above it']);
  });

  it('refuses a circle, a folder that it does not know, and an import from outside src', () => {
    plant({
      'src/domain/a.ts': `import './b.ts';`,
      'src/domain/b.ts': `import './a.ts';`,
      'src/attic/c.ts': '',
      'src/cli/d.ts': `import '../../test/e.ts';`,
    });
    expect(complaints(root)).toEqual([
      'src/attic/c.ts: its folder is not in ROOMS of tools/check/house.ts',
      'src/cli/d.ts: imports test/e.ts, which is outside src',
      'circle: src/domain/a.ts → src/domain/b.ts → src/domain/a.ts',
    ]);
  });

  it('refuses a file of 351 lines and a function of 81, but not what is generated', () => {
    const long = `export function f() {\n${'void 0;\n'.repeat(79)}}\n${'\n'.repeat(269)}export {};\n`;
    plant({ 'src/cli/a.ts': long, 'src/gen/a.ts': long });
    expect(complaints(root)).toEqual([
      'src/cli/a.ts: 351 lines; at most 350',
      'src/cli/a.ts:1: a function of 81 lines; at most 80',
    ]);
  });
});

describe('the word list', () => {
  it('finds a sentence in a document, a comment and a message', () => {
    execFileSync('git', ['init', '--quiet'], { cwd: root });
    plant({
      'README.md': 'The socket stands in a folder.\n',
      'src/a.ts': "// Whoever reads this.\nexport const message = 'serves all the same';\n",
      'src/gen/b.ts': '// all the same\n',
      'deploy/c.yaml': 'name: recommended\n',
    });
    expect(translations(root)).toEqual([
      'README.md:1: "stands in": write "replaces", "is in"',
      'src/a.ts:1: "// Whoever": write name the subject',
      'src/a.ts:2: "all the same": write "anyway"',
    ]);
  });
});
