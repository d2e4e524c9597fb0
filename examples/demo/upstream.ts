/** The service that the demo's credentials are for. Reports which credential arrived, masked. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { ThrowAwayAuthority } from '../../src/egress/authority.ts';

/** What arrived with a request. */
interface Arrival {
  readonly where: 'header' | 'basic' | 'query' | 'nowhere';
  readonly credential: string;
}

export interface Upstream extends AsyncDisposable {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly ca: string;
}

/** Starts HTTP and HTTPS on loopback. `identify` names a credential without showing it. */
export async function startUpstream(
  host: string,
  identify: (credential: string) => string,
): Promise<Upstream> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const { where, credential } = arrival(request, identify);
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(`${host} says: ${credential} arrived in ${where}\n`);
  };
  const authority = await ThrowAwayAuthority.create('demo upstream', Date.now());
  const { key, certificate: cert } = await authority.issue(host);
  const http = createHttpServer(answer);
  const https = createHttpsServer({ key, cert }, answer);
  const [httpPort, httpsPort] = await Promise.all([listen(http), listen(https)]);
  return {
    httpPort,
    httpsPort,
    ca: authority.certificate,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      https.closeAllConnections();
      await Promise.all([http, https].map((server) => new Promise((done) => server.close(done))));
    },
  };
}

function arrival(request: IncomingMessage, identify: (credential: string) => string): Arrival {
  const header = request.headers['private-token'];
  if (typeof header === 'string') return { where: 'header', credential: identify(header) };
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (basic !== undefined) {
    const pair = Buffer.from(basic, 'base64').toString('utf8');
    return { where: 'basic', credential: identify(pair.slice(pair.indexOf(':') + 1)) };
  }
  const query = new URL(request.url ?? '/', 'http://upstream').searchParams.get('private_token');
  return query === null
    ? { where: 'nowhere', credential: 'no credential' }
    : { where: 'query', credential: identify(query) };
}

function listen(server: Server): Promise<number> {
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => done((server.address() as AddressInfo).port));
  });
}
