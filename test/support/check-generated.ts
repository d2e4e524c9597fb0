/**
 * Compares what is generated with what is committed: `src/gen` with what buf makes of `proto/`, `deploy/schema` with what
 * the CLI prints, and what the catalogue of controls gives. Ends with exit 1 and the names of the files that differ.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { generatedFiles } from '../../tools/generate/files.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** Where the published JSON Schemas are committed. */
export const SCHEMA_DIRECTORY = join(ROOT, 'deploy', 'schema');

/** Files that differ between what is generated now and what is committed; each with what is wrong about it. */
export function staleFiles(): string[] {
  const fresh = mkdtempSync(join(tmpdir(), 'generated-'));
  try {
    const bin = join(ROOT, 'node_modules', '.bin');
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
    execFileSync(join(bin, 'buf'), ['generate', '--output', fresh], { cwd: ROOT, env, stdio: 'inherit' });
    return [
      ...differences('src/gen', filesBelow(join(fresh, 'src', 'gen'))),
      ...differences('deploy/schema', schemas()),
      ...staleControls(),
    ];
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function differences(folder: string, fresh: ReadonlyMap<string, string>): string[] {
  const committed = filesBelow(join(ROOT, folder));
  return [...new Set([...fresh.keys(), ...committed.keys()])].sort().flatMap((name) => {
    const [now, then] = [fresh.get(name), committed.get(name)];
    if (now === then) return [];
    return `${folder}/${name}: ${then === undefined ? 'is missing' : now === undefined ? 'is not generated any more' : 'is out of date'}`;
  });
}

/** Files that are not what the catalogue of controls gives. */
export function staleControls(fresh = generatedFiles()): string[] {
  return [...fresh].flatMap(([file, text]) =>
    existsSync(join(ROOT, file)) && readFileSync(join(ROOT, file), 'utf8') === text
      ? []
      : [`${file}: is out of date`],
  );
}

/** Text of each file, by its path below the folder. */
function filesBelow(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}

function schemas(): Map<string, string> {
  const main = join(ROOT, 'src', 'main.ts');
  return new Map(
    ['config', 'provider', 'profile'].map((name) => [
      `${name}.schema.json`,
      execFileSync(process.execPath, [main, 'config', 'schema', name], { encoding: 'utf8' }),
    ]),
  );
}

if (import.meta.main) {
  const stale = staleFiles();
  for (const line of stale) console.error(line);
  if (stale.length > 0) {
    console.error('Run `npm run generate`, and commit what it changes.');
    process.exitCode = 1;
  }
}
