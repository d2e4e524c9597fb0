/**
 * The agent of the demo: one process that runs through all rotations. It reads one command per line, uses curl if it is
 * installed, and prints the result.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { errorCode } from '../../src/domain/errors.ts';

/** The commands that the demo sends to the agent. */
export type AgentTask =
  | { readonly task: 'environment' }
  | {
      readonly task: 'request';
      readonly url: string;
      readonly headers: readonly string[];
      readonly user?: string;
    }
  | { readonly task: 'read'; readonly path: string }
  | { readonly task: 'connect'; readonly path: string };

/** What the agent answers. */
export interface AgentResult {
  readonly done: AgentTask['task'];
  readonly environment?: Readonly<Record<string, string>>;
  readonly status?: number;
  readonly body?: string;
  readonly client?: string;
  readonly result?: string;
}

const say = (result: object) => process.stdout.write(`${JSON.stringify(result)}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line) as AgentTask;
  switch (task.task) {
    case 'environment':
      say({ done: 'environment', environment: process.env });
      break;
    case 'request':
      say({
        done: 'request',
        ...(await send(
          task.url,
          task.headers.map(expand),
          task.user === undefined ? undefined : expand(task.user),
        )),
      });
      break;
    case 'read':
      say({ done: 'read', result: read(task.path) });
      break;
    case 'connect':
      say({ done: 'connect', ...(await listen(task.path)) });
      break;
  }
}

/** Expands `$NAME` to the agent's own variable, which only ever holds a placeholder. */
function expand(text: string): string {
  return text.replaceAll(/\$([A-Z_]+)/g, (_, name: string) => process.env[name] ?? '');
}

interface Answer {
  readonly client: string;
  readonly status: number;
  readonly body: string;
}

async function send(url: string, headers: readonly string[], user: string | undefined): Promise<Answer> {
  // The proxy and its certificate come from the environment, as for every other program of the agent. Where the proxy
  // refuses a CONNECT there is no answer, and the status is the proxy's.
  const args = [
    ...['--silent', '--show-error', '--max-time', '10'],
    ...['--write-out', '\n%{http_connect} %{http_code}'],
  ];
  for (const header of headers) args.push('--header', header);
  if (user !== undefined) args.push('--user', user);
  const ran = await new Promise<{ code: string; output: string }>((done) => {
    execFile('curl', [...args, expand(url)], (error, stdout, stderr) => {
      done(
        error === null ? { code: '', output: stdout } : { code: errorCode(error), output: stdout || stderr },
      );
    });
  });
  if (ran.code === 'ENOENT') return sendWithNode(expand(url), headers);
  const at = ran.output.lastIndexOf('\n');
  const [connected, answered] = ran.output
    .slice(at + 1)
    .split(' ')
    .map(Number);
  return {
    client: 'curl',
    status: answered || connected || 0,
    body: ran.output.slice(0, Math.max(0, at)).trim(),
  };
}

/** Sends plain HTTP through the proxy if curl is not installed. */
function sendWithNode(url: string, headers: readonly string[]): Promise<Answer> {
  const proxy = new URL(process.env.HTTPS_PROXY ?? 'http://127.0.0.1:1');
  const fields = Object.fromEntries(
    headers.map((header) => [
      header.slice(0, header.indexOf(':')),
      header.slice(header.indexOf(':') + 1).trim(),
    ]),
  );
  return new Promise((done) => {
    const request = httpRequest(
      { host: proxy.hostname, port: proxy.port, path: url, headers: { ...fields, host: new URL(url).host } },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () =>
          done({ client: 'node', status: response.statusCode ?? 0, body: body.trim() }),
        );
      },
    );
    request.on('error', (error) => done({ client: 'node', status: 0, body: errorCode(error) }));
    request.end();
  });
}

/** Tries to read a file or list a folder. Returns the number of bytes or names, or the kernel's error. */
function read(path: string): string {
  try {
    return `read ${readFileSync(path).byteLength} bytes`;
  } catch (error) {
    if (errorCode(error) !== 'EISDIR') return errorCode(error);
    try {
      return `listed ${readdirSync(path).length} names`;
    } catch (again) {
      return errorCode(again);
    }
  }
}

/** Attacks the socket: connects, sends HTTP/2, and counts the bytes of the response. */
function listen(path: string): Promise<{ readonly received: number; readonly result: string }> {
  return new Promise((done) => {
    let received = 0;
    let result = 'closed without a byte';
    const socket = connect(path);
    const timer = setTimeout(() => socket.destroy(), 2_000);
    socket.on('connect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'));
    socket.on('data', (bytes) => {
      received += bytes.length;
    });
    socket.on('error', (error) => {
      result = errorCode(error);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      done({ received, result: received > 0 ? `received ${received} bytes` : result });
    });
  });
}
