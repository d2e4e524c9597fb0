import { z } from 'zod';
import { MAX_WRITTEN_MS, MIN_WRITTEN_MS } from '../domain/time.ts';
import {
  endpointSchema,
  environmentName,
  itemPath,
  keyGlobs,
  secretKey,
  secretName,
  secretNamespace,
} from './schema.ts';

const PROVIDER_NAME = /^[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;

const trim = z
  .enum(['trailingNewline', 'none'])
  .default('trailingNewline')
  .describe('trailingNewline to drop one newline at the end of the value (the default), or none');

const units = (unit: string) => ({ error: `reads as Unix ${unit}; milliseconds are wanted` });

const expiresAtSchema = z
  .union([
    z.string().describe('an RFC 3339 time, for example 2027-01-31T00:00:00Z'),
    z
      .int()
      .min(MIN_WRITTEN_MS, units('seconds'))
      .max(MAX_WRITTEN_MS, units('microseconds'))
      .describe('Unix milliseconds'),
    z.strictObject({ key: itemPath }).describe('{key: NAME}: a key of the same Secret that holds the time'),
  ])
  .describe(
    'an RFC 3339 time, Unix milliseconds, or {key: NAME} for a key of the same Secret that holds either',
  );

const format = z
  .enum(['text', 'json', 'pem', 'jwt'])
  .describe('text, json, pem or jwt; only json and pem may have line breaks');

const credentialSchema = (sourceType: z.ZodType<string>) =>
  z
    .strictObject({
      source: z
        .strictObject({
          type: sourceType,
          namespace: secretNamespace,
          name: secretName,
          key: itemPath,
        })
        .meta({ title: 'where the value is' })
        .describe('{type, namespace, name, key}'),
      required: z
        .boolean()
        .default(false)
        .describe(
          'true to withhold this provider as a whole, and no other, while this credential is refused',
        ),
      expiresAt: expiresAtSchema.optional(),
      trim,
      format: format.default('text'),
    })
    .describe('{source, required, expiresAt, trim, format}');

const bulkSchema = (sourceType: z.ZodType<string>) =>
  z
    .strictObject({
      source: z
        .strictObject({ type: sourceType, namespace: secretNamespace, name: secretName })
        .meta({ title: 'the Secret whose keys become credentials' })
        .describe('{type, namespace, name}'),
      mode: z
        .enum(['providerProfileKeys', 'allKeys'])
        .describe('providerProfileKeys for the keys that the profile of `type` declares, or allKeys'),
      rename: z
        .record(secretKey, environmentName)
        .optional()
        .describe('a map from a key of the Secret to an environment name; only with allKeys'),
      include: keyGlobs.describe(
        'a list of keys of the Secret to take; "*" stands for any text; all unless set',
      ),
      exclude: keyGlobs
        .unwrap()
        .default([])
        .describe('a list of keys of the Secret to leave out; "*" stands for any text'),
      format: z
        .record(secretKey, format)
        .optional()
        .describe('a map from a key of the Secret to text, json, pem or jwt; text unless set'),
      trim,
    })
    .refine((bulk) => bulk.rename === undefined || bulk.mode === 'allKeys', {
      error: 'has no effect with providerProfileKeys',
      path: ['rename'],
    })
    .meta({ anyOf: [{ properties: { mode: { const: 'allKeys' } } }, { not: { required: ['rename'] } }] })
    .describe('{source, mode, rename, include, exclude, format, trim}');

function makeSchema(types: readonly string[]) {
  const sourceType = z.enum(types as [string, ...string[]]).describe(types.join(' or '));
  return z
    .strictObject({
      provider: z
        .strictObject({
          name: z
            .string()
            .regex(PROVIDER_NAME, {
              error: 'must be letters, digits, "-", "_" and ".", at most 63 characters',
            })
            .describe('the name by which callers ask for the provider'),
          type: z
            .string()
            .regex(PROVIDER_NAME, {
              error: 'must be letters, digits, "-", "_" and ".", at most 63 characters',
            })
            .describe('the id of the profile that declares endpoints and variables, or custom'),
          credentials: z
            .record(environmentName, credentialSchema(sourceType))
            .optional()
            .describe('a map from environment name to {source, …}'),
          credentialsFrom: z
            .array(bulkSchema(sourceType))
            .optional()
            .meta({ title: 'credentials from whole Secrets' })
            .describe('a list of {source, mode}'),
          endpoints: z
            .array(endpointSchema)
            .optional()
            .describe('a list of {host, port, path}; needed where the profile declares none'),
        })
        .refine((provider) => provider.credentials !== undefined || provider.credentialsFrom !== undefined, {
          error: 'has neither credentials nor credentialsFrom',
        })
        .meta({
          title: 'a provider has credentials, credentialsFrom or both',
          anyOf: [{ required: ['credentials'] }, { required: ['credentialsFrom'] }],
        })
        .describe('{name, type, credentials, credentialsFrom, endpoints}'),
    })
    .describe('A provider of secret-resolver');
}

type ProviderSchema = ReturnType<typeof makeSchema>;

const made = new WeakMap<readonly string[], ProviderSchema>();

/** The schema of a provider file, with these for `source.type`. Made once for each list. */
export function providerFileSchema(types: readonly string[]): ProviderSchema {
  const schema = made.get(types) ?? makeSchema(types);
  made.set(types, schema);
  return schema;
}

export type RawProvider = z.infer<ProviderSchema>['provider'];
export type RawCredential = NonNullable<RawProvider['credentials']>[string];
export type RawBulk = NonNullable<RawProvider['credentialsFrom']>[number];
