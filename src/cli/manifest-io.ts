/** Reading and writing of manifests by `inject` and `lint`. */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { RULES } from '../boundary/catalogue.ts';
import { CommandError, ExitCode, errorCode } from '../domain/errors.ts';
import type { Rule } from '../manifest/rule.ts';
import type { CommandContext } from './context.ts';

export interface ManifestInput {
  /** As it is named in messages. */
  readonly name: string;
  readonly text: string;
}

/** Reads `-f`: a file, or standard input for `-`. */
export async function readManifest(file: string, context: CommandContext): Promise<ManifestInput> {
  if (file === '-') return { name: '<stdin>', text: await readAll(context.stdin) };
  try {
    return { name: file, text: readFileSync(file, 'utf8') };
  } catch (error) {
    throw new CommandError(
      `${file}: cannot be read: ${errorCode(error)} (check the path, and that this user may read it)`,
      ExitCode.usage,
      { cause: error },
    );
  }
}

/** Replaces a file as a whole: whoever reads it sees the old text or the new one. */
export function replaceFile(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text, { mode: statSync(file).mode & 0o777, flag: 'wx' });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new CommandError(
      `${file}: cannot be written: ${errorCode(error)} (check that this user may write it and its folder)`,
      ExitCode.usage,
      { cause: error },
    );
  }
}

/** Whether a stream is to be coloured: a terminal, unless NO_COLOR says otherwise. */
export function wantsColour(context: CommandContext): boolean {
  return context.stdout.isTTY === true && (context.env.NO_COLOR ?? '') === '';
}

/** All rules but these. A mistyped id is refused: it would be ignored in silence. */
export function rulesWithout(ids: readonly string[]): Rule[] {
  const unknown = ids.find((id) => !RULES.some((rule) => rule.id === id));
  if (unknown === undefined) return RULES.filter(({ id }) => !ids.includes(id));
  throw new CommandError(`there is no rule ${unknown} (lint --rules lists them)`, ExitCode.usage);
}
