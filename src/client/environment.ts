/** A snapshot in the client: values are SecretValue objects, everything else is plain data. */
import type { SecretValue } from '../domain/secret-value.ts';

/** A destination that a credential may be sent to. `host` may contain `*` within a label; `path` is empty, a prefix ending in `/**`, or a glob. */
export interface CredentialEndpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** False for plain HTTP. Defaults to false on port 80 and to true on every other port. */
  readonly tls?: boolean;
}

/** One credential of a snapshot. */
export interface ProvidedCredential {
  /** Environment name. */
  readonly key: string;
  readonly provider: string;
  readonly value: SecretValue;
  /** 64 lowercase hex digits, stable across rotations and restarts. */
  readonly handle: string;
  /** `<provider>:<key>`. */
  readonly identity: string;
  readonly endpoints: readonly CredentialEndpoint[];
  /** Unix milliseconds; undefined if the credential has no known expiry. */
  readonly expiresAtMs: number | undefined;
}

/** A credential that is configured but not served. */
export interface RefusedCredential {
  readonly provider: string;
  readonly key: string;
  /** Reason in kebab-case; the resolver's docs/reference/refusals.md lists all of them. */
  readonly reason: string;
  readonly required: boolean;
}

/** One complete snapshot. A newer one replaces it entirely: anything it lacks is withdrawn. */
export interface ProviderEnvironment {
  /** Opaque and unordered; compare for equality only. */
  readonly revision: bigint;
  readonly sandbox: { readonly id: string; readonly name: string; readonly namespace: string };
  readonly credentials: ReadonlyMap<string, ProvidedCredential>;
  readonly refusals: readonly RefusedCredential[];
}
