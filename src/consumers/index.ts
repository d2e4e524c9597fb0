/** The registry of consumers: one line each. */
import type { Rpc } from '../boundary/attacks/types.ts';
import type { Config } from '../config/config.ts';
import { type Environment, type Folders, readConfig } from '../config/load.ts';
import { schemasWith } from '../config/part.ts';
import { SOURCE_TYPES } from '../sources/index.ts';
import type { Consumer, ServeOptions } from './consumer.ts';
import { envoySds } from './envoy-sds/index.ts';
import { gatewayDriver } from './gateway-driver/index.ts';
import { native } from './native/index.ts';
import { openshell } from './openshell/index.ts';

export const CONSUMERS: readonly Consumer[] = [native, openshell, gatewayDriver, envoySds];

const PARTS = CONSUMERS.flatMap(({ config }) => config ?? []);
const REGISTERED = { parts: PARTS, sourceTypes: SOURCE_TYPES };

/** Published JSON Schemas, by the name that `config schema` takes. */
export const SCHEMAS = schemasWith(REGISTERED);

/** Every call that could yield a credential, for the self-test. */
export function selfTestCalls(sandboxId: string): Rpc[] {
  return CONSUMERS.flatMap(({ selfTest }) => selfTest(sandboxId));
}

/**
 * Loads the configuration file with every consumer's part, its provider files and the profiles. Throws ConfigError with
 * all issues found. `options` are those of `serve`.
 */
export function loadConfig(
  file: string,
  environment: Environment,
  folders: Folders = {},
  options: ServeOptions = {},
): Config {
  const config = readConfig(file, environment, REGISTERED, folders);
  const configured = CONSUMERS.flatMap(({ config: part, configure }) =>
    part && configure ? [[part.field, configure(config.parts[part.field], options)]] : [],
  );
  const parts = Object.freeze({ ...config.parts, ...Object.fromEntries(configured) });
  return Object.freeze({ ...config, parts });
}

/** A configuration that was read again, with what takes effect at the next start only as it was; and those fields. */
export function keepFixed(
  current: Config,
  next: Config,
): { readonly config: Config; readonly fixed: string[] } {
  const fixed: string[] = [];
  const parts = PARTS.map(({ field, keep }) => {
    const kept = keep(current.parts[field], next.parts[field]);
    if (JSON.stringify(kept) !== JSON.stringify(next.parts[field])) fixed.push(field);
    return [field, kept] as const;
  });
  return { config: { ...next, parts: Object.fromEntries(parts) }, fixed };
}
