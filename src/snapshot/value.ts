/** Bytes of a key → a value that may be served. Pure: what comes in is not changed, and what goes out is a copy. */
import { isUtf8 } from 'node:buffer';
import type { ExplicitCredential } from '../config/config.ts';
import { MAX_VALUE_BYTES } from '../domain/limits.ts';
import { SecretValue } from '../domain/secret-value.ts';
import { MAX_TIME_MS } from '../domain/time.ts';
import type { RefusalReason } from './refusal.ts';

/** Above this OpenShell's gateway would have refused the value, in bytes. */
export const OPENSHELL_VALUE_BYTES = 8192;

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const LETTER_E = 0x65;

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
  // A buffer of its own from the start: SecretValue takes it as it is, and no second copy is left behind.
  const own = Buffer.from(new ArrayBuffer(bytes.byteLength));
  own.set(bytes);
  return { kind: 'value', value: SecretValue.from(own), jwtExpiresAtMs: jwt?.expiresAtMs };
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

/** The first block decides. One pass: a text of thousands of beginnings must not cost the square of its length. */
function isPem(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  const begin = /-----BEGIN ([A-Z0-9 ]{1,64})-----\r?\n/.exec(text);
  if (begin === null) return false;
  const from = begin.index + begin[0].length;
  const to = text.indexOf(`-----END ${begin[1]}-----`, from);
  return to > from && /^[A-Za-z0-9+/=\r\n:, -]+$/.test(text.slice(from, to));
}

/** A JWT's expiry; undefined where the bytes are no JWT. The signature is the upstream's business. */
function readJwt(bytes: Buffer): { readonly expiresAtMs: number | undefined } | undefined {
  // Every JWT header is a JSON object, and Base64 of `{` begins with `e`: cheap for nearly all that is none.
  if (bytes.at(0) !== LETTER_E) return undefined;
  const parts = bytes.toString('latin1').split('.');
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined)
    return undefined;
  if (![header, payload, signature].every((part) => /^[A-Za-z0-9_-]*$/.test(part))) return undefined;
  const claims = parseSegment(payload);
  if (claims === undefined || parseSegment(header) === undefined) return undefined;
  const { exp } = claims as { exp?: unknown };
  // A number beyond what a Date or an int64 holds is as good as the last time there is.
  return {
    expiresAtMs: typeof exp === 'number' ? Math.min(Math.floor(exp * 1000), MAX_TIME_MS) : undefined,
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
