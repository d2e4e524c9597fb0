/** The configuration as the rest of the house sees it: checked, with defaults, frozen. */
import { matchGlob } from '../domain/glob.ts';
import type { RawBulk, RawCredential } from './provider-schema.ts';
import type { RawConfig } from './schema.ts';

/** What {@link Config} takes from the file as it is. */
type DeepReadonly<T> = T extends object ? { readonly [Field in keyof T]: DeepReadonly<T[Field]> } : T;

/** The sandbox in which the resolver runs. */
export interface Sandbox {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
}

/** The `source.type` that is meant where a {@link SecretName} has none. */
export const DEFAULT_SOURCE_TYPE = 'kubernetesSecret';

/** A mounted Secret. */
export interface SecretName {
  /** The `source.type` that reads it, unless {@link DEFAULT_SOURCE_TYPE}. */
  readonly source?: string;
  readonly namespace: string;
  readonly name: string;
}

/** A key of a mounted Secret; `key` may have sub-folders where the volume's `items` give it some. */
export interface SecretReference extends SecretName {
  readonly key: string;
}

/** A destination that a credential may be sent to. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Whether it speaks TLS; unset means that it does, unless its port is 80. */
  readonly tls?: boolean;
}

/** One credential of a profile: alternatives in `envVars`, the first choice first. */
export interface ProfileCredential {
  readonly name: string;
  readonly envVars: readonly string[];
  readonly required: boolean;
}

/** What we use of an OpenShell provider profile. */
export interface Profile {
  readonly id: string;
  readonly credentials: readonly ProfileCredential[];
  readonly endpoints: readonly Endpoint[];
}

/** When a credential ends: at a time, or at the time that another key of its Secret holds. */
export type ExpirySource = { readonly atMs: number } | { readonly key: string };

/** A credential that a provider file maps by name. */
export interface ExplicitCredential {
  readonly key: string;
  readonly reference: SecretReference;
  readonly required: boolean;
  readonly expiresAt: ExpirySource | undefined;
  readonly trim: RawCredential['trim'];
  readonly format: RawCredential['format'];
}

/** Credentials that a provider takes from a Secret as a whole. */
export interface BulkSource {
  readonly secret: SecretName;
  readonly mode: RawBulk['mode'];
  /** Key of the Secret → environment name. */
  readonly rename: ReadonlyMap<string, string>;
  /** Globs over keys of the Secret: what is taken of it. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Key of the Secret → format; text where it has none. */
  readonly format: ReadonlyMap<string, ExplicitCredential['format']>;
  readonly trim: RawBulk['trim'];
}

export interface Provider {
  readonly name: string;
  readonly type: string;
  readonly endpoints: readonly Endpoint[];
  /** Declared credentials of the profile `type`; empty where there is no such profile. */
  readonly profileCredentials: readonly ProfileCredential[];
  readonly credentials: readonly ExplicitCredential[];
  readonly from: readonly BulkSource[];
}

/** Secrets that providers may refer to. Globs know `*` alone. */
export interface ReferenceRule {
  readonly namespace: string;
  readonly name: string;
  readonly keys: readonly string[];
}

/** A UID that may ask, and its providers. */
export type Caller = DeepReadonly<RawConfig['callers'][number]>;

/** What the rest of the resolver must know of a consumer's settings. */
export interface PartSettings {
  /** Secrets that it reads besides those of the providers, with the keys, `*` for any text. */
  readonly secrets?: readonly ReferenceRule[];
  /** The same with every option of `serve` that the part has. */
  readonly mayRead?: readonly ReferenceRule[];
  /** The socket that it makes. */
  readonly socket?: SocketSettings;
  /** Who is listed there, in its field `callers`: the agent is none of them, whatever the part says. */
  readonly callers?: readonly Pick<Caller, 'name' | 'uid'>[];
}

/** A consumer's own part of the configuration file, one field at the top level: what `serve` needs of it once it is read. */
export interface PartSlot<Settings extends PartSettings = PartSettings> {
  readonly field: string;
  /** Settings that take effect at the next start only, given those in force and those of a reload. */
  readonly keep: (current: Settings | undefined, next: Settings | undefined) => Settings | undefined;
}

export interface SocketSettings {
  readonly path: string;
  readonly mode: number;
  readonly gid: number | undefined;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A stock Envoy as the supervisor. Paths are those of its pod. */
export type EgressSettings = DeepReadonly<Omit<RawConfig['egress'], 'listen'>> & {
  readonly listen: ListenAddress;
};

export interface Config {
  /** The file it came from. */
  readonly file: string;
  readonly sandbox: Sandbox;
  readonly secretsRoot: string;
  readonly providersDir: string;
  readonly profilesDir: string | undefined;
  readonly socket: SocketSettings;
  readonly references: { readonly allow: readonly ReferenceRule[] };
  readonly callers: readonly Caller[];
  readonly agent: { readonly uid: number; readonly gid: number };
  readonly health: { readonly listen: ListenAddress } | undefined;
  readonly metrics: { readonly listen: ListenAddress } | undefined;
  readonly egress: EgressSettings;
  readonly log: DeepReadonly<RawConfig['log']>;
  readonly audit: DeepReadonly<RawConfig['audit']>;
  /** What each consumer made of its own field, by the field's name; undefined where it is absent. */
  readonly parts: Readonly<Record<string, PartSettings | undefined>>;
  readonly boundary: DeepReadonly<RawConfig['boundary']>;
  readonly providers: readonly Provider[];
}

/** Stands for the agent where a pod has none: 65534, as which the kernel shows everybody who is not mapped. */
export const NO_AGENT: Config['agent'] = Object.freeze({ uid: 65534, gid: 65534 });

/** `<namespace>/<name>`, after `<source>:` where it has one: the key under which a Secret's volume is kept everywhere. */
export function secretId({ source, namespace, name }: SecretName): string {
  return source === undefined ? `${namespace}/${name}` : `${source}:${namespace}/${name}`;
}

/** Whether a source takes a key of its Secret. */
export function takesKey(
  { include, exclude }: Pick<BulkSource, 'include' | 'exclude'>,
  key: string,
): boolean {
  const matches = (globs: readonly string[]) => globs.some((glob) => matchGlob(glob, key));
  return matches(include) && !matches(exclude);
}

/** Every Secret that the providers and the consumers refer to, once each, sorted. */
export function referencedSecrets(config: Pick<Config, 'providers' | 'parts'>): SecretName[] {
  const found = new Map<string, SecretName>();
  for (const provider of config.providers) {
    for (const { reference } of provider.credentials) {
      const { key: _, ...secret } = reference;
      found.set(secretId(secret), secret);
    }
    for (const { secret } of provider.from) found.set(secretId(secret), secret);
  }
  for (const { namespace, name } of partSecrets(config)) {
    found.set(secretId({ namespace, name }), { namespace, name });
  }
  return [...found.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, secret]) => secret);
}

/** What was made of a part; undefined where its field is optional and absent. */
export function partOf<Settings extends PartSettings>(
  { parts }: Pick<Config, 'parts'>,
  { field }: PartSlot<Settings>,
): Settings | undefined {
  return parts[field] as Settings | undefined;
}

/** What the consumers read besides the providers' Secrets. */
export function partSecrets({ parts }: Pick<Config, 'parts'>): NonNullable<PartSettings['secrets']> {
  return Object.values(parts).flatMap((settings) => settings?.secrets ?? []);
}

/** The path of every socket that the resolver makes. */
export function socketPaths(config: {
  readonly socket: Pick<SocketSettings, 'path'>;
  readonly parts?: Config['parts'];
}): string[] {
  const others = Object.values(config.parts ?? {}).flatMap((settings) => settings?.socket ?? []);
  return [config.socket, ...others].map(({ path }) => path);
}
