/**
 * A small forward proxy that fills in credentials: what a supervisor does for an agent's egress, for the demo
 * and for tests. Plain HTTP, and HTTPS by CONNECT with the TLS of the agent ended here, under an authority
 * that the agent is told to trust.
 *
 * Not for production: it has no egress policy (an agent may connect anywhere, only not with a credential),
 * no HTTP/2 and no WebSockets, and an upstream that echoes what it is sent shows the agent the value; that is
 * for the operator to know when an endpoint is bound.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { ThrowAwayAuthority } from '../../../src/egress/authority.ts';
import { answer, type ForwardOptions, forward, type Inbound } from './forward.ts';
import { type HostAndPort, parseAbsoluteTarget, parseHostAndPort } from './host-and-port.ts';

/** Connections open at a time: a flood by the agent costs the agent its own egress and no more memory. */
const MAX_CONNECTIONS = 256;

/** How long a client may take over its headers and over a whole request, in milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;

/** Certificates kept. One more drops the oldest, so that an agent that asks for many names cannot fill the memory. */
const MAX_CERTIFICATES = 256;

export interface ProxyOptions extends ForwardOptions {
  readonly authority: ThrowAwayAuthority;
  /** TCP port on 127.0.0.1; 0 for any. */
  readonly port: number;
}

export interface EgressProxy extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`: for `--proxy`, HTTP_PROXY and HTTPS_PROXY. */
  readonly url: string;
  /** Closes the listener and every connection. Safe to call twice. */
  readonly close: () => Promise<void>;
}

/** Starts the proxy; resolves when it listens. */
export async function startProxy(options: ProxyOptions): Promise<EgressProxy> {
  const sockets = new Set<Duplex>();
  const tunnels = new WeakMap<object, HostAndPort>();
  const contextFor = certificatesOf(options.authority);
  const track = (socket: Duplex) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  };

  const inner = limited(
    createServer((request, response) => {
      const tunnel = tunnels.get(request.socket);
      const to = tunnel && insideTunnel(request, tunnel);
      if (typeof to === 'object') void forward(request, response, to, options);
      else answer(response, 400, to ?? 'bad_request');
    }),
  );
  const outer = limited(createServer((request, response) => plain(request, response, options)));
  outer.maxConnections = MAX_CONNECTIONS;
  outer.on('connection', track);
  outer.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const to = parseHostAndPort(request.url ?? '', 443);
    if (to === undefined) {
      socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
      return;
    }
    contextFor(to.host).then(
      (secureContext) => {
        if (socket.destroyed) return;
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        if (head.byteLength > 0) socket.unshift(head);
        const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
        track(secure);
        tunnels.set(secure, to);
        inner.emit('connection', secure);
      },
      () => socket.destroy(),
    );
  });

  await new Promise<void>((resolve, reject) => {
    outer.once('error', reject);
    outer.listen(options.port, '127.0.0.1', resolve);
  });
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    if (outer.listening) await new Promise<void>((resolve) => outer.close(() => resolve()));
  };
  return {
    url: `http://127.0.0.1:${(outer.address() as AddressInfo).port}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What a TLS server needs to answer as a host. */
function certificatesOf(authority: ThrowAwayAuthority): (host: string) => Promise<SecureContext> {
  const contexts = new Map<string, Promise<SecureContext>>();
  return (host) => {
    const known = contexts.get(host);
    if (known !== undefined) return known;
    const context = authority
      .issue(host)
      .then(({ key, certificate }) => createSecureContext({ key, cert: certificate }));
    const [oldest] = contexts.keys();
    if (contexts.size >= MAX_CERTIFICATES && oldest !== undefined) contexts.delete(oldest);
    contexts.set(host, context);
    return context;
  };
}

function limited(server: Server): Server {
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.on('clientError', (_, socket) => socket.destroy());
  return server;
}

function plain(request: IncomingMessage, response: ServerResponse, options: ForwardOptions): void {
  const to = parseAbsoluteTarget(request.url ?? '');
  // The request line says where it goes; a Host header that says otherwise is replaced on the way out.
  if (to === undefined) answer(response, 400, 'bad_request');
  else void forward(request, response, { ...to, tls: false }, options);
}

/**
 * The destination is the one of CONNECT. A Host header that names another one would be sent, with a credential
 * of the first, to a server that may answer for both.
 */
function insideTunnel(
  request: IncomingMessage,
  tunnel: HostAndPort,
): Inbound | 'host_mismatch' | 'bad_request' {
  const target = request.url ?? '';
  if (!target.startsWith('/')) return 'bad_request';
  const host = parseHostAndPort(request.headers.host ?? '', 443);
  if (host?.host !== tunnel.host || host.port !== tunnel.port) return 'host_mismatch';
  return { ...tunnel, target, tls: true };
}
