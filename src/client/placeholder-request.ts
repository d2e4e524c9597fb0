/**
 * Rewrites a whole request. Every part is searched, so that no marker is overlooked. A refusal of one part refuses the
 * whole request: no part of it may be sent.
 */
import { type BodyKind, rewriteBodyBytes } from './placeholder-body.ts';
import { type Destination, lowerAscii } from './placeholder-endpoint.ts';
import { rewriteHeaderValue } from './placeholder-headers.ts';
import { hasMarker } from './placeholder-marker.ts';
import { rewritePathText } from './placeholder-path.ts';
import { rewriteQueryText } from './placeholder-query.ts';
import { redactPath } from './placeholder-redact.ts';
import { type Rewriting, refuse } from './placeholder-refusal.ts';
import { joinRewritten, type Lookup } from './placeholder-text.ts';

/** The server that the caller connects to, whatever the agent's headers say. */
export type Authority = Pick<Destination, 'host' | 'port' | 'tls'>;

/** A request as the agent sent it. */
export interface AgentRequest extends Authority {
  readonly method: string;
  /** Path and query, beginning with "/". */
  readonly target: string;
  /**
   * Names and values in the order sent, including duplicates. If a Host or `:authority` names a different server than
   * `host` and `port`, a request with a credential is refused.
   */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The whole body; undefined if there is none, or if it is not opted in and the caller forwards it. */
  readonly body: Buffer | undefined;
  /** Whether to replace placeholders in the body. If not, the body is passed on unread. */
  readonly rewriteBody: boolean;
}

/** The rewritten parts of a request, which may be secret. */
export interface OutgoingRequest {
  /** Append it to `https://host:port` unchanged: `new URL(target, base)` would read `//other/x` as another server. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | undefined;
}

export type LookupFor = (destination: Destination) => Lookup;

interface Target {
  readonly path: string;
  readonly query: string | undefined;
  /** Compared with the endpoints. Built without values: a value must not influence where it may be sent. */
  readonly destination: Destination;
}

/** Rewrites path and query. */
export function rewriteTargetText(
  target: string,
  authority: Authority,
  lookupFor: LookupFor,
): Rewriting<string> {
  const read = readTarget(target, authority);
  return read === undefined ? refuse('unresolved-marker', 'path') : rewriteTarget(read, lookupFor);
}

/** Rewrites a whole request, or says why no part of it may be sent. */
export function rewriteWholeRequest(request: AgentRequest, lookupFor: LookupFor): Rewriting<OutgoingRequest> {
  const read = readTarget(request.target, request);
  if (read === undefined) return refuse('unresolved-marker', 'path');
  if (hasMarker(request.method) || hasMarker(request.host)) return refuse('unresolved-marker', 'request');
  const target = rewriteTarget(read, lookupFor);
  if (target.kind === 'refused') return target;
  const lookup = lookupFor(read.destination);
  const keys = new Set(target.keys);
  const headers: (readonly [string, string])[] = [];
  for (const [name, value] of request.headers) {
    if (hasMarker(name)) return refuse('unresolved-marker', 'header');
    const rewritten = rewriteHeaderValue(value, lookup);
    if (rewritten.kind === 'refused') return rewritten;
    for (const key of rewritten.keys) keys.add(key);
    headers.push([name, rewritten.value]);
  }
  const body = request.body && rewriteBodyBytes(request.body, bodyKind(request), lookup);
  if (body?.kind === 'refused') return body;
  for (const key of body?.keys ?? []) keys.add(key);
  const [first] = keys;
  if (first !== undefined && !request.headers.every((header) => agrees(header, request))) {
    return refuse('host-mismatch', 'header', first);
  }
  const query = read.query === undefined ? '' : '?[QUERY]';
  return {
    kind: 'rewritten',
    value: { target: target.value, headers, body: body?.value },
    redacted: `${request.method} ${request.host}:${request.port}${read.destination.path}${query}`,
    keys: [...keys],
  };
}

/** Undefined if an encoded marker cannot be removed from the path. */
function readTarget(target: string, { host, port, tls }: Authority): Target | undefined {
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  const redacted = redactPath(path);
  return redacted === undefined
    ? undefined
    : {
        path,
        query: question < 0 ? undefined : target.slice(question + 1),
        destination: { host, port, tls, path: redacted },
      };
}

function rewriteTarget({ path, query, destination }: Target, lookupFor: LookupFor): Rewriting<string> {
  const lookup = lookupFor(destination);
  const rewrittenPath = rewritePathText(path, lookup);
  return query === undefined
    ? rewrittenPath
    : joinRewritten(rewrittenPath, '?', rewriteQueryText(query, lookup));
}

/**
 * A server with many virtual hosts routes by Host: a value must not reach another tenant at the same address. The port
 * may be omitted, because servers ignore it.
 */
function agrees([name, value]: readonly [string, string], { host, port }: Authority): boolean {
  if (!/^\s*(host|:authority)\s*$/i.test(name)) return true;
  const named = lowerAscii(value.replace(/^[ \t]+|[ \t]+$/g, ''));
  const wanted = lowerAscii(host);
  return named === wanted || named === `${wanted}:${port}`;
}

function bodyKind(request: AgentRequest): BodyKind {
  const header = (wanted: string) => {
    const found = request.headers.filter(([name]) => name.toLowerCase() === wanted);
    return found.length === 0 ? undefined : found.map(([, value]) => value).join(',');
  };
  return { type: header('content-type'), encoding: header('content-encoding'), optedIn: request.rewriteBody };
}
