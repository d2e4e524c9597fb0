/** What the commands that ask a running resolver have in common. */

import { Option } from 'commander';
import { connect, type ResolverClient, ResolverError } from '../client/index.ts';
import { DEFAULT_SOCKET } from '../domain/default-paths.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { printable } from '../domain/printable.ts';
import type { CommandContext } from './context.ts';

export function socketOption(): Option {
  return new Option('-s, --socket <path>', 'the socket of the resolver')
    .env('SECRET_RESOLVER_SOCKET')
    .default(DEFAULT_SOCKET);
}

/** `--provider`, one value each, so that an argument behind it is not taken for a provider. */
export function providerOption(): Option {
  return new Option('--provider <name>', 'of this provider only (may be repeated)').argParser(
    repeated((name) => name),
  );
}

/** A parser for an option that takes one value and may be given several times. */
export function repeated(parse: (text: string) => string) {
  return (text: string, before: readonly string[] = []) => [...before, parse(text)];
}

interface Question {
  readonly socket: string;
  /** Providers asked for: an error says their names. */
  readonly provider?: readonly string[];
}

/** Runs `work` with a client, and turns its errors into an exit code and a sentence. */
export async function withClient<T>(
  { socket, provider }: Question,
  work: (client: ResolverClient) => Promise<T>,
): Promise<T> {
  using client = connect({ socket });
  try {
    return await work(client);
  } catch (error) {
    throw error instanceof ResolverError ? commandError(error, socket, provider) : error;
  }
}

/** The exit code and the sentence for an error of the client library. */
export function commandError(
  error: ResolverError,
  socket: string,
  providers: readonly string[] = [],
): CommandError {
  const failed = (text: string, exitCode: ExitCode) => new CommandError(text, exitCode, { cause: error });
  const message = printable(error.message);
  const names = providers.length === 0 ? '' : `: ${printable(providers.join(', '))}`;
  switch (error.code) {
    case 'unavailable':
      return failed(
        `no answer on ${printable(socket)}: ${message}\n${adviceFor(error.message)}`,
        ExitCode.unavailable,
      );
    case 'invalid-argument':
    case 'unimplemented':
      return failed(message, ExitCode.usage);
    case 'permission-denied':
      return failed(`refused: ${message}${names}`, ExitCode.refused);
    case 'failed-precondition':
    case 'resource-exhausted':
    case 'internal':
      return failed(`refused: ${message}`, ExitCode.refused);
  }
}

/** What to check first, by the error of the kernel. */
function adviceFor(message: string): string {
  switch (/\((E[A-Z]+)\)/.exec(message)?.[1]) {
    case 'ENOENT':
      return 'The socket does not exist. Is `secret-resolver serve` running, and is this its `socket.path`?';
    case 'ECONNREFUSED':
      return 'The socket exists, but no process listens on it. Is `secret-resolver serve` still running?';
    case 'EACCES':
      return `UID ${process.geteuid?.()} may not open the socket. Check \`socket.mode\` and the mode of each folder above it.`;
    default:
      return `The resolver is starting or stopping, or its \`callers\` do not list UID ${process.geteuid?.()}: then it closes the connection without an answer.`;
  }
}

/** Help for the commands that ask a running resolver. */
export const CALLER_HELP = `
Asks a running \`secret-resolver serve\` over its socket, with the UID of this process. The resolver answers the
UIDs that its \`callers\` list; its own UID sees names and states, and no values.
`;

/** For commands that write values: a terminal keeps what it shows. */
export function refuseTerminal(context: CommandContext, confirmed: boolean): void {
  if (context.stdout.isTTY === true && !confirmed) {
    throw new CommandError(
      'values would be shown on this terminal, and stay in its history: add --yes if you mean it, or write them to a pipe',
      ExitCode.usage,
    );
  }
}
