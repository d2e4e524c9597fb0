/** Bytes of a key → a value that may be served. Pure; every rejected buffer is erased here. */
import { isUtf8 } from 'node:buffer';
import type { ExplicitCredential } from '../config/config.ts';
import { SecretValue } from '../secret-value.ts';
import type { RefusalReason } from './refusal.ts';

/** Largest value, in bytes: header and environment limits of all that we know of are below it. */
export const MAX_VALUE_BYTES = 64 * 1024;
/** Above this OpenShell's gateway would have refused the value, in bytes. */
export const OPENSHELL_VALUE_BYTES = 8192;

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

export type Decoded =
  | { readonly kind: 'value'; readonly value: SecretValue; readonly jwtExpiresAtMs: number | undefined }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

/** Trims, checks and copies one value. */
export function decodeValue(raw: SecretValue, options: Pick<ExplicitCredential, 'trim' | 'format'>): Decoded {
  const bytes = trimmed(raw.reveal(), options.trim);
  const reason = fault(bytes, options.format);
  if (reason !== undefined) return { kind: 'refused', reason };
  const jwt = options.format === 'json' || options.format === 'pem' ? undefined : readJwt(bytes);
  if (options.format === 'jwt' && jwt === undefined) return { kind: 'refused', reason: 'not-jwt' };
  return { kind: 'value', value: SecretValue.from(Uint8Array.from(bytes)), jwtExpiresAtMs: jwt?.expiresAtMs };
}

/** Drops one line end (LF or CR LF): what an editor or `echo` adds, and nothing that could be meant. */
function trimmed(bytes: Buffer, trim: ExplicitCredential['trim']): Buffer {
  if (trim === 'none' || bytes.at(-1) !== LF) return bytes;
  return bytes.subarray(0, bytes.at(-2) === CR ? -2 : -1);
}

function fault(bytes: Buffer, format: ExplicitCredential['format']): RefusalReason | undefined {
  if (bytes.byteLength === 0) return 'empty';
  if (bytes.byteLength > MAX_VALUE_BYTES) return 'value-too-large';
  if (!isUtf8(bytes)) return 'not-utf8';
  if (bytes.includes(NUL)) return 'line-break-or-nul';
  switch (format) {
    case 'json':
      return isJson(bytes) ? undefined : 'not-json';
    case 'pem':
      return isPem(bytes) ? undefined : 'not-pem';
    case 'text':
    case 'jwt':
      return bytes.includes(LF) || bytes.includes(CR) ? 'line-break-or-nul' : undefined;
  }
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch {
    // The parser's message quotes its input.
    return false;
  }
}

function isPem(bytes: Buffer): boolean {
  return /-----BEGIN ([A-Z0-9 ]{1,64})-----\r?\n[A-Za-z0-9+/=\r\n:, -]+-----END \1-----/.test(
    bytes.toString('latin1'),
  );
}

/** A JWT's expiry; undefined where the bytes are no JWT. The signature is the upstream's business. */
function readJwt(bytes: Buffer): { readonly expiresAtMs: number | undefined } | undefined {
  // Every JWT header is a JSON object, and `{"` is `eyJ` in Base64: cheap for all that is none.
  if (!bytes.subarray(0, 3).equals(Buffer.from('eyJ'))) return undefined;
  const parts = bytes.toString('latin1').split('.');
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined)
    return undefined;
  if (![header, payload, signature].every((part) => /^[A-Za-z0-9_-]*$/.test(part))) return undefined;
  const claims = parseSegment(payload);
  if (claims === undefined || parseSegment(header) === undefined) return undefined;
  const { exp } = claims as { exp?: unknown };
  return {
    expiresAtMs: typeof exp === 'number' && Number.isFinite(exp) ? Math.floor(exp * 1000) : undefined,
  };
}

function parseSegment(segment: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
