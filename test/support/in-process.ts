/** The CLI in this process: much faster than a process each, for what needs no socket, UID or signal. */
import { Readable, Writable } from 'node:stream';
import { CommanderError } from 'commander';
import { COMMANDS } from '../../src/cli/commands.ts';
import type { CommandContext } from '../../src/cli/context.ts';
import { main } from '../../src/cli/run.ts';
import { CommandError, errorText } from '../../src/domain/errors.ts';

/** A context whose streams are kept. */
export function keptContext(): {
  context: CommandContext;
  kept: { code: number; stdout: string; stderr: string };
} {
  const kept = { code: 0, stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr') =>
    new Writable({
      write: (chunk, _encoding, done) => {
        kept[name] += String(chunk);
        done();
      },
    });
  const context: CommandContext = {
    env: {},
    stdin: Readable.from([]),
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    signal: new AbortController().signal,
    exit: (code) => {
      kept.code = code;
    },
  };
  return { context, kept };
}

export async function runInProcess(
  ...argv: readonly string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { context, kept } = keptContext();
  try {
    await main(argv, COMMANDS, context);
  } catch (error) {
    if (error instanceof CommandError) {
      kept.stderr += errorText(error);
      kept.code = error.exitCode;
    } else if (error instanceof CommanderError) kept.code = error.exitCode === 0 ? 0 : 2;
    else throw error;
  }
  return kept;
}
