/**
 * A certificate authority that lives as long as the process: the key is made at run time, never leaves memory, and is
 * gone with it.
 */
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

/** Milliseconds that a certificate is valid: some clients refuse one for more than 398 days. */
export const LIFETIME_MS = 365 * 24 * 60 * 60 * 1000;

/** How far certificates reach back, in milliseconds, for clients whose clock is behind. */
const SKEW_MS = 5 * 60 * 1000;

const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;

export class ThrowAwayAuthority {
  /** The certificate that clients must trust, in PEM. */
  readonly certificate: string;
  readonly #root: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(root: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#root = root;
    this.#keys = keys;
    this.certificate = `${root.toString('pem')}\n`;
  }

  /** Makes the key and signs its own certificate. `now` is Unix milliseconds. */
  static async create(name: string, now: number): Promise<ThrowAwayAuthority> {
    const keys = await crypto.subtle.generateKey(KEY, false, ['sign', 'verify']);
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      keys,
      signingAlgorithm: SIGNING,
      notBefore: new Date(now - SKEW_MS),
      notAfter: new Date(now + LIFETIME_MS),
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new ThrowAwayAuthority(root, keys);
  }

  /** Key and certificate, in PEM, for a host name or an IP address. */
  async issue(host: string) {
    const keys = await crypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
    const leaf = await x509.X509CertificateGenerator.create({
      subject: 'CN=secret-resolver egress',
      issuer: this.#root.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: SIGNING,
      notBefore: this.#root.notBefore,
      notAfter: this.#root.notAfter,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: isIP(host) === 0 ? 'dns' : 'ip', value: host }]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
    });
    const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
    return {
      key: x509.PemConverter.encode(key, x509.PemConverter.PrivateKeyTag),
      certificate: `${leaf.toString('pem')}\n`,
    };
  }
}
