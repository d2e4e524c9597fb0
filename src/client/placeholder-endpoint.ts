/**
 * Whether a request goes where a credential may go. No I/O, no clock, no values.
 *
 * Host, port, path and TLS must all match one endpoint. A path that two servers could read in two ways (dot
 * segments, encoded slashes, backslashes) matches no bound path: `/api/**` must not admit
 * `/api/%2e%2e/admin`.
 */
import { speaksTls } from '../domain/endpoint.ts';
import { matchGlob } from '../domain/glob.ts';
import type { CredentialEndpoint } from './environment.ts';
import { decodeFully } from './placeholder-marker.ts';

/** Where a request goes. */
export interface Destination {
  /** Host name without port, in letters of either case. A name that is not plain ASCII matches no endpoint. */
  readonly host: string;
  readonly port: number;
  /** Whether the request is sent over TLS. Plain HTTP carries a value only to endpoints declared for it. */
  readonly tls: boolean;
  /** Path without query, beginning with "/", with `[CREDENTIAL]` in place of each placeholder. */
  readonly path: string;
}

export type EndpointMatch = 'match' | 'wrong-endpoint' | 'tls-required' | 'ambiguous-path';

/**
 * Longest path, in characters, that is compared with a bound one. Servers reject longer ones or cut them off, and
 * the comparison costs up to the product of both lengths.
 */
const MAX_BOUND_PATH = 16 * 1024;

/** Compares a destination with the endpoints of a credential. */
export function matchEndpoints(
  endpoints: readonly CredentialEndpoint[],
  destination: Destination,
): EndpointMatch {
  const host = lowerAscii(destination.host);
  const named = endpoints.filter(
    (endpoint) => endpoint.port === destination.port && matchHost(lowerAscii(endpoint.host), host),
  );
  if (named.length === 0) return 'wrong-endpoint';
  const here = destination.tls === false ? named.filter((endpoint) => !speaksTls(endpoint)) : named;
  if (here.length === 0) return 'tls-required';
  // A target in absolute form (`https://other/x`) names a server of its own.
  if (!destination.path.startsWith('/')) return 'ambiguous-path';
  if (here.some((endpoint) => isAnyPath(endpoint.path))) return 'match';
  const path = unambiguousPath(destination.path);
  if (path === undefined) return 'ambiguous-path';
  return here.some((endpoint) => matchPath(endpoint.path, path)) ? 'match' : 'wrong-endpoint';
}

/** Lowers ASCII letters only: `toLowerCase` turns the Kelvin sign into a "k". */
export function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Nothing that a URL parser, a resolver or IDNA would read in another way: no delimiter, no trailing dot, no NUL. */
const HOST = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

/** `*` stands for any text within one label, never for a dot: `*.example.com` is not `a.b.example.com`. */
function matchHost(pattern: string, host: string): boolean {
  return HOST.test(host) && matchGlob(pattern, host, '.');
}

function isAnyPath(pattern: string): boolean {
  return pattern === '' || pattern === '/**';
}

/** The path as every server must read it, or undefined where servers could differ. */
function unambiguousPath(path: string): string | undefined {
  if (path.length > MAX_BOUND_PATH) return undefined;
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
  const patterns = pattern.split('/');
  const segments = path.split('/');
  // The last `**` takes one segment more whenever what follows it does not match: no earlier one has to.
  let retry: { readonly pattern: number; segment: number } | undefined;
  let at = 0;
  for (let index = 0; index < segments.length; ) {
    const wanted = patterns[at];
    if (wanted === '**') {
      at += 1;
      retry = { pattern: at, segment: index };
    } else if (wanted !== undefined && matchGlob(wanted, segments[index] ?? '')) {
      at += 1;
      index += 1;
    } else if (retry !== undefined) {
      at = retry.pattern;
      retry.segment += 1;
      index = retry.segment;
    } else return false;
  }
  return patterns.slice(at).every((rest) => rest === '**');
}
