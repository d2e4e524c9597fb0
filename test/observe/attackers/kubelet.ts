/**
 * Probes as kubelet does, each on a connection of its own: `kubelet.ts <host> <port> <path> <every ms> <timeout ms>`,
 * until its input ends. Prints `probing` after the first, and `{"probes": n, "failed": [reason, ...], "slowestMs": n}` at the end.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [host = '', port = '', path = '', every = '0', timeout = '0'] = process.argv.slice(2);

/** Undefined, or why it failed. */
function probe(): Promise<string | undefined> {
  return new Promise((done) => {
    const socket = connect({ host, port: Number(port) });
    let text = '';
    const timer = setTimeout(() => {
      done(`timeout ${socket.connecting ? 'of the connection' : 'of the answer'}`);
      socket.destroy();
    }, Number(timeout));
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code));
    socket.on('close', () => {
      clearTimeout(timer);
      done(text.startsWith('HTTP/1.1 200 ') ? undefined : `answer ${JSON.stringify(text.slice(0, 20))}`);
    });
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n\r\n`,
    );
  });
}

const failed: string[] = [];
let probes = 0;
let slowest = 0;
process.stdin
  .on('end', () => {
    const report = { probes, failed, slowestMs: Math.round(slowest) };
    process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
  })
  .resume();
for (;;) {
  const began = performance.now();
  const reason = await probe();
  slowest = Math.max(slowest, performance.now() - began);
  if (reason !== undefined) failed.push(`${reason} at ${new Date().toISOString()}`);
  probes += 1;
  if (probes === 1) process.stdout.write('probing\n');
  await sleep(Math.max(0, Number(every) - (performance.now() - began)));
}
