/**
 * gRPC's server without its own log: that goes to stderr, quotes the headers of whoever sends some that it cannot
 * read, and has no limit. The agent reaches the health port, and a supervisor's headers may hold tokens. What of
 * it an operator needs, our own log and audit say.
 */
import { logVerbosity, Server, type ServerOptions, setLogVerbosity } from '@grpc/grpc-js';

export function quietServer(options: ServerOptions): Server {
  setLogVerbosity(logVerbosity.NONE);
  return new Server(options);
}
