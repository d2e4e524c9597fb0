/** The configuration and the credentials that the kit judges requests by. */
import { eraseEnvironment, PlaceholderResolver, type ProviderEnvironment } from '../client/index.ts';
import type { Config } from '../config/config.ts';
import { Destinations } from './destinations.ts';

/** What is in force at this moment: of the configuration, and of the credentials. */
export class Current {
  readonly resolver = new PlaceholderResolver({ acceptCanonical: true });
  destinations: Destinations;
  /** Counts the snapshots. */
  generation = 0;
  #environment: ProviderEnvironment | undefined;

  constructor(config: Config) {
    this.destinations = new Destinations(config);
  }

  /** Makes a snapshot current, or withdraws everything. */
  update(environment: ProviderEnvironment | undefined): void {
    const before = this.#environment;
    this.#environment = environment;
    this.generation += 1;
    this.resolver.update(environment);
    if (before !== undefined) eraseEnvironment(before);
  }

  /** Copies of the values of some providers; whoever asks overwrites them. */
  valuesOf(providers: ReadonlySet<string>): Buffer[] {
    return [...(this.#environment?.credentials.values() ?? [])]
      .filter(({ provider }) => providers.has(provider))
      .map(({ value }) => Buffer.from(value.reveal()));
  }
}
