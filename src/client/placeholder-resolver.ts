/** Replaces placeholders with values from the newest snapshot, in the process that forwards the agent's requests. */
import type { ProviderEnvironment } from './environment.ts';
import { type BodyKind, rewriteBodyBytes } from './placeholder-body.ts';
import type { Destination } from './placeholder-endpoint.ts';
import { rewriteHeaderValue } from './placeholder-headers.ts';
import { lookUp } from './placeholder-lookup.ts';
import { rewritePathText } from './placeholder-path.ts';
import { rewriteQueryText } from './placeholder-query.ts';
import { type Rewriting, refuse } from './placeholder-refusal.ts';
import {
  type AgentRequest,
  type Authority,
  type OutgoingRequest,
  rewriteTargetText,
  rewriteWholeRequest,
} from './placeholder-request.ts';
import type { Lookup } from './placeholder-text.ts';

/**
 * Most placeholders that are replaced in the target, and again in headers and body together. A placeholder of 50 bytes
 * may expand to a value of 64 KiB: without a limit, a small request would exhaust the supervisor's memory.
 */
export const MAX_PLACEHOLDERS = 64;

/** Which placeholders resolve. */
export interface PlaceholderOptions {
  /**
   * Whether `openshell:resolve:env:KEY`, which names no handle and no revision, resolves to the current value.
   * Defaults to false, as in OpenShell. Endpoints and expiry are enforced either way.
   */
  readonly acceptCanonical?: boolean;
}

/**
 * Rewrites an agent's requests in memory, without a clock: `now`, in Unix milliseconds, is an argument. Use
 * `rewriteRequest`; the other methods are its parts. If you call a part, you are responsible for the rest of the
 * request: a value belongs to one destination, a marker may be anywhere, and Host must name the destination.
 */
export class PlaceholderResolver {
  #environment: ProviderEnvironment | undefined;
  readonly #acceptCanonical: boolean;

  constructor(options: PlaceholderOptions = {}) {
    this.#acceptCanonical = options.acceptCanonical ?? false;
  }

  /** Makes a snapshot current. Values of the previous one stop resolving at once; undefined withdraws everything. */
  update(environment: ProviderEnvironment | undefined): void {
    this.#environment = environment;
  }

  /** The current revision; undefined if there is no snapshot. */
  get revision(): bigint | undefined {
    return this.#environment?.revision;
  }

  /** Rewrites every part of a request, or refuses the whole request. */
  rewriteRequest(request: AgentRequest, now: number): Rewriting<OutgoingRequest> {
    return rewriteWholeRequest(request, (destination) => this.#lookup(destination, now));
  }

  /** Rewrites path and query (`/path?query`); the authority is the server that the request is sent to. */
  rewriteTarget(target: string, authority: Authority, now: number): Rewriting<string> {
    return rewriteTargetText(target, authority, (destination) => this.#lookup(destination, now));
  }

  /** Rewrites one header value, which holds one character per byte. */
  rewriteHeader(value: string, destination: Destination, now: number): Rewriting<string> {
    return rewriteHeaderValue(value, this.#lookup(destination, now));
  }

  /** Rewrites a query, without its "?". */
  rewriteQuery(query: string, destination: Destination, now: number): Rewriting<string> {
    return rewriteQueryText(query, this.#lookup(destination, now));
  }

  /** Rewrites a path, without a query. */
  rewritePath(path: string, destination: Destination, now: number): Rewriting<string> {
    return rewritePathText(path, this.#lookup(destination, now));
  }

  /** Rewrites a whole body that is opted in; returns any other body unread. */
  rewriteBody(body: Buffer, kind: BodyKind, destination: Destination, now: number): Rewriting<Buffer> {
    return rewriteBodyBytes(body, kind, this.#lookup(destination, now));
  }

  #lookup(destination: Destination, now: number): Lookup {
    // One request uses one snapshot: an update in between must not mix values of two.
    const context = {
      environment: this.#environment,
      acceptCanonical: this.#acceptCanonical,
      destination,
      now,
    };
    let count = 0;
    return (token, location) => {
      count += 1;
      if (count > MAX_PLACEHOLDERS) return refuse('too-many-placeholders', location);
      return lookUp(token, location, context);
    };
  }
}
