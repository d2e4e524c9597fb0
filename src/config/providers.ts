/** Provider files → providers, and the names that they claim. */
import type { ConfigIssue } from '../domain/errors.ts';
import { nearest } from '../domain/nearest.ts';
import { shownName } from '../domain/shown-name.ts';
import { parseTime } from '../domain/time.ts';
import {
  type BulkSource,
  DEFAULT_SOURCE_TYPE,
  type ExplicitCredential,
  type Profile,
  type Provider,
  type Sandbox,
  type SecretName,
} from './config.ts';
import type { ConfigFiles } from './files.ts';
import { providerFileSchema, type RawBulk, type RawCredential, type RawProvider } from './provider-schema.ts';
import { collecting, readYaml, yamlFiles } from './read.ts';
import type { YamlSource } from './yaml-source.ts';

/** A provider, and the place that an issue about it names. */
export interface LoadedProvider {
  readonly source: YamlSource;
  readonly provider: Provider;
}

export interface ProviderContext {
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly sandbox: Sandbox;
  readonly sourceTypes: readonly string[];
}

/** Every provider of a folder, in the order of the files. */
export function loadProviders(
  files: ConfigFiles,
  places: Map<string, YamlSource>,
  directory: string,
  config: YamlSource,
  context: ProviderContext,
  issues: ConfigIssue[],
): LoadedProvider[] {
  const loaded: LoadedProvider[] = [];
  const names = new Map<string, string>();
  for (const file of yamlFiles(files, directory, config, 'providersDir', issues)) {
    for (const source of collecting(issues, () => readYaml(file, files)) ?? []) {
      const raw = collecting(issues, () =>
        source.validate(providerFileSchema(context.sourceTypes)),
      )?.provider;
      if (raw === undefined) continue;
      const other = names.get(raw.name);
      if (other !== undefined) {
        source.reporter(issues)(
          ['provider', 'name'],
          `${shownName(raw.name)} is the name of a provider in ${other} too`,
          'give each provider a name of its own',
        );
      }
      names.set(raw.name, file);
      places.set(raw.name, source);
      loaded.push({ source, provider: providerFrom(source, raw, context, issues) });
    }
  }
  return loaded;
}

function providerFrom(
  source: YamlSource,
  raw: RawProvider,
  { profiles, sandbox }: ProviderContext,
  issues: ConfigIssue[],
): Provider {
  const report = source.reporter(issues);
  const profile = profiles.get(raw.type);
  (raw.credentialsFrom ?? []).forEach((bulk, index) => {
    if (bulk.mode === 'providerProfileKeys' && profile === undefined) {
      report(
        ['provider', 'credentialsFrom', index, 'mode'],
        `there is no profile ${shownName(raw.type)} to take keys from`,
        nearest(raw.type, [...profiles.keys()]) ?? 'add the profile to profilesDir, or use mode allKeys',
      );
    }
  });
  return {
    name: raw.name,
    type: raw.type,
    // The operator's own list wins over the profile's: it can only be narrower or deliberate.
    endpoints: raw.endpoints ?? profile?.endpoints ?? [],
    profileCredentials: profile?.credentials ?? [],
    credentials: Object.entries(raw.credentials ?? {}).map(([key, credential]) =>
      credentialFrom(key, credential, sandbox, report),
    ),
    from: (raw.credentialsFrom ?? []).map(
      ({ source: secret, ...bulk }): BulkSource => ({
        ...bulk,
        secret: secretOf(secret, sandbox),
        rename: new Map(Object.entries(bulk.rename ?? {})),
        format: new Map(Object.entries(bulk.format ?? {})),
      }),
    ),
  };
}

function secretOf({ type, namespace, name }: RawBulk['source'], sandbox: Sandbox): SecretName {
  const secret = { namespace: namespace ?? sandbox.namespace, name };
  return type === DEFAULT_SOURCE_TYPE ? secret : { source: type, ...secret };
}

function credentialFrom(
  key: string,
  raw: RawCredential,
  sandbox: Sandbox,
  report: ReturnType<YamlSource['reporter']>,
): ExplicitCredential {
  const { expiresAt } = raw;
  let expiry: ExplicitCredential['expiresAt'];
  if (typeof expiresAt === 'number') expiry = { atMs: expiresAt };
  else if (typeof expiresAt === 'object') expiry = { key: expiresAt.key };
  else if (expiresAt !== undefined) {
    const atMs = parseTime(expiresAt);
    if (atMs === undefined) {
      report(
        ['provider', 'credentials', key, 'expiresAt'],
        /^\d{1,11}$/.test(expiresAt) ? 'reads as Unix seconds; milliseconds are wanted' : 'is not a time',
        'write an RFC 3339 time such as 2027-01-31T00:00:00Z, or Unix milliseconds',
      );
    } else expiry = { atMs };
  }
  return {
    key,
    reference: { ...secretOf(raw.source, sandbox), key: raw.source.key },
    required: raw.required,
    expiresAt: expiry,
    trim: raw.trim,
    format: raw.format,
  };
}

/** Names that a provider is sure to claim, or may claim by its profile: each may belong to one provider only. */
export function claimIssues(loaded: readonly LoadedProvider[]): ConfigIssue[] {
  const owners = new Map<string, string>();
  const issues: ConfigIssue[] = [];
  for (const { source, provider } of loaded) {
    const report = source.reporter(issues);
    const claims = new Map<string, readonly PropertyKey[]>();
    provider.from.forEach((bulk, index) => {
      const path = ['provider', 'credentialsFrom', index];
      if (bulk.mode === 'providerProfileKeys') {
        for (const name of provider.profileCredentials.flatMap((credential) => credential.envVars))
          claims.set(name, path);
      }
      for (const name of bulk.rename.values()) {
        if (claims.has(name)) {
          report(
            [...path, 'rename'],
            `provider ${shownName(provider.name)} claims ${shownName(name)} twice`,
            'keep one of the two',
          );
        }
        claims.set(name, [...path, 'rename']);
      }
    });
    for (const { key } of provider.credentials) claims.set(key, ['provider', 'credentials', key]);
    for (const [key, path] of claims) {
      const owner = owners.get(key);
      if (owner !== undefined) {
        report(
          path,
          `${shownName(key)} is claimed by provider ${owner} and by provider ${shownName(provider.name)}`,
          'keep it in one of the two',
        );
      } else owners.set(key, `${shownName(provider.name)} (${source.file})`);
    }
  }
  return issues;
}
