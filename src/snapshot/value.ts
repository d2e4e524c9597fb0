/** Bytes of a key → a value that may be served. Pure: what comes in is not changed, and what goes out is a copy. */
import { isUtf8 } from 'node:buffer';
import type { ExplicitCredential } from '../config/config.ts';
import { MAX_VALUE_BYTES } from '../domain/limits.ts';
import { SecretValue } from '../domain/secret-value.ts';
import { MAX_TIME_MS } from '../domain/time.ts';
import { pemFault } from './pem.ts';
import type { RefusalReason } from './refusal.ts';

/** Above this OpenShell's gateway would have refused the value, in bytes. */
export const OPENSHELL_VALUE_BYTES = 8192;

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
/** What PowerShell, Azure DevOps and Notepad put before UTF-8. */
const BYTE_ORDER_MARK = Buffer.from('\ufeff');

export type Decoded =
  | { readonly kind: 'value'; readonly value: SecretValue; readonly jwtExpiresAtMs: number | undefined }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

export function decodeValue(raw: SecretValue, options: Pick<ExplicitCredential, 'trim' | 'format'>): Decoded {
  const bytes = trimmed(raw.reveal(), options.trim);
  const reason = fault(bytes, options.format);
  if (reason !== undefined) return { kind: 'refused', reason };
  const jwt = jwtIn(bytes, options.format);
  if (options.format === 'jwt' && jwt === undefined) return { kind: 'refused', reason: 'not-jwt' };
  // A buffer of its own from the start: SecretValue takes it as it is, and no second copy is left behind.
  const own = Buffer.from(new ArrayBuffer(bytes.byteLength));
  own.set(bytes);
  return { kind: 'value', value: SecretValue.from(own), jwtExpiresAtMs: jwt?.expiresAtMs };
}

/** In text, blanks around a JWT do not keep an upstream from reading it. */
function jwtIn(bytes: Buffer, format: ExplicitCredential['format']): ReturnType<typeof readJwt> {
  if (format === 'json' || format === 'pem' || !hasTwoDots(bytes)) return undefined;
  const text = bytes.toString('latin1');
  return readJwt(format === 'text' ? text.trim() : text);
}

/** Before a text is made of the bytes, which would be a copy that nobody can erase. */
function hasTwoDots(bytes: Buffer): boolean {
  const first = bytes.indexOf('.');
  return first >= 0 && bytes.includes('.', first + 1);
}

/** Drops a byte order mark and one line end (LF or CR LF): what an editor or `echo` adds, and nothing that could be meant. */
function trimmed(bytes: Buffer, trim: ExplicitCredential['trim']): Buffer {
  if (trim === 'none') return bytes;
  const text = withoutMark(bytes);
  if (text.at(-1) !== LF) return text;
  return text.subarray(0, text.at(-2) === CR ? -2 : -1);
}

export function withoutMark(bytes: Buffer): Buffer {
  return hasMark(bytes) ? bytes.subarray(BYTE_ORDER_MARK.byteLength) : bytes;
}

function hasMark(bytes: Buffer): boolean {
  return bytes.subarray(0, BYTE_ORDER_MARK.byteLength).equals(BYTE_ORDER_MARK);
}

function fault(bytes: Buffer, format: ExplicitCredential['format']): RefusalReason | undefined {
  if (bytes.byteLength === 0) return 'empty';
  if (bytes.byteLength > MAX_VALUE_BYTES) return 'value-too-large';
  if (!isUtf8(bytes)) return 'not-utf8';
  if (hasMark(bytes)) return 'byte-order-mark';
  if (bytes.includes(NUL)) return 'line-break-or-nul';
  switch (format) {
    case 'json':
      return isJson(bytes) ? undefined : 'not-json';
    case 'pem':
      return pemFault(bytes);
    case 'text':
    case 'jwt':
      // Within it, where `Bearer ` was put before a file that begins with one.
      if (bytes.includes(BYTE_ORDER_MARK)) return 'byte-order-mark';
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

/**
 * A JWT, or a header's value with one, or the whole header. Its segments may carry the Base64 padding that the standard
 * leaves out: many decoders take it. One run for each part: linear in the length.
 */
const JWT = /^(?:[\w-]+:[ \t]*)?(?:[\w-]+[ \t]+)?([\w-]+)={0,2}\.([\w-]+)={0,2}\.[\w-]*={0,2}$/;
/** Some issuers write a number as text, and PyJWT for one reads it. */
const NUMERIC = /^\d{1,15}(\.\d{1,9})?$/;

/** A JWT's expiry; undefined where the bytes are no JWT. The signature is the upstream's business. */
function readJwt(text: string): { readonly expiresAtMs: number | undefined } | undefined {
  const [, header, payload] = JWT.exec(text) ?? [];
  if (header === undefined || payload === undefined) return undefined;
  const claims = parseSegment(payload);
  if (claims === undefined || parseSegment(header) === undefined) return undefined;
  const { exp } = claims as { exp?: unknown };
  const seconds = typeof exp === 'string' && NUMERIC.test(exp) ? Number(exp) : exp;
  // A number beyond what a Date or an int64 holds is as good as the last time there is.
  return {
    expiresAtMs: typeof seconds === 'number' ? Math.min(Math.floor(seconds * 1000), MAX_TIME_MS) : undefined,
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
