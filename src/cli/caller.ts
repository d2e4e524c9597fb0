/** What the commands that ask a running resolver have in common. */
import { Option } from 'commander';
import { connect, type ResolverClient, ResolverError } from '../client/index.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import type { CommandContext } from './context.ts';

/** Where the resolver listens unless its configuration says otherwise. */
export const DEFAULT_SOCKET = '/run/secret-resolver/socket/resolver.sock';

export function socketOption(): Option {
  return new Option('-s, --socket <path>', 'the socket of the resolver')
    .env('SECRET_RESOLVER_SOCKET')
    .default(DEFAULT_SOCKET);
}

/** Collects an option that may be repeated: one value each, so that no argument behind it is taken for a value. */
export function repeated(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** Runs `work` with a client, and turns its errors into an exit code and a sentence. */
export async function withClient<T>(
  socket: string,
  work: (client: ResolverClient) => Promise<T>,
): Promise<T> {
  using client = connect({ socket });
  try {
    return await work(client);
  } catch (error) {
    throw error instanceof ResolverError ? asCommandError(error, socket) : error;
  }
}

function asCommandError(error: ResolverError, socket: string): CommandError {
  switch (error.code) {
    case 'unavailable':
      return new CommandError(
        `no answer on ${socket}: ${error.message}\n${adviceFor(error.message)}`,
        ExitCode.unavailable,
        { cause: error },
      );
    case 'invalid-argument':
    case 'unimplemented':
      return new CommandError(error.message, ExitCode.usage, { cause: error });
    case 'permission-denied':
    case 'failed-precondition':
    case 'resource-exhausted':
    case 'internal':
      return new CommandError(`refused: ${error.message}`, ExitCode.refused, { cause: error });
  }
}

/** What to look at first, by what the kernel said. */
function adviceFor(message: string): string {
  const code = /\((E[A-Z]+)\)/.exec(message)?.[1];
  switch (code) {
    case 'ENOENT':
      return 'There is no such socket. Is `secret-resolver serve` running, and is this its `socket.path`?';
    case 'ECONNREFUSED':
      return 'The socket is there, and nobody listens on it. Is `secret-resolver serve` still running?';
    case 'EACCES':
      return `Uid ${process.geteuid?.()} may not open the socket. Look at \`socket.mode\`, and at the folders above it.`;
    default:
      return `Either the resolver is starting or stopping, or its \`callers\` do not list uid ${process.geteuid?.()}: then it hangs up without a word.`;
  }
}

/** Help for the commands that ask a running resolver. */
export const CALLER_HELP = `
Asks a running \`secret-resolver serve\` over its socket, as the user that runs this. The resolver answers the
users that its \`callers\` list; its own user is told names and states, and no values.

Exit codes:
  0  done
  1  refused
  2  the command line is wrong
  3  nobody answers on the socket`;

/** For commands that write values: a terminal keeps what it shows. */
export function refuseTerminal(context: CommandContext, confirmed: boolean): void {
  if (context.stdout.isTTY === true && !confirmed) {
    throw new CommandError(
      'values would be shown on this terminal, and stay in its history: add --yes if you mean it, or write them to a pipe',
      ExitCode.usage,
    );
  }
}
