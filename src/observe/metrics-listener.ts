/**
 * `GET /metrics` over plain HTTP, and nothing else. Whoever shares the pod's network may ask, the agent included:
 * it learns names of Secrets and the times of their rotations, and what it can use up is bounded here.
 * Accepted weakness: an agent that keeps asking can keep Prometheus from being answered, which shows as `up == 0`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ListenAddress } from '../config/config.ts';
import { CommandError, ExitCode, errorCode } from '../domain/errors.ts';
import { TokenBucket } from '../domain/limits.ts';
import type { Metrics } from './metrics.ts';

/** Connections open at once. Prometheus needs one; further ones are closed unheard. */
const MAX_CONNECTIONS = 16;
/** Connections a second in the long run, and at once. Each is good for one request, so this bounds the work too. */
const CONNECTIONS_PER_SECOND = 10;
const CONNECTION_BURST = 20;
/** Milliseconds from accept until the request is there, and again until the answer is taken. Prometheus' own limit is 10 s. */
const TIMEOUT_MS = 5_000;
/** Bytes of request line and headers. Prometheus sends about 300. */
const MAX_HEADER_BYTES = 4_096;

export class MetricsListener implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on `address`; throws where it cannot be bound. */
  static async open(address: ListenAddress, metrics: Metrics): Promise<MetricsListener> {
    const server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: TIMEOUT_MS,
        requestTimeout: TIMEOUT_MS,
        // How often the two above are looked at; 30 s unless told.
        connectionsCheckingInterval: 1_000,
      },
      (request, response) => answer(request, response, metrics),
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.maxRequestsPerSocket = 1;
    const accepted = new TokenBucket(CONNECTIONS_PER_SECOND, CONNECTION_BURST, performance.now());
    server.prependListener('connection', (socket: Socket) => {
      if (!accepted.take(performance.now())) socket.destroy();
      // Of the connection as a whole, not of a pause in it: who reads a byte a second is closed too.
      else closeAfter(socket, 2 * TIMEOUT_MS);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new CommandError(
            `metrics.listen: ${address.host}:${address.port} cannot be bound: ${errorCode(error)} (choose a free port)`,
            ExitCode.usage,
          ),
        ),
      );
      server.listen(address.port, address.host, resolve);
    });
    // From here on an error costs a connection, never the process.
    server.on('error', () => {});
    return new MetricsListener(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function closeAfter(socket: Socket, milliseconds: number): void {
  const timer = setTimeout(() => socket.destroy(), milliseconds).unref();
  socket.once('close', () => clearTimeout(timer));
}

function answer(request: IncomingMessage, response: ServerResponse, metrics: Metrics): void {
  response.shouldKeepAlive = false;
  if (request.url !== '/metrics') end(response, 404, 'only /metrics is here\n');
  else if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    end(response, 405, 'only GET and HEAD are answered\n');
  } else {
    metrics.text(Date.now()).then(
      (text) => {
        response.setHeader('content-type', metrics.contentType);
        end(response, 200, text);
      },
      () => end(response, 500, 'the metrics could not be gathered\n'),
    );
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(text);
}
