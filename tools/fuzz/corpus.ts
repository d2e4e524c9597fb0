/** The corpus and the findings on disk: one file an input, named by its content. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nameOf } from './engine.ts';

/** Size limits of a corpus, which every test run replays. */
export const CORPUS_LIMIT = { files: 200, bytes: 256 * 1024 } as const;

const folderOf = (kind: 'corpus' | 'findings', target: string): string =>
  join(import.meta.dirname, kind, target);

/** Inputs of a target, in the order of their names. */
export function readCorpus(target: string): Buffer[] {
  const folder = folderOf('corpus', target);
  try {
    return readdirSync(folder)
      .sort()
      .map((name) => readFileSync(join(folder, name)));
  } catch {
    return [];
  }
}

/** Replaces the inputs of a target. */
export function writeCorpus(target: string, inputs: readonly Buffer[]): void {
  const folder = folderOf('corpus', target);
  mkdirSync(folder, { recursive: true });
  const names = new Set(inputs.map(nameOf));
  for (const name of readdirSync(folder)) if (!names.has(name)) rmSync(join(folder, name));
  for (const input of inputs) writeFileSync(join(folder, nameOf(input)), input);
}

/** Keeps the input of a finding; the file that it is in. */
export function writeFinding(target: string, input: Buffer): string {
  const folder = folderOf('findings', target);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, nameOf(input));
  writeFileSync(file, input);
  return file;
}
