/**
 * A certificate authority that lives as long as the process: the key is made at run time, never leaves
 * memory, and is gone with it.
 *
 * Written here on Node's own cryptography because the packages that could do it bring more than the job
 * needs: one its own implementation of RSA and TLS in JavaScript, the others ten packages and a dependency
 * injector. Signing and parsing are OpenSSL's; ours is only the framing of one kind of certificate, and
 * tests hold it against OpenSSL, curl and Node.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  objectIdentifier,
  octetString,
  sequence,
  set,
  unsignedInteger,
  utcTime,
  utf8String,
} from './der.ts';

/** How long certificates hold, in milliseconds: longer than a demo or a test, too short to be of use elsewhere. */
const LIFETIME_MS = 24 * 60 * 60 * 1000;

/** How far certificates reach back, in milliseconds, for clients whose clock is behind. */
const SKEW_MS = 5 * 60 * 1000;

/** Certificates kept; one more drops the oldest, so that an agent that asks for many names fills no memory. */
const MAX_CERTIFICATES = 256;

const Oid = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const;

/** Key and certificate of one server name, in PEM. */
export interface ServerCertificate {
  readonly key: string;
  readonly certificate: string;
}

export class ThrowAwayAuthority {
  /** The certificate that clients must trust, in PEM. */
  readonly certificate: string;
  readonly #name: string;
  readonly #key: KeyObject;
  readonly #keyId: Buffer;
  readonly #now: number;
  readonly #contexts = new Map<string, SecureContext>();

  /** Makes the key and signs its own certificate. `now` is Unix milliseconds. */
  constructor(name: string, now: number) {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = name;
    this.#key = pair.privateKey;
    this.#now = now;
    const info = pair.publicKey.export({ type: 'spki', format: 'der' });
    this.#keyId = keyIdOf(info);
    this.certificate = this.#sign(name, info, [
      extension(Oid.basicConstraints, true, sequence(boolean(true), unsignedInteger(Uint8Array.of(0)))),
      // keyCertSign and cRLSign: bits 5 and 6.
      extension(Oid.keyUsage, true, bitString(Uint8Array.of(0b0000_0110), 1)),
    ]);
  }

  /** Issues a certificate for a host name or an IP address. */
  issue(host: string): ServerCertificate {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const info = pair.publicKey.export({ type: 'spki', format: 'der' });
    return {
      key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      certificate: this.#sign('secret-resolver throw-away server', info, [
        extension(Oid.basicConstraints, true, sequence()),
        // digitalSignature: bit 0.
        extension(Oid.keyUsage, true, bitString(Uint8Array.of(0b1000_0000), 7)),
        extension(Oid.extendedKeyUsage, false, sequence(objectIdentifier(Oid.serverAuth))),
        extension(Oid.subjectAltName, false, sequence(alternativeName(host))),
      ]),
    };
  }

  /** What a TLS server needs to answer as `host`. */
  secureContext(host: string): SecureContext {
    const known = this.#contexts.get(host);
    if (known !== undefined) return known;
    const { key, certificate } = this.issue(host);
    const context = createSecureContext({ key, cert: certificate });
    const oldest = this.#contexts.keys().next().value;
    if (this.#contexts.size >= MAX_CERTIFICATES && oldest !== undefined) this.#contexts.delete(oldest);
    this.#contexts.set(host, context);
    return context;
  }

  #sign(subject: string, publicKeyInfo: Buffer, extensions: readonly Buffer[]): string {
    const algorithm = sequence(objectIdentifier(Oid.ecdsaWithSha256));
    const toBeSigned = sequence(
      explicit(0, unsignedInteger(Uint8Array.of(2))),
      unsignedInteger(randomBytes(16)),
      algorithm,
      commonName(this.#name),
      sequence(utcTime(this.#now - SKEW_MS), utcTime(this.#now + LIFETIME_MS)),
      commonName(subject),
      publicKeyInfo,
      explicit(
        3,
        sequence(
          ...extensions,
          extension(Oid.subjectKeyIdentifier, false, octetString(keyIdOf(publicKeyInfo))),
          extension(Oid.authorityKeyIdentifier, false, sequence(implicit(0, this.#keyId))),
        ),
      ),
    );
    const der = sequence(toBeSigned, algorithm, bitString(sign('sha256', toBeSigned, this.#key)));
    const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  }
}

function keyIdOf(publicKeyInfo: Buffer): Buffer {
  return createHash('sha256').update(publicKeyInfo).digest().subarray(0, 20);
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(oid), ...(critical ? [boolean(true)] : []), octetString(value));
}

function commonName(name: string): Buffer {
  return sequence(set(sequence(objectIdentifier(Oid.commonName), utf8String(name))));
}

function alternativeName(host: string): Buffer {
  if (isIP(host) === 4) return implicit(7, Uint8Array.from(host.split('.').map(Number)));
  return implicit(2, Buffer.from(host, 'ascii'));
}
