import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import type { ExitCode } from '../domain/errors.ts';

/** What a command may touch of the process around it. Tests hand in their own. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Sets the exit code of a command that ends without an error. */
  readonly exit: (code: ExitCode) => void;
}

/** What each file in `commands/` exports: the command with its options, help and action. */
export interface CommandModule {
  readonly createCommand: (context: CommandContext) => Command;
}
