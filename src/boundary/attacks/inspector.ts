/** Asks a TCP listener whether it is a debugger, as a debugger's client would. */
import http from 'node:http';
import { errnoName } from './answer.ts';
import type { TcpListener } from './surroundings.ts';

export type InspectorAnswer =
  | { readonly kind: 'inspector'; readonly targets: number }
  | { readonly kind: 'other'; readonly what: string };

/** A list of targets is some hundred bytes each. */
const MAX_BODY_BYTES = 65_536;

/** GET /json/list. Never rejects. */
export async function askInspector(target: TcpListener, timeoutMs: number): Promise<InspectorAnswer> {
  const { promise, resolve } = Promise.withResolvers<InspectorAnswer>();
  const other = (what: string) => resolve({ kind: 'other', what });
  const request = http.get({ ...target, path: '/json/list', timeout: timeoutMs, agent: false });
  const timer = setTimeout(() => other('not an inspector: no answer in time'), timeoutMs);
  request.on('error', (error) => {
    const errno = errnoName(error);
    other(errno === 'ECONNREFUSED' ? errno : `not an inspector: ${errno}`);
  });
  request.on('response', (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      if (body.length < MAX_BODY_BYTES) body += chunk;
    });
    response.on('error', (error) => other(`not an inspector: ${errnoName(error)}`));
    response.on('end', () => {
      const targets = targetsIn(body);
      if (targets === undefined) other(`not an inspector: HTTP status ${response.statusCode}`);
      else resolve({ kind: 'inspector', targets });
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
