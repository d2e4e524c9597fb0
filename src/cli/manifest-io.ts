/** Reading and writing of manifests by `inject` and `lint`. */
import {
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { RULES } from '../boundary/catalogue.ts';
import { YAML_FILE } from '../config/files.ts';
import { CommandError, ExitCode, errorCode } from '../domain/errors.ts';
import { printable } from '../domain/printable.ts';
import type { LintInput } from '../manifest/lint.ts';
import type { Rule } from '../manifest/rule.ts';
import type { CommandContext } from './context.ts';

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

export interface ManifestInput extends LintInput {
  readonly encoding: Encoding;
}

/** Reads `-f`: a file, standard input for `-`, or the manifests of a folder. */
export async function readManifests(
  file: string,
  recursive: boolean,
  context: CommandContext,
): Promise<ManifestInput[]> {
  if (file === '-') return [decode('<stdin>', await buffer(context.stdin))];
  return guarded(file, 'cannot be read', () => {
    if (!statSync(file).isDirectory()) return [decode(file, readFileSync(file))];
    const files = readdirSync(file, { recursive, encoding: 'utf8' })
      .filter((name) => YAML_FILE.test(name.slice(name.lastIndexOf('/') + 1)))
      .map((name) => join(file, name))
      .filter((path) => statSync(path).isFile())
      .sort();
    if (files.length === 0) {
      throw new CommandError(
        `${printable(file)}: has no file that ends in .yaml, .yml or .json${recursive ? '' : ' (-R looks into its folders)'}`,
        ExitCode.usage,
      );
    }
    return files.map((path) => ({ ...decode(path, readFileSync(path)), ofFolder: true }));
  });
}

/** As kubectl does: UTF-8, or UTF-16 with a byte order mark. */
function decode(file: string, bytes: Buffer): ManifestInput {
  const mark = bytes.subarray(0, 2).toString('hex');
  const encoding = mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8';
  try {
    return {
      file,
      text: new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes),
      encoding,
    };
  } catch {
    throw new CommandError(
      `${printable(file)}: is not ${encoding.toUpperCase()} text (save it as UTF-8)`,
      ExitCode.usage,
    );
  }
}

/** The bytes of a text in the encoding that its file came in. */
export function encode(text: string, encoding: Encoding): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text);
  const bytes = Buffer.from(text, 'utf16le');
  return encoding === 'utf-16be' ? bytes.swap16() : bytes;
}

/** Replaces a file as a whole, behind any symlink: whoever reads it sees the old text or the new one. */
export function replaceFile(link: string, bytes: Buffer): void {
  guarded(link, 'cannot be written', () => {
    const file = realpathSync(link);
    const temporary = `${file}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, bytes, { mode: statSync(file).mode & 0o777, flag: 'wx' });
      renameSync(temporary, file);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}

/** Runs `work` on a file, and turns an error of the system into a sentence. */
export function guarded<T>(file: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      `${printable(file)}: ${what}: ${errorCode(error)} (check the path, and that this user has access to it)`,
      ExitCode.usage,
      { cause: error },
    );
  }
}

/** All rules but these. A mistyped id is refused: it would be ignored in silence. */
export function rulesWithout(ids: readonly string[]): Rule[] {
  const unknown = ids.find((id) => !RULES.some((rule) => rule.id === id));
  if (unknown === undefined) return RULES.filter(({ id }) => !ids.includes(id));
  throw new CommandError(`there is no rule ${unknown} (lint --rules lists them)`, ExitCode.usage);
}
