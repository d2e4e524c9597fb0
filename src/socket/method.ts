/** What a service consists of: bytes in, bytes out. A call is admitted before its method sees anything. */
import type { OwnedBytes } from '../domain/owned-bytes.ts';
import type { AuditedCall } from '../observe/audit/audit.ts';
import type { PeerConnection } from './connections.ts';
import type { CallRefusal } from './refusal.ts';

interface Named {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly audited: AuditedCall;
  /** Largest request, in bytes; the socket's own limit unless set. */
  readonly requestBytes?: number | undefined;
}

/** An encoded message; of values it is owned by whoever erases it. */
export type Message = Buffer | OwnedBytes;

/** One request, one response. It returns the encoded response, or refuses. */
export interface UnaryMethod extends Named {
  readonly answer: (connection: PeerConnection, request: Buffer) => Message;
}

/** A call as a streaming method sees it. */
export interface MessageStream {
  /** What the listener throws ends the call, as does anything that is no message. */
  readonly receive: (listener: (bytes: Buffer) => void) => void;
  /** Sends one message; `sent` is called when it has left the process, or never will. */
  readonly write: (message: Message, sent?: () => void) => void;
  readonly end: (refusal: CallRefusal) => void;
  readonly onClose: (listener: () => void) => void;
}

/** Any number of each. It takes over the stream, or refuses. */
export interface StreamMethod extends Named {
  readonly open: (connection: PeerConnection, stream: MessageStream) => void;
}

export type Method = UnaryMethod | StreamMethod;

/** `operation` is the name in audit and log, where two services have a method of one name. */
export function unary(
  service: string,
  name: string,
  answer: UnaryMethod['answer'],
  operation = name,
): UnaryMethod {
  return { path: `/${service}/${name}`, audited: { service, operation }, answer };
}

export function streaming(
  service: string,
  name: string,
  open: StreamMethod['open'],
  requestBytes?: number,
): StreamMethod {
  return { path: `/${service}/${name}`, audited: { service, operation: name }, open, requestBytes };
}
