/**
 * A whole request at once. Every part of it is looked at, so that no marker leaves in a place that nobody
 * thought of, and one refusal refuses the request: nothing of it may be sent then.
 */
import { type BodyKind, rewriteBodyBytes } from './placeholder-body.ts';
import type { Destination } from './placeholder-endpoint.ts';
import { rewriteHeaderValue } from './placeholder-headers.ts';
import { hasMarker } from './placeholder-marker.ts';
import { rewritePathText } from './placeholder-path.ts';
import { rewriteQueryText } from './placeholder-query.ts';
import { redactPath, redactTarget } from './placeholder-redact.ts';
import { type Rewriting, refuse } from './placeholder-refusal.ts';
import { joinRewritten, type Lookup } from './placeholder-text.ts';

/** A request as the agent sent it. */
export interface AgentRequest {
  readonly method: string;
  /** Host name of the destination, without port. */
  readonly host: string;
  readonly port: number;
  /** Path and query, beginning with "/". */
  readonly target: string;
  /** Names and values in the order sent, duplicates kept. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The whole body; undefined where there is none. */
  readonly body: Buffer | undefined;
  /** Whether placeholders in the body are to be replaced. */
  readonly rewriteBody: boolean;
}

/** The parts of a request that may be secret now. */
export interface OutgoingRequest {
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | undefined;
}

/** Makes a lookup for one destination. */
export type LookupFor = (destination: Destination) => Lookup;

/** Rewrites path and query; the path that endpoints are compared with is the redacted one. */
export function rewriteTargetText(
  target: string,
  authority: { readonly host: string; readonly port: number },
  lookupFor: LookupFor,
): Rewriting<string> {
  const { path, query } = splitTarget(target);
  const destination = destinationOf(authority, path);
  if (destination === undefined) return refuse('unresolved-marker', 'path');
  const lookup = lookupFor(destination);
  const rewrittenPath = rewritePathText(path, lookup);
  return query === undefined
    ? rewrittenPath
    : joinRewritten([rewrittenPath, rewriteQueryText(query, lookup)], '?');
}

/** Rewrites a whole request, or says why nothing of it may be sent. */
export function rewriteWholeRequest(request: AgentRequest, lookupFor: LookupFor): Rewriting<OutgoingRequest> {
  const { path } = splitTarget(request.target);
  const destination = destinationOf(request, path);
  if (destination === undefined) return refuse('unresolved-marker', 'path');
  if (hasMarker(request.method) || hasMarker(request.host)) return refuse('unresolved-marker', 'request');
  const target = rewriteTargetText(request.target, request, lookupFor);
  if (target.kind === 'refused') return target;
  const lookup = lookupFor(destination);
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
  return {
    kind: 'rewritten',
    value: { target: target.value, headers, body: body?.value },
    redacted: `${request.method} ${request.host}:${request.port}${redactTarget(request.target)}`,
    keys: [...keys],
  };
}

function splitTarget(target: string): { path: string; query: string | undefined } {
  const question = target.indexOf('?');
  return question < 0
    ? { path: target, query: undefined }
    : { path: target.slice(0, question), query: target.slice(question + 1) };
}

function destinationOf(
  authority: { readonly host: string; readonly port: number },
  path: string,
): Destination | undefined {
  const redacted = redactPath(path);
  return redacted === undefined ? undefined : { host: authority.host, port: authority.port, path: redacted };
}

function bodyKind(request: AgentRequest): BodyKind {
  const header = (wanted: string) => {
    const found = request.headers.filter(([name]) => name.toLowerCase() === wanted);
    return found.length === 0 ? undefined : found.map(([, value]) => value).join(',');
  };
  return { type: header('content-type'), encoding: header('content-encoding'), optedIn: request.rewriteBody };
}
