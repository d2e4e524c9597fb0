/** Linters that Python's registry has, installed outside the repository. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

const REQUIREMENTS = join(import.meta.dirname, 'python-tools.txt');
const INSTALL = `[ -e "$0/ready" ] || { pip3 install --quiet --no-deps --only-binary=:all: --target "$0" --requirement "$1" && touch "$0/ready"; }`;

/** Runs a program of what python-tools.txt lists. */
export async function pythonTool(
  name: string,
  args: readonly string[],
): Promise<{ readonly exitCode: number | undefined; readonly output: string }> {
  const version = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12);
  const folder = join(homedir(), '.cache/mounted-secret-resolver', `python-tools-${version}`);
  mkdirSync(folder, { recursive: true });
  // One installation for all test files that start at the same time.
  await execa('flock', [`${folder}.lock`, 'sh', '-c', INSTALL, folder, REQUIREMENTS], { timeout: 300_000 });
  const { exitCode, all } = await execa(join(folder, 'bin', name), args, {
    env: { PYTHONPATH: folder },
    all: true,
    reject: false,
  });
  return { exitCode, output: all };
}
