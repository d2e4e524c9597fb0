/** argv → command; signals → one AbortController; errors → exit code. */
import { CommanderError } from 'commander';
import { CommandError, ExitCode, errorCode, errorText } from '../domain/errors.ts';
import type { CommandContext, Commands } from './context.ts';
import { createProgram } from './program.ts';

/** Former names of commands. They work on, and no help shows them. */
const FORMER_NAMES: ReadonlyMap<string, string> = new Map([['probe', 'self-test']]);

/** Parses one command line and runs what it names. Throws commander's errors and the command's. */
export async function main(
  argv: readonly string[],
  commands: Commands,
  context: CommandContext,
): Promise<void> {
  const at = argv.findIndex((word) => !word.startsWith('-'));
  const named = FORMER_NAMES.get(argv[at] ?? '') ?? argv[at];
  const words = named === undefined ? argv : argv.with(at, named);
  const only = named !== undefined && Object.hasOwn(commands, named) ? named : undefined;
  const program = await createProgram(commands, context, only);
  await program.parseAsync(words, { from: 'user' });
}

/** Runs one command line, without the program's own name, in this process: its streams, signals and exit code. */
export async function run(argv: readonly string[], commands: Commands): Promise<void> {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => controller.abort(signal));

  // `get | head`: a reader that has seen enough is no error. A result that cannot be written elsewhere is one.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // ECANCELED is what `serve` gets when it ends without waiting for a reader of its audit any longer.
    if (error.code === 'EPIPE' || error.code === 'ECANCELED') return;
    process.exitCode = ExitCode.refused;
    process.stderr.write(`secret-resolver: the output cannot be written: ${errorCode(error)}\n`);
  });
  process.stderr.on('error', () => {});

  const context: CommandContext = {
    env: process.env,
    // Node makes a stream of it at the first look, and `serve` never looks.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    signal: controller.signal,
    exit: (code) => {
      process.exitCode = code;
    },
  };

  try {
    await main(argv, commands, context);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
    } else if (error instanceof CommandError) {
      context.stderr.write(errorText(error));
      process.exitCode = error.exitCode;
    } else {
      // A defect of ours. Its stack names code and no content: our errors carry none.
      context.stderr.write(`secret-resolver: internal error\n${error instanceof Error ? error.stack : ''}\n`);
      process.exitCode = ExitCode.internal;
    }
  }
}
