/**
 * The service at the other end, run in a container of the pod: it prints which credential arrived, and where, as a
 * keyed fingerprint that the test can compare and nobody else can use.
 *
 *   upstream.ts <folder with key.pem and certificate.pem> <port>      FINGERPRINT_KEY in the environment
 *
 * With REPOSITORIES, a folder, it is a forge below /npm/ and /project.git.
 */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { answerAsForge } from './forge.ts';

const [folder = '', port = ''] = process.argv.slice(2);
const key = process.env.FINGERPRINT_KEY ?? '';

function fingerprint(credential: string): string {
  return createHmac('sha256', key).update(credential).digest('hex');
}

function arrived(request: IncomingMessage): object {
  const header = request.headers['private-token'];
  if (typeof header === 'string') return { where: 'header', credential: fingerprint(header) };
  const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return { where: 'bearer', credential: fingerprint(bearer) };
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (basic !== undefined) {
    const [user, password = ''] = Buffer.from(basic, 'base64').toString('utf8').split(':');
    return { where: 'basic', user, credential: fingerprint(password) };
  }
  const query = new URL(request.url ?? '/', 'https://upstream').searchParams.get('private_token');
  return query === null ? { where: 'nowhere' } : { where: 'query', credential: fingerprint(query) };
}

createServer(
  {
    key: readFileSync(join(folder, 'key.pem')),
    cert: readFileSync(join(folder, 'certificate.pem')),
  },
  (request: IncomingMessage, response: ServerResponse) => {
    process.stdout.write(`${JSON.stringify({ event: 'arrived', ...arrived(request) })}\n`);
    const { REPOSITORIES: repositories } = process.env;
    if (repositories === undefined || !/^\/(npm|project\.git)\//.test(request.url ?? '')) {
      response.end('welcome\n');
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const origin = `https://${request.headers.host}`;
      answerAsForge(request, Buffer.concat(chunks), response, { repositories, origin });
    });
  },
).listen(Number(port), '127.0.0.1', () =>
  process.stdout.write(`${JSON.stringify({ event: 'listening' })}\n`),
);
