/** Asks a TCP listener whether it is a debugger, as a debugger's client would. */
import http from 'node:http';
import { errorCode } from '../../domain/errors.ts';
import type { TcpListener } from './surroundings.ts';

/** A list of targets is some hundred bytes each. */
const MAX_BODY_BYTES = 65_536;

/** GET /json/list: how many targets an inspector names, or what else answered. Never rejects. */
export async function askInspector(target: TcpListener, timeoutMs: number): Promise<number | string> {
  const { promise, resolve } = Promise.withResolvers<number | string>();
  const request = http.get({ ...target, path: '/json/list', timeout: timeoutMs, agent: false });
  const timer = setTimeout(() => resolve('not an inspector: no answer in time'), timeoutMs);
  request.on('error', (error) => {
    const errno = errorCode(error);
    resolve(errno === 'ECONNREFUSED' ? errno : `not an inspector: ${errno}`);
  });
  request.on('response', (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      if (body.length < MAX_BODY_BYTES) body += chunk;
    });
    response.on('error', (error) => resolve(`not an inspector: ${errorCode(error)}`));
    response.on('end', () => {
      resolve(targetsIn(body) ?? `not an inspector: HTTP status ${response.statusCode}`);
    });
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    request.destroy();
  }
}

/** Number of debuggable targets in an answer; undefined where it is no such list. */
function targetsIn(body: string): number | undefined {
  try {
    const list: unknown = JSON.parse(body);
    if (!Array.isArray(list)) return undefined;
    const debuggable = list.filter(
      (entry) => entry !== null && typeof entry === 'object' && 'webSocketDebuggerUrl' in entry,
    );
    return debuggable.length > 0 ? debuggable.length : undefined;
  } catch {
    return undefined;
  }
}
