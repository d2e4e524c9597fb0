/**
 * What a client observed, without values: the generation and the keys of each Secret. Every value of the soak names its
 * origin after a prefix that is the secret: `<prefix>.<secret>.<generation>.<key>`.
 */
import type { ProviderEnvironment } from '../../src/client/index.ts';

/** Milliseconds on the machine's monotonic clock: the same for every process of the run. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function taggedValue(prefix: string, secret: string, generation: number, key: string): string {
  return `${prefix}.${secret}.${generation}.${key}`;
}

/** The credentials of one provider, which has the name of its Secret. */
export interface Seen {
  /** Each generation that a value of it carries: one, unless it is a mixture. */
  readonly generations: readonly number[];
  readonly keys: readonly string[];
}

export interface Observation {
  /** Name of the client; a watch has another one for each stream. */
  readonly client: string;
  /** A unary answer, a snapshot as it arrived, or what a watcher holds at this moment. */
  readonly kind: 'poll' | 'snapshot' | 'held';
  /** Providers that this caller may see. */
  readonly sees: readonly string[];
  /** When the call began; the same as `at` for the others. */
  readonly from: number;
  /** When it was in the client's hands. */
  readonly at: number;
  readonly revision: string;
  readonly secrets: Readonly<Record<string, Seen>>;
  /** Keys whose value is of another key, of another Secret, or not the soak's at all. */
  readonly foreign: readonly string[];
  /** Handle by `<provider>:<key>`; empty where they were told before. */
  readonly handles: Readonly<Record<string, string>>;
}

/** Analyses a snapshot. The result contains no text of a value. */
export function summarise(
  environment: ProviderEnvironment,
  prefix: string,
): Pick<Observation, 'revision' | 'secrets' | 'foreign'> {
  const secrets: Record<string, { generations: number[]; keys: string[] }> = {};
  const foreign: string[] = [];
  for (const { key, provider, value } of environment.credentials.values()) {
    const [start, secret, generation = '', ownKey] = value.reveal().toString().split('.');
    if (start !== prefix || secret !== provider || ownKey !== key || !/^\d+$/.test(generation)) {
      foreign.push(`${provider}:${key}`);
      continue;
    }
    secrets[provider] ??= { generations: [], keys: [] };
    const seen = secrets[provider];
    if (!seen.generations.includes(Number(generation))) seen.generations.push(Number(generation));
    seen.keys.push(key);
  }
  return { revision: String(environment.revision), secrets, foreign };
}
