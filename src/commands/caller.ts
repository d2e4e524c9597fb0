/** What the commands that ask a running resolver have in common. */
import { Option } from 'commander';
import { connect, type ResolverClient, ResolverError } from '../client/index.ts';
import { CommandError, ExitCode } from '../errors.ts';
import type { CommandContext } from './context.ts';

/** Where the resolver listens unless its configuration says otherwise. */
export const DEFAULT_SOCKET = '/run/secret-resolver/socket/resolver.sock';

export function socketOption(): Option {
  return new Option('-s, --socket <path>', 'the socket of the resolver')
    .env('SECRET_RESOLVER_SOCKET')
    .default(DEFAULT_SOCKET);
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
  const uid = process.geteuid?.() ?? -1;
  switch (error.code) {
    case 'unavailable':
      return new CommandError(
        `no answer on ${socket}: ${error.message}\nEither no resolver listens there, or its \`callers\` do not list uid ${uid}: then it hangs up without a word.`,
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

/** For commands that write values: a terminal keeps what it shows. */
export function refuseTerminal(context: CommandContext, confirmed: boolean): void {
  if (context.stdout.isTTY === true && !confirmed) {
    throw new CommandError(
      'values would be shown on this terminal, and stay in its history: add --yes if you mean it, or write them to a pipe',
      ExitCode.usage,
    );
  }
}
