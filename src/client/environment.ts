/** A snapshot as the client holds it: values behind SecretValue, everything else plain. */
import type { SecretValue } from '../domain/secret-value.ts';

/** A destination that a credential may be sent to. `host` may have a glob in a label; `path` is empty, a prefix ending in `/**`, or a glob. */
export interface CredentialEndpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** False where the destination speaks plain HTTP. Unless given, port 80 does and every other port speaks TLS. */
  readonly tls?: boolean;
}

/** One credential of a snapshot. */
export interface ProvidedCredential {
  /** Environment name. */
  readonly key: string;
  readonly provider: string;
  readonly value: SecretValue;
  /** 64 lowercase hex digits, stable over rotations and restarts. */
  readonly handle: string;
  /** `<provider>:<key>`. */
  readonly identity: string;
  readonly endpoints: readonly CredentialEndpoint[];
  /** Unix milliseconds; undefined where the credential has no known end. */
  readonly expiresAtMs: number | undefined;
}

/** A credential that is configured and not served. */
export interface RefusedCredential {
  readonly provider: string;
  readonly key: string;
  /** Kebab-case reason; README lists them. */
  readonly reason: string;
  readonly required: boolean;
}

/** One whole snapshot. A newer one replaces it entirely: what is not in it is withdrawn. */
export interface ProviderEnvironment {
  /** Opaque and unordered; compare for equality only. */
  readonly revision: bigint;
  readonly sandbox: { readonly id: string; readonly name: string; readonly namespace: string };
  readonly credentials: ReadonlyMap<string, ProvidedCredential>;
  readonly refusals: readonly RefusedCredential[];
}
