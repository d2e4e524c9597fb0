/** The configuration and the credentials that the kit judges requests by. */
import { eraseEnvironment, PlaceholderResolver, type ProviderEnvironment } from '../client/index.ts';
import type { Config } from '../config/config.ts';
import { Destinations } from './destinations.ts';
import { Needles } from './redact.ts';

export class Current {
  readonly resolver = new PlaceholderResolver({ acceptCanonical: true });
  destinations: Destinations;
  generation = 0;
  #environment: ProviderEnvironment | undefined;
  /** What was looked for since the last snapshot, by the names of the providers. */
  readonly #needles = new Map<string, Needles>();

  constructor(config: Config) {
    this.destinations = new Destinations(config);
  }

  /** Makes a snapshot current, or withdraws everything. */
  update(environment: ProviderEnvironment | undefined): void {
    const before = this.#environment;
    this.#environment = environment;
    this.generation += 1;
    for (const needles of this.#needles.values()) needles[Symbol.dispose]();
    this.#needles.clear();
    this.resolver.update(environment);
    if (before !== undefined) eraseEnvironment(before);
  }

  /** What to look for in responses; whoever asks disposes of it. */
  needlesOf(providers: ReadonlySet<string>): Needles {
    const names = JSON.stringify([...providers].sort());
    const known = this.#needles.get(names) ?? new Needles(this.#valuesOf(providers));
    this.#needles.set(names, known);
    return known.shared();
  }

  #valuesOf(providers: ReadonlySet<string>): Buffer[] {
    return [...(this.#environment?.credentials.values() ?? [])]
      .filter(({ provider }) => providers.has(provider))
      .map(({ value }) => Buffer.from(value.reveal()));
  }
}
