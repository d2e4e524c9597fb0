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

/** What the file of a command exports. `commands` is the registry that the command belongs to. */
export interface CommandModule {
  readonly createCommand: (context: CommandContext, commands: Commands) => Command;
}

/** Commands by name, each loaded when it is needed. */
export type Commands = Readonly<Record<string, () => Promise<CommandModule>>>;
