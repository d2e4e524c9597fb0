/**
 * Every path of this repository that a document names exists in it: a file, a folder, a pattern that matches one, or a
 * test by its name without `.test.ts`. And each promise of SECURITY.md names a test.
 */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
/** What was released is history, and so is what a decision lists as deleted. */
const HISTORY = /^CHANGELOG\.md$/;
const DELETED = /^## Deleted\n[\s\S]*?(?=^## |$(?![\s\S]))/gm;
/** Not after a letter, a slash or a dot: `../src/x` is a link, `crates/a/src/b.rs` is somebody else's. */
const PATH = /(?<![\w/.@-])(?:\.\/)?((?:test|examples|src|tools|deploy)\/[\w.*{},/-]*[\w*}])/g;
/** A file that somebody writes by following the document. */
const WRITTEN = /--output \S*$/;

const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((document) => !HISTORY.test(document));

function named(text: string): string[] {
  const current = text.replaceAll(DELETED, '');
  return [...current.matchAll(PATH)]
    .filter(({ index }) => !WRITTEN.test(current.slice(0, index)))
    .map(([, path = '']) => path);
}

const exists = (path: string) =>
  globSync([path, `${path}.test.ts`], { cwd: ROOT }).length > 0 && !path.includes('//');

describe('the paths', () => {
  it.each(documents)('of %s', (document) => {
    const paths = named(readFileSync(join(ROOT, document), 'utf8'));
    expect([...new Set(paths)].filter((path) => !exists(path))).toEqual([]);
  });

  it('are found in sentences, tables and commands, and nowhere else', () => {
    const text =
      'See src/a.ts, `deploy/b/*.yaml`; ./tools/c. | test/d/e, test/f (a crash) |\n' +
      '[g](../src/h.ts) github.com/i/src/j.rs --output examples/k.bin\n## Deleted\n`src/l.ts`\n## Kept\nsrc/m';
    expect(named(text)).toEqual(['src/a.ts', 'deploy/b/*.yaml', 'tools/c', 'test/d/e', 'test/f', 'src/m']);
    expect(
      ['test/docs/paths', 'test/docs', 'test/docs/*.ts', 'src/{cli,config}'].filter(exists),
    ).toHaveLength(4);
    expect(['test/docs/path', 'src/none.ts', 'deploy/*.none'].filter(exists)).toEqual([]);
  });
});

it('names a test for each promise of SECURITY.md', () => {
  const [, section = ''] =
    /\n## What we promise\n([\s\S]*?)\n<!-- begin/.exec(readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')) ??
    [];
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => line.split('|').map((cell) => cell.trim()));
  expect(rows.length).toBeGreaterThan(20);
  const without = rows.filter(
    ([, , test = '']) => !/^(test\/|the leak search that ends every test run)/.test(test),
  );
  expect(without).toEqual([]);
});
