/**
 * Whether a request goes where a credential may go. No I/O, no clock, no values.
 *
 * Host, port and path must all match one endpoint. A path that two servers could read in two ways (dot
 * segments, encoded slashes, backslashes) matches no bound path: `/api/**` must not be a ticket to
 * `/api/%2e%2e/admin`.
 */
import { matchGlob } from '../domain/glob.ts';
import type { CredentialEndpoint } from './environment.ts';
import { decodeFully } from './placeholder-marker.ts';

/** Where a request goes. */
export interface Destination {
  /** Host name as the client wrote it, without port; letter case does not matter. */
  readonly host: string;
  readonly port: number;
  /** Path without query, beginning with "/", with `[CREDENTIAL]` in place of each placeholder. */
  readonly path: string;
}

export type EndpointMatch = 'match' | 'wrong-endpoint' | 'ambiguous-path';

/** Compares a destination with the endpoints of a credential. */
export function matchEndpoints(
  endpoints: readonly CredentialEndpoint[],
  destination: Destination,
): EndpointMatch {
  const host = destination.host.toLowerCase();
  const here = endpoints.filter(
    (endpoint) => endpoint.port === destination.port && matchHost(endpoint.host.toLowerCase(), host),
  );
  if (here.length === 0) return 'wrong-endpoint';
  if (here.some((endpoint) => isAnyPath(endpoint.path))) return 'match';
  const path = unambiguousPath(destination.path);
  if (path === undefined) return 'ambiguous-path';
  return here.some((endpoint) => matchPath(endpoint.path, path)) ? 'match' : 'wrong-endpoint';
}

/** `*` stands for any text within one label, never for a dot: `*.example.com` is not `a.b.example.com`. */
function matchHost(pattern: string, host: string): boolean {
  return host !== '' && !host.split('.').includes('') && matchGlob(pattern, host, '.');
}

function isAnyPath(pattern: string): boolean {
  return pattern === '' || pattern === '/**';
}

/** The path as every server must read it, or undefined where servers could differ. */
function unambiguousPath(path: string): string | undefined {
  const decoded = decodeFully(path);
  if (!decoded.startsWith('/') || /[\\\x00-\x1f\x7f%?#]/.test(decoded)) return undefined;
  // An encoded slash is a separator to some servers and a letter to others.
  if (decoded.split('/').length !== path.split('/').length) return undefined;
  const segments = decoded.split('/').slice(1);
  // Some servers drop `;parameters` before they read a segment, and some drop empty segments.
  const plain = segments.every((segment, index) => {
    const name = segment.split(';', 1)[0] ?? '';
    return (
      name !== '.' && name !== '..' && (name !== '' || (segment === '' && index === segments.length - 1))
    );
  });
  return plain ? decoded : undefined;
}

/** `X/**` is X and everything below it; in a glob `*` stays within a segment and `**` is any number of segments. */
function matchPath(pattern: string, path: string): boolean {
  return matchSegments(pattern.split('/'), path.split('/'));
}

function matchSegments(patterns: readonly string[], segments: readonly string[]): boolean {
  // reachable[i]: the patterns read so far can stand for the first i segments.
  let reachable = Array.from({ length: segments.length + 1 }, (_, count) => count === 0);
  for (const pattern of patterns) {
    let open = false;
    reachable = reachable.map((here, count) => {
      if (pattern === '**') {
        open ||= here;
        return open;
      }
      return count > 0 && reachable[count - 1] === true && matchGlob(pattern, segments[count - 1] ?? '');
    });
  }
  return reachable[segments.length] === true;
}
