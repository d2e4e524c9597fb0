/** One request of an agent: rewritten or refused, sent on, and the answer streamed back. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { redactTarget } from '../../../src/client/placeholder-redact.ts';
import { type Refusal, statusOf } from '../../../src/client/placeholder-refusal.ts';
import type { OutgoingRequest } from '../../../src/client/placeholder-request.ts';
import type { PlaceholderResolver } from '../../../src/client/placeholder-resolver.ts';
import type { HostAndPort } from './host-and-port.ts';

/** Largest body that is rewritten, in bytes. It is held whole, so that no marker is split over two pieces; any other is streamed. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** How long an upstream may stay silent, in milliseconds. */
const UPSTREAM_TIMEOUT_MS = 30_000;

/** Headers of one connection (RFC 9110, 7.6.1), those that are answered here, and the credentials for the proxy itself. */
const HOP_BY_HOP = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Why the proxy, and not an upstream, answered. The first two are the resolver's. */
export type ProxyError =
  | Refusal['reason']
  | 'bad_request'
  | 'host_mismatch'
  | 'body_too_large'
  | 'upstream_unreachable';

/** What happened to one request, for a log: nothing secret and no placeholder. */
export interface ProxyRecord {
  readonly method: string;
  readonly host: string;
  readonly port: number;
  /** Path with `[CREDENTIAL]` in place of placeholders; the query is left out. */
  readonly target: string;
  readonly status: number;
  /** Names of the credentials that went out with it. */
  readonly keys: readonly string[];
  readonly error: ProxyError | undefined;
  readonly refusal: Refusal | undefined;
}

/** What forwarding needs to know of the proxy. */
export interface ForwardOptions {
  readonly resolver: PlaceholderResolver;
  /** Where to connect for a destination; the destination itself unless given. TLS checks the destination's name either way. */
  readonly route?: (to: HostAndPort) => HostAndPort;
  /** Certificates, in PEM, to trust in upstreams; Node's own unless given. */
  readonly upstreamCa?: string;
  /** Whether placeholders in a body to this destination are replaced; never unless given. */
  readonly rewriteBody?: (to: HostAndPort) => boolean;
  /** Unix milliseconds; the clock's unless given. */
  readonly now?: () => number;
  readonly onRequest?: (record: ProxyRecord) => void;
}

/** A request whose destination is known. */
export interface Inbound extends HostAndPort {
  /** Path and query as the agent wrote them. */
  readonly target: string;
  readonly tls: boolean;
}

/** Answers one request. Never rejects: every error becomes an answer or ends the connection. */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  to: Inbound,
  options: ForwardOptions,
): Promise<void> {
  const method = request.method ?? 'GET';
  const record = (status: number, keys: readonly string[], error?: ProxyError, refusal?: Refusal) =>
    options.onRequest?.({
      method,
      host: to.host,
      port: to.port,
      target: redactTarget(to.target),
      status,
      keys,
      error,
      refusal,
    });
  const fail = (status: number, error: ProxyError, refusal?: Refusal) => {
    answer(response, status, error);
    record(status, [], error, refusal);
  };

  const rewriteBody = options.rewriteBody?.(to) ?? false;
  const body = rewriteBody ? await readBody(request) : undefined;
  if (body === 'aborted') return;
  if (body === 'too-large') return fail(413, 'body_too_large');
  const rewritten = options.resolver.rewriteRequest(
    {
      method,
      host: to.host,
      port: to.port,
      tls: to.tls,
      target: to.target,
      // Host is the destination, whatever the agent wrote: see `send`.
      headers: endToEnd(request.rawHeaders).filter(([name]) => name.toLowerCase() !== 'host'),
      body,
      rewriteBody,
    },
    (options.now ?? Date.now)(),
  );
  if (rewritten.kind === 'refused') return fail(statusOf(rewritten.reason), rewritten.reason, rewritten);
  try {
    const upstream = await send(request, to, rewriteBody ? 'held' : 'streamed', rewritten.value, options);
    record(upstream.statusCode ?? 502, rewritten.keys);
    response.writeHead(upstream.statusCode ?? 502, asHeaders(endToEnd(upstream.rawHeaders)));
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    upstream.pipe(response);
  } catch {
    // The error of a TLS or HTTP library may quote what was sent: it is not logged.
    if (response.headersSent) response.destroy();
    else fail(502, 'upstream_unreachable');
  }
}

/** Writes a refusal: the status and one fixed word, the same for every cause behind it. */
export function answer(response: ServerResponse, status: number, error: ProxyError): void {
  const body = JSON.stringify({ error });
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

function readBody(request: IncomingMessage): Promise<Buffer | undefined | 'too-large' | 'aborted'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.byteLength;
      if (length > MAX_BODY_BYTES) {
        chunks.length = 0;
        // The rest is read and dropped, so that the client comes to read the answer.
        resolve('too-large');
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(length === 0 ? undefined : Buffer.concat(chunks)));
    request.on('error', () => resolve('aborted'));
    request.on('close', () => resolve('aborted'));
  });
}

function send(
  incoming: IncomingMessage,
  to: Inbound,
  body: 'held' | 'streamed',
  outgoing: OutgoingRequest,
  options: ForwardOptions,
): Promise<IncomingMessage> {
  const { host, port } = options.route?.(to) ?? to;
  const headers: OutgoingHttpHeaders = asHeaders(outgoing.headers);
  headers.host = authority(to);
  if (outgoing.body !== undefined) headers['content-length'] = outgoing.body.byteLength;
  if (body === 'streamed' && incoming.headers['transfer-encoding'] !== undefined) {
    headers['transfer-encoding'] = 'chunked';
  }
  const common = {
    host,
    port,
    method: incoming.method,
    path: outgoing.target,
    headers,
    agent: false,
    timeout: UPSTREAM_TIMEOUT_MS,
  };
  return new Promise((resolve, reject) => {
    const request = to.tls
      ? httpsRequest({
          ...common,
          servername: isIP(to.host) === 0 ? to.host : '',
          checkServerIdentity: (_, certificate) => checkServerIdentity(to.host, certificate),
          ...(options.upstreamCa === undefined ? {} : { ca: options.upstreamCa }),
        })
      : httpRequest(common);
    request.on('response', resolve);
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('the upstream is silent')));
    if (body === 'held') request.end(outgoing.body);
    else incoming.on('close', () => incoming.complete || request.destroy()).pipe(request);
  });
}

function authority(to: Inbound): string {
  return to.port === (to.tls ? 443 : 80) ? to.host : `${to.host}:${to.port}`;
}

/** Pairs of name and value, without the headers that end at this hop. */
function endToEnd(rawHeaders: readonly string[]): (readonly [string, string])[] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  }
  const named = pairs
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(','))
    .map((name) => name.trim());
  return pairs.filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase()) && !named.includes(name.toLowerCase()));
}

/** Headers for Node, duplicates kept in order. */
function asHeaders(pairs: readonly (readonly [string, string])[]): OutgoingHttpHeaders {
  const headers: Record<string, string[]> = Object.create(null);
  for (const [name, value] of pairs) {
    const key = name.toLowerCase();
    headers[key] = [...(headers[key] ?? []), value];
  }
  return headers;
}
