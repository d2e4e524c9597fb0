/** Replaces placeholders with values from the newest snapshot, for the process that does the agent's egress. */
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
 * Placeholders that are replaced in a target, and again in headers and body. A placeholder of 50 bytes may stand
 * for a value of 64 KiB: without an end, a small request would fill the supervisor's memory.
 */
export const MAX_PLACEHOLDERS = 64;

/** Which placeholders resolve. */
export interface PlaceholderOptions {
  /**
   * Whether `openshell:resolve:env:KEY`, which names no handle and no revision, resolves to the value in force. False
   * unless given, as in OpenShell. Endpoints and expiry are enforced either way.
   */
  readonly acceptCanonical?: boolean;
}

/**
 * Rewrites what an agent sends, in memory and without a clock: `now`, in Unix milliseconds, is an argument.
 * Use `rewriteRequest`; the other methods are its parts. A caller of a part is responsible for the rest of the
 * request: a value belongs to one destination, a marker may stand anywhere, and Host must name the destination.
 */
export class PlaceholderResolver {
  #environment: ProviderEnvironment | undefined;
  readonly #acceptCanonical: boolean;

  constructor(options: PlaceholderOptions = {}) {
    this.#acceptCanonical = options.acceptCanonical ?? false;
  }

  /** Puts a snapshot in force. Values of the one before stop resolving at once; undefined withdraws everything. */
  update(environment: ProviderEnvironment | undefined): void {
    this.#environment = environment;
  }

  /** Revision in force, or undefined where nothing is. */
  get revision(): bigint | undefined {
    return this.#environment?.revision;
  }

  /** Rewrites everything of a request, or refuses the whole of it. */
  rewriteRequest(request: AgentRequest, now: number): Rewriting<OutgoingRequest> {
    return rewriteWholeRequest(request, (destination) => this.#lookup(destination, now));
  }

  /** Rewrites path and query (`/path?query`); the authority is the server that it is sent to. */
  rewriteTarget(target: string, authority: Authority, now: number): Rewriting<string> {
    return rewriteTargetText(target, authority, (destination) => this.#lookup(destination, now));
  }

  /** Rewrites the value of one header, one character a byte. */
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

  /** Rewrites a whole body that is opted in; any other is returned unread. */
  rewriteBody(body: Buffer, kind: BodyKind, destination: Destination, now: number): Rewriting<Buffer> {
    return rewriteBodyBytes(body, kind, this.#lookup(destination, now));
  }

  #lookup(destination: Destination, now: number): Lookup {
    // One request, one snapshot: an update in between must not give it values of two.
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
