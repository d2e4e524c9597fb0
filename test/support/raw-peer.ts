/**
 * A program that tests run under other UIDs. It uses the socket in ways that no gRPC library would, and prints one JSON
 * object about the response: counts, never content.
 *
 *   raw-peer.ts preface <socket>          sends an HTTP/2 preface and garbage, counts the bytes it receives
 *   raw-peer.ts listen <socket>           sends nothing, counts the bytes it receives (an HTTP/2 server begins with SETTINGS)
 *   raw-peer.ts hand-over <socket> <stay|leave>
 *                                         connects, starts a child that inherits the connection, then stays or ends;
 *                                         the child asks for the environment over it
 *   raw-peer.ts become <socket> <uid>     connects as root, takes another UID, and asks for the environment
 */
import { spawn } from 'node:child_process';
import { connect as connectHttp2 } from 'node:http2';
import { connect, Socket } from 'node:net';

const [mode, socketPath = '', option] = process.argv.slice(2);

function report(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function count(payload: Buffer | undefined): void {
  const socket = connect(socketPath);
  let received = 0;
  let error = '';
  const timer = setTimeout(() => socket.destroy(), 1_500);
  socket.on('connect', () => payload !== undefined && socket.write(payload));
  socket.on('data', (bytes: Buffer) => {
    received += bytes.byteLength;
  });
  socket.on('error', (cause: NodeJS.ErrnoException) => {
    error = cause.code ?? cause.name;
  });
  socket.on('close', () => {
    clearTimeout(timer);
    report({ received, error });
  });
}

/** One GetProviderEnvironment over a connection. */
function askOver(socket: Socket): void {
  const session = connectHttp2('http://localhost', { createConnection: () => socket });
  let statusCode = '';
  let received = 0;
  let done = false;
  const finish = (error: string) => {
    if (done) return;
    done = true;
    report({ status: statusCode, received, error });
    process.exit(0);
  };
  session.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.name));
  session.on('close', () => finish('closed'));
  setTimeout(() => finish('timeout'), 3_000).unref();
  const request = session.request({
    ':method': 'POST',
    ':path': '/secretresolver.v1.CredentialResolver/GetProviderEnvironment',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  request.on('response', (headers) => {
    statusCode = String(headers['grpc-status'] ?? '');
  });
  request.on('trailers', (trailers) => {
    statusCode = String(trailers['grpc-status'] ?? '');
  });
  request.on('data', (bytes: Buffer) => {
    received += bytes.byteLength;
  });
  request.on('error', () => {});
  request.on('close', () => finish(''));
  request.end(Buffer.from([0, 0, 0, 0, 0]));
}

switch (mode) {
  case 'preface':
    count(
      Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        Buffer.from('000000040000000000', 'hex'),
        Buffer.alloc(4_096, 0xff),
      ]),
    );
    break;
  case 'listen':
    count(undefined);
    break;
  case 'hand-over': {
    // Paused, or this process would take the server's first bytes from the one that it hands over to.
    const socket = connect(socketPath).pause();
    socket.on('error', (error: NodeJS.ErrnoException) => report({ error: error.code }));
    socket.on('connect', () => {
      const fd = (socket as unknown as { _handle: { fd: number } })._handle.fd;
      const child = spawn(process.execPath, [process.argv[1] ?? '', 'ask', socketPath, option ?? 'stay'], {
        stdio: ['ignore', 'inherit', 'inherit', fd],
        detached: true,
      });
      if (option === 'leave') child.unref();
      if (option === 'leave') setTimeout(() => process.exit(0), 100);
      else child.on('exit', () => socket.destroy());
    });
    break;
  }
  case 'ask':
    // Where the parent leaves, it has left by then.
    setTimeout(
      () => askOver(new Socket({ fd: 3, readable: true, writable: true })),
      option === 'leave' ? 500 : 0,
    );
    break;
  case 'become': {
    const socket = connect(socketPath);
    socket.on('connect', () => {
      process.setgroups?.([]);
      process.setuid?.(Number(option));
      // HTTP/2 must be the first to read: what was accepted meanwhile waits in the socket.
      askOver(socket);
    });
    break;
  }
  default:
    process.exitCode = 2;
}
