/** What others could read out of a request, and where one may go: written another way than the code under test. */
import type { CredentialEndpoint } from '../../src/client/environment.ts';
import type { AgentRequest, OutgoingRequest } from '../../src/client/placeholder-request.ts';

/** A second opinion on endpoints, written another way: it may be told what normal paths are, and asks for no more. */
export function simplyMatches(endpoint: CredentialEndpoint, request: AgentRequest): boolean {
  const host = new RegExp(`^${endpoint.host.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}$`, 'i');
  if (!host.test(request.host) || endpoint.port !== request.port) return false;
  if (!request.tls && endpoint.port !== 80) return false;
  if (endpoint.path === '') return true;
  const path = new URL(`http://h${request.target.split('?')[0]}`).pathname;
  return endpoint.path === '/api/**'
    ? path === '/api' || path.startsWith('/api/')
    : /^\/x\/[^/]*$/.test(path);
}

/** Every text that somebody could read out of a request: each part as it is, decoded step by step, unescaped, and a Basic header out of its Base64. */
export function everyReading(value: OutgoingRequest | object): string[] {
  const found = new Set<string>();
  const collect = (part: unknown, header = false): void => {
    if (typeof part === 'string') {
      read(part, found, 6);
      // Some proxies join two headers by a comma.
      for (const each of header ? [part, ...part.split(',')] : [part]) {
        const basic = /^[\s\x1c-\x1f\x85]*basic[\s\x1c-\x1f\x85]+(\S.*)$/i.exec(each)?.[1];
        if (basic !== undefined) read(Buffer.from(basic, 'base64').toString('latin1'), found, 5);
      }
    } else if (Buffer.isBuffer(part)) read(part.toString('latin1'), found, 6);
    else if (typeof part === 'object' && part !== null) {
      for (const [name, value] of Object.entries(part)) collect(value, header || name === 'headers');
    }
  };
  collect(value);
  return [...found];
}

function read(text: string, found: Set<string>, depth: number): void {
  if (found.has(text)) return;
  found.add(text);
  if (depth === 0) return;
  const decoded = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  read(decoded, found, depth - 1);
  read(
    text.replace(/\\u([0-9a-fA-F]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    found,
    depth - 1,
  );
}
