/** A consumer's own part of the configuration file, one field at the top level: what reads it. */
import type { z } from 'zod';
import type { ConfigIssue } from '../domain/errors.ts';
import type { PartSettings, PartSlot, Profile, Sandbox } from './config.ts';
import { profileFileSchema } from './profile/schema.ts';
import { providerFileSchema } from './provider-schema.ts';
import { configSchema } from './schema.ts';
import type { YamlSource } from './yaml-source.ts';

export interface PartContext {
  readonly source: YamlSource;
  readonly sandbox: Sandbox;
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Where mistakes go that a schema cannot find. */
  readonly issues: ConfigIssue[];
}

export interface ConfigPart<Raw = unknown, Settings extends PartSettings = PartSettings>
  extends PartSlot<Settings> {
  readonly schema: z.ZodType<Raw>;
  /** Whether the field may be absent, without a default. */
  readonly optional?: boolean;
  /** Called where the field is present, or has a default. */
  readonly load: (raw: NoInfer<Raw>, context: PartContext) => Settings;
}

/** Any consumer's part, for code that only passes it on. */
// biome-ignore lint/suspicious/noExplicitAny: a part is called with what its own schema made.
export type AnyPart = ConfigPart<any, any>;

/** What the registries bring to the configuration. */
export interface Registered {
  readonly parts: readonly AnyPart[];
  /** What a provider file may write as `source.type`. */
  readonly sourceTypes: readonly string[];
}

/** The configuration file with the consumers' parts in it. */
export function configSchemaWith(parts: readonly AnyPart[]) {
  const fields = parts.map(({ field, schema, optional }) => [field, optional ? schema.optional() : schema]);
  return configSchema.extend(Object.fromEntries(fields)).describe(configSchema.description ?? '');
}

/** Published JSON Schemas, by the name that `config schema` takes. */
export function schemasWith({ parts, sourceTypes }: Registered) {
  return {
    config: configSchemaWith(parts),
    provider: providerFileSchema(sourceTypes),
    profile: profileFileSchema,
  } as const;
}
