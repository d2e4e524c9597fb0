/**
 * All that reads the configuration: the YAML parser and every schema. `serve` loads it for each read by `import()`, and
 * the image lets go of it afterwards (deploy/image): nothing that lives on may keep a function or an object with
 * functions of it.
 */
import type { Config } from '../config/config.ts';
import { type Environment, type Folders, readConfig } from '../config/load.ts';
import { type AnyPart, schemasWith } from '../config/part.ts';
import { SOURCE_TYPES } from '../sources/index.ts';
import type { ServeOptions } from './consumer.ts';
import { gatewayPart } from './gateway-driver/config.ts';
import { configured } from './index.ts';
import { openshellPart } from './openshell/config.ts';

/** The registry of parts: one for each consumer that has a slot. */
export const PARTS: readonly AnyPart[] = [openshellPart, gatewayPart];

const REGISTERED = { parts: PARTS, sourceTypes: SOURCE_TYPES };

/** Published JSON Schemas, by the name that `config schema` takes. */
export const SCHEMAS = schemasWith(REGISTERED);

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
  return configured(readConfig(file, environment, REGISTERED, folders), options);
}
