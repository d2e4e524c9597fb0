/** Where the agent's requests may go: the endpoints of the providers, as the kit and as Envoy ask for them. */

import type { Authority } from '../client/index.ts';
import { lowerAscii, matchHost } from '../client/placeholder-endpoint.ts';
import type { Config, EgressSettings } from '../config/config.ts';
import { speaksTls } from '../domain/endpoint.ts';
import { matchGlob } from '../domain/glob.ts';

/** A server, as the kit knows it from whom it was asked by: never from a Host that the agent wrote. */
export type Server = Authority;

type Listed = Server & { readonly rewriteBodies: boolean; readonly redacted: string | undefined };

export class Destinations {
  readonly unlisted: EgressSettings['unlisted'];
  readonly #listed: readonly Listed[];

  constructor({ providers, egress }: Pick<Config, 'providers' | 'egress'>) {
    this.unlisted = egress.unlisted;
    this.#listed = providers.flatMap(({ name, endpoints }) => {
      const is = (globs: readonly string[]) => globs.some((glob) => matchGlob(glob, name));
      const rewriteBodies = is(egress.rewriteBodies);
      const redacted = is(egress.redactResponses) ? name : undefined;
      return endpoints.map((endpoint) => ({
        host: lowerAscii(endpoint.host),
        port: endpoint.port,
        tls: speaksTls(endpoint),
        rewriteBodies,
        redacted,
      }));
    });
  }

  has(server: Server): boolean {
    return this.#of(server).length > 0;
  }

  /** Whether a certificate may be made for a name: as the provider writes it, by a pattern, or not. */
  nameOf(host: string): 'written' | 'pattern' | undefined {
    const name = lowerAscii(host);
    const here = this.#listed.filter((entry) => entry.tls && matchHost(entry.host, name));
    if (here.length === 0) return undefined;
    return here.some((entry) => entry.host === name) ? 'written' : 'pattern';
  }

  rewritesBodies(server: Server): boolean {
    return this.#of(server).some(({ rewriteBodies }) => rewriteBodies);
  }

  /** Providers whose values are taken out of the responses of this server. */
  redactedProviders(server: Server): ReadonlySet<string> {
    return new Set(this.#of(server).flatMap(({ redacted }) => redacted ?? []));
  }

  get tlsPorts(): number[] {
    return [...new Set(this.#listed.flatMap(({ tls, port }) => (tls ? [port] : [])))].sort((a, b) => a - b);
  }

  /** RE2 patterns of the `host:port` of every listed server; for plain HTTP, without a port that is the scheme's own. */
  authorities(of: Pick<Server, 'tls'> & Partial<Pick<Server, 'port'>>): string[] {
    const here = this.#listed.filter(
      ({ tls, port }) => tls === of.tls && (of.port === undefined || port === of.port),
    );
    return [...new Set(here.map(({ host, port }) => `${hostRegex(host)}${portRegex(port, of.tls)}`))].sort();
  }

  #of({ host, port, tls }: Server): readonly Listed[] {
    const name = lowerAscii(host);
    return this.#listed.filter(
      (entry) => entry.port === port && entry.tls === tls && matchHost(entry.host, name),
    );
  }
}

/** A host pattern as a regular expression without groups: `*` stays within a label, and a label is not empty. */
function hostRegex(pattern: string): string {
  return pattern
    .split('.')
    .map((label) =>
      /^\*+$/.test(label)
        ? '[a-z0-9_-]+'
        : label.replaceAll(/[^a-z0-9_*-]/g, '\\$&').replaceAll(/\*+/g, '[a-z0-9_-]*'),
    )
    .join('\\.');
}

function portRegex(port: number, tls: boolean): string {
  return !tls && port === 80 ? '(:80)?' : `:${port}`;
}
