/**
 * A whole request at once. Every part of it is searched, so that no marker leaves in a place that was forgotten, and
 * one refusal refuses the request: nothing of it may be sent then.
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

/** The server that a request is sent to: what the caller dials, not what the agent's headers say. */
export type Authority = Pick<Destination, 'host' | 'port' | 'tls'>;

/** A request as the agent sent it. */
export interface AgentRequest extends Authority {
  readonly method: string;
  /** Path and query, beginning with "/". */
  readonly target: string;
  /**
   * Names and values in the order sent, duplicates kept. A Host or `:authority` among them that names another
   * server than `host` and `port` refuses a request with a credential.
   */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The whole body; undefined where there is none, or where it is not opted in and sent on by the caller. */
  readonly body: Buffer | undefined;
  /** Whether placeholders in the body are to be replaced. Unless they are, the body passes unread. */
  readonly rewriteBody: boolean;
}

/** The parts of a request that may be secret now. */
export interface OutgoingRequest {
  /** Append it to `https://host:port` as it is: `new URL(target, base)` would take `//other/x` for another server. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | undefined;
}

/** Makes a lookup for one destination. */
export type LookupFor = (destination: Destination) => Lookup;

interface Target {
  readonly path: string;
  readonly query: string | undefined;
  /** What endpoints are compared with: what a placeholder stands for has no say in where it may go. */
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

/** Rewrites a whole request, or says why nothing of it may be sent. */
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

/** Undefined where a marker is hidden in the path so well that it cannot be cut out. */
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
 * A server that answers for many names goes by Host: a value must not reach another tenant of the same address.
 * The port may be left out, for servers do not go by it.
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
