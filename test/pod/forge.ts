/**
 * A server that unmodified clients take for a forge: git over HTTP by git's own server program, and a registry of one npm
 * package. It asks for a password or token and compares nothing: its caller does.
 */
import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Answers one request. `repositories` is a folder of bare repositories; `origin` is the server's own. */
export function answerAsForge(
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  { repositories, origin }: { readonly repositories: string; readonly origin: string },
): void {
  if (request.headers.authorization === undefined) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="forge"' }).end();
  } else if (request.url?.startsWith('/npm/')) {
    response.setHeader('content-type', 'application/json');
    const version = { name: 'ours', version: '1.2.3', dist: { tarball: `${origin}/ours.tgz` } };
    const versions = { '1.2.3': version };
    response.end(JSON.stringify({ name: 'ours', 'dist-tags': { latest: '1.2.3' }, versions }));
  } else {
    serveGit(repositories, request, body, response);
  }
}

/** git's own server program, as a web server runs it. */
function serveGit(root: string, request: IncomingMessage, body: Buffer, response: ServerResponse): void {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const { 'content-type': type = '', 'content-encoding': encoding = '' } = request.headers;
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: 'oauth2',
      REQUEST_METHOD: request.method,
      PATH_INFO: path,
      QUERY_STRING: query,
      CONTENT_TYPE: type,
      HTTP_CONTENT_ENCODING: encoding,
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.once('close', () => {
    const all = Buffer.concat(chunks);
    const end = all.indexOf('\r\n\r\n');
    for (const line of all.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', content = ''] = line.split(': ');
      if (name === 'Status') response.statusCode = Number.parseInt(content, 10);
      else response.setHeader(name, content);
    }
    response.end(all.subarray(end + 4));
  });
  child.stdin.end(body);
}
