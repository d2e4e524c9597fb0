/**
 * Whether a credential may be sent to the destination of a request. No I/O, no clock, no values.
 *
 * Host, port, path and TLS must all match one endpoint. A path that servers may interpret differently (dot segments,
 * encoded slashes, backslashes) matches no bound path: `/api/**` must not admit `/api/%2e%2e/admin`.
 */
import { speaksTls } from '../domain/endpoint.ts';
import { matchGlob } from '../domain/glob.ts';
import type { CredentialEndpoint } from './environment.ts';
import { decodeFully } from './placeholder-marker.ts';

/** The destination of a request. */
export interface Destination {
  /** Host name without port, case-insensitive. A name with non-ASCII characters matches no endpoint. */
  readonly host: string;
  readonly port: number;
  /** Whether the request is sent over TLS. A value is sent over plain HTTP only to endpoints declared for it. */
  readonly tls: boolean;
  /** Path without query, beginning with "/", with `[CREDENTIAL]` in place of each placeholder. */
  readonly path: string;
}

export type EndpointMatch = 'match' | 'wrong-endpoint' | 'tls-required' | 'ambiguous-path';

/**
 * Longest path that is compared with a bound one, in characters. Servers reject or truncate longer paths, and the cost
 * of the comparison is up to the product of both lengths.
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
  // A target in absolute form (`https://other/x`) names its own server.
  if (!destination.path.startsWith('/')) return 'ambiguous-path';
  if (here.some((endpoint) => isAnyPath(endpoint.path))) return 'match';
  const path = unambiguousPath(destination.path);
  if (path === undefined) return 'ambiguous-path';
  return here.some((endpoint) => matchPath(endpoint.path, path)) ? 'match' : 'wrong-endpoint';
}

/** Lowercases ASCII letters only: `toLowerCase` turns the Kelvin sign into a "k". */
export function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Host names that URL parsers, DNS and IDNA all read alike: no delimiter, no trailing dot, no NUL. */
const HOST = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

/** `*` matches any text within one label but no dot: `*.example.com` does not match `a.b.example.com`. */
export function matchHost(pattern: string, host: string): boolean {
  return HOST.test(host) && matchGlob(pattern, host, '.');
}

function isAnyPath(pattern: string): boolean {
  return pattern === '' || pattern === '/**';
}

/** The path if every server reads it alike, otherwise undefined. */
function unambiguousPath(path: string): string | undefined {
  if (path.length > MAX_BOUND_PATH) return undefined;
  const decoded = decodeFully(path);
  if (!decoded.startsWith('/') || /[\\\x00-\x1f\x7f%?#]/.test(decoded)) return undefined;
  // Some servers treat an encoded slash as a separator, others as an ordinary character.
  if (decoded.split('/').length !== path.split('/').length) return undefined;
  const segments = decoded.split('/').slice(1);
  // Some servers strip `;parameters` from a segment, and some drop empty segments.
  const plain = segments.every((segment, index) => {
    const name = segment.split(';', 1)[0] ?? '';
    return (
      name !== '.' && name !== '..' && (name !== '' || (segment === '' && index === segments.length - 1))
    );
  });
  return plain ? decoded : undefined;
}

/** `X/**` matches X and everything below it. In a glob, `*` stays within a segment and `**` matches any number of segments. */
function matchPath(pattern: string, path: string): boolean {
  const patterns = pattern.split('/');
  const segments = path.split('/');
  // If what follows the last `**` does not match, only that `**` takes one more segment; earlier ones never need to.
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
