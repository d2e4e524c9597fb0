/** What a call can be refused for, and the one place where a reason becomes what the caller is told. */
import { Status } from './grpc-status.ts';

/** What goes over the wire. */
export interface WireStatus {
  readonly code: Status;
  readonly details: string;
}

/**
 * A reason with its facts, for the log and the audit, and what the caller is told. A method that refuses throws it. Not
 * an Error: it has no stack and no message that could be logged by chance.
 */
export class CallRefusal {
  readonly kind: string;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly wire: WireStatus;

  constructor({ kind, ...facts }: { readonly kind: string }, wire: WireStatus) {
    this.kind = kind;
    this.facts = facts;
    this.wire = wire;
  }
}

/**
 * Makes refusals of a union of reasons: each consumer has a union of its own. `words` translates deliberately
 * vaguely: a caller learns what it can do, not what it came upon.
 */
export function refusalsOf<R extends { readonly kind: string }>(
  words: (reason: R) => WireStatus,
): (reason: R) => CallRefusal {
  return (reason) => new CallRefusal(reason, words(reason));
}

const WORDS = {
  'boundary-broken': {
    code: Status.FAILED_PRECONDITION,
    details: 'the isolation boundary is not proven; nothing is served',
  },
  'not-ready': { code: Status.UNAVAILABLE, details: 'not ready yet; try again' },
  draining: { code: Status.UNAVAILABLE, details: 'shutting down; try again' },
  'too-many-connections': { code: Status.RESOURCE_EXHAUSTED, details: 'too many connections of this UID' },
  'too-many-calls': { code: Status.RESOURCE_EXHAUSTED, details: 'too many open calls of this UID' },
  'too-many-watches': { code: Status.RESOURCE_EXHAUSTED, details: 'too many watches of this UID' },
  'too-many-requests': {
    code: Status.RESOURCE_EXHAUSTED,
    details: 'too many requests of this UID; slow down',
  },
  'too-much-unread': {
    code: Status.RESOURCE_EXHAUSTED,
    details: 'too many responses of this UID are unread; read them first',
  },
  'too-much-unfinished': {
    code: Status.RESOURCE_EXHAUSTED,
    details: 'too many unfinished requests of this UID; finish them first',
  },
  'request-too-large': { code: Status.RESOURCE_EXHAUSTED, details: 'the request is too large' },
  'request-too-slow': { code: Status.DEADLINE_EXCEEDED, details: 'the request was not complete in time' },
  'request-compressed': { code: Status.UNIMPLEMENTED, details: 'compressed requests are not supported' },
  'malformed-request': { code: Status.INVALID_ARGUMENT, details: 'the request is malformed' },
  'no-such-method': { code: Status.UNIMPLEMENTED, details: 'no such method' },
} satisfies Readonly<Record<string, WireStatus>>;

type Bare<Kind> = Kind extends string ? { readonly kind: Kind } : never;

/** What any call on any socket can be refused for. */
export type SocketRefusal =
  | { readonly kind: 'boundary-broken'; readonly findings: readonly string[] }
  | { readonly kind: 'malformed-request'; readonly what: string }
  | Bare<Exclude<keyof typeof WORDS, 'boundary-broken' | 'malformed-request'>>;

export const socketRefusal = refusalsOf<SocketRefusal>(({ kind }) => WORDS[kind]);
