/**
 * Speaks gRPC over any stream, by hand: grpc-js would connect again by itself and hide what became of the first
 * connection, and that is what the self-test is about. Counts what comes back and keeps none of it.
 */
import http2 from 'node:http2';
import type net from 'node:net';
import { errorCode } from '../../domain/errors.ts';
import { CLOSED, type Rpc } from './types.ts';

/** What came of a call. */
export type CallAnswer =
  | { readonly kind: 'no-connection'; readonly errno: string }
  /** The other side closed, and sent nothing: what a refused peer is to see. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'silent' }
  /** It sent something that is no gRPC. */
  | { readonly kind: 'other'; readonly bytes: number }
  | { readonly kind: 'status'; readonly code: number; readonly messageBytes: number };

const STATUS_NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

export function describeAnswer(answer: CallAnswer): string {
  switch (answer.kind) {
    case 'no-connection':
      return answer.errno;
    case 'closed':
      return CLOSED;
    case 'silent':
      return 'no answer in time';
    case 'other':
      return `${answer.bytes} bytes that are no gRPC`;
    case 'status': {
      const name = STATUS_NAMES[answer.code] ?? `code ${answer.code}`;
      return answer.messageBytes > 0
        ? `gRPC status ${name}, message of ${answer.messageBytes} bytes`
        : `gRPC status ${name}`;
    }
  }
}

/** Whether the other side served us. */
export function isGain(answer: CallAnswer): boolean {
  return answer.kind === 'status' && (answer.code === 0 || answer.messageBytes > 0);
}

/** Makes one call on a socket, which need not be connected yet, and closes it. Never rejects. */
export async function callOn(socket: net.Socket, rpc: Rpc, timeoutMs: number): Promise<CallAnswer> {
  // A connection that another process opened can have ended before it came to us.
  if (socket.destroyed) return { kind: 'closed' };
  const { promise, resolve } = Promise.withResolvers<CallAnswer>();
  let connectionError: string | undefined;
  let received = 0;
  let status: number | undefined;
  let messageBytes = 0;
  const note = () => {
    received = Math.max(received, socket.bytesRead);
  };
  /** What is known at the moment when nothing more will come. */
  const conclude = (ended: boolean): CallAnswer => {
    note();
    if (status !== undefined || messageBytes > 0) {
      return { kind: 'status', code: status ?? 0, messageBytes };
    }
    if (connectionError !== undefined && received === 0 && !CUT_OFF.includes(connectionError)) {
      return { kind: 'no-connection', errno: connectionError };
    }
    if (received > 0) return { kind: 'other', bytes: received };
    return { kind: ended ? 'closed' : 'silent' };
  };
  const timer = setTimeout(() => resolve(conclude(false)), timeoutMs);
  socket.on('error', (error) => {
    connectionError ??= errorCode(error);
  });
  socket.on('close', () => resolve(conclude(true)));

  const session = http2.connect('http://localhost', { createConnection: () => socket });
  session.on('error', note);
  session.on('close', () => resolve(conclude(true)));
  const stream = session.request({
    ':method': 'POST',
    ':path': rpc.path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const takeStatus = (headers: http2.IncomingHttpHeaders) => {
    const text = headers['grpc-status'];
    if (typeof text === 'string' && /^[0-9]{1,3}$/.test(text)) status = Number(text);
  };
  stream.on('response', takeStatus);
  stream.on('trailers', takeStatus);
  stream.on('error', note);
  stream.on('data', (chunk: Buffer) => {
    const FRAME_HEADER = 5;
    messageBytes += messageBytes === 0 ? Math.max(chunk.length - FRAME_HEADER, 0) : chunk.length;
    chunk.fill(0);
    // A watch never ends: the first message is all that the self-test needs.
    resolve(conclude(false));
  });
  stream.on('end', () => resolve(conclude(false)));
  const frame = Buffer.alloc(5 + rpc.request.length);
  frame.writeUInt32BE(rpc.request.length, 1);
  frame.set(rpc.request, 5);
  stream.end(frame);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    session.destroy();
    socket.destroy();
  }
}

/** How a connection ends that was accepted and thrown out: bytes of ours were still unread, or on their way. */
const CUT_OFF = ['ECONNRESET', 'EPIPE', 'ERR_STREAM_WRITE_AFTER_END', 'ERR_STREAM_PREMATURE_CLOSE'];

/** Client preface and an empty SETTINGS frame. */
const HTTP2_OPENING = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';

/** What a peer says first when it is sent the beginning of an HTTP/2 connection. */
export async function firstAnswer(socket: net.Socket, timeoutMs: number): Promise<CallAnswer> {
  const { promise, resolve } = Promise.withResolvers<CallAnswer>();
  const timer = setTimeout(() => resolve({ kind: 'silent' }), timeoutMs);
  socket.on('error', (error) => {
    const errno = errorCode(error);
    resolve(CUT_OFF.includes(errno) ? { kind: 'closed' } : { kind: 'no-connection', errno });
  });
  socket.on('data', (chunk: Buffer) => {
    resolve({ kind: 'other', bytes: chunk.length });
    chunk.fill(0);
  });
  socket.on('end', () => resolve({ kind: 'closed' }));
  socket.on('close', () => resolve({ kind: 'closed' }));
  socket.write(HTTP2_OPENING, 'latin1');
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}
