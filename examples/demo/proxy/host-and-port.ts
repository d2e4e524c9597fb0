/** Host and port out of a request line or a Host header. No I/O. */

export interface HostAndPort {
  /** In lower case. */
  readonly host: string;
  readonly port: number;
}

const HOST_AND_PORT = /^([a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?)(?::([0-9]{1,5}))?$/i;

/** Reads `host` or `host:port`; undefined for anything else, user names and IPv6 addresses among it. */
export function parseHostAndPort(text: string, defaultPort: number): HostAndPort | undefined {
  const [, host, port] = HOST_AND_PORT.exec(text) ?? [];
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number < 1 || number > 65535) return undefined;
  return { host: host.toLowerCase(), port: number };
}

/** Reads `http://host:port/path?query` and keeps path and query byte for byte: a URL parser would resolve dots. */
export function parseAbsoluteTarget(url: string): (HostAndPort & { readonly target: string }) | undefined {
  const [, authority, rest] = /^http:\/\/([^/?#]*)([^#]*)$/i.exec(url) ?? [];
  const to = authority === undefined ? undefined : parseHostAndPort(authority, 80);
  if (to === undefined || rest === undefined) return undefined;
  return { ...to, target: rest.startsWith('/') ? rest : `/${rest}` };
}
