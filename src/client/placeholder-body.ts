/**
 * Placeholders in a request body. A body is read only if the operator opts in: in a conversation with a model, a
 * placeholder is ordinary text and not a secret.
 */
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { hasMarker } from './placeholder-marker.ts';
import { rewriteQueryText } from './placeholder-query.ts';
import { type Refusal, type Rewriting, refuse } from './placeholder-refusal.ts';
import { type Lookup, replacePlain } from './placeholder-text.ts';

/** Largest size of a compressed body after decompression, in bytes: a decompression bomb must not exhaust the memory. */
export const MAX_DECOMPRESSED_BYTES = 8 * 1024 * 1024;
/** Most codings of one body: thousands fit into a header, and each may have the largest size. */
const MAX_CODINGS = 3;

type Decoder = (body: Buffer, limit: { maxOutputLength: number }) => Buffer;

const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['gzip', gunzipSync],
  ['x-gzip', gunzipSync],
  ['deflate', inflateSync],
  ['br', brotliDecompressSync],
  ['zstd', zstdDecompressSync],
]);

/** The headers that describe a body, and whether to rewrite it. */
export interface BodyKind {
  /** Value of `Content-Type`. */
  readonly type: string | undefined;
  /** Value of `Content-Encoding`. */
  readonly encoding: string | undefined;
  /** Whether to replace placeholders in this body. */
  readonly optedIn: boolean;
}

/**
 * Rewrites a whole body, never a chunk: a marker split across two chunks would be missed. A body that is not opted in
 * is returned unchanged.
 */
export function rewriteBodyBytes(body: Buffer, kind: BodyKind, lookup: Lookup): Rewriting<Buffer> {
  const asItIs = { kind: 'rewritten', value: body, redacted: sizeOf(body), keys: [] } as const;
  if (!kind.optedIn) return asItIs;
  const plain = decompress(body, kind.encoding);
  if (plain === undefined) return refuse('body-type-not-supported', 'body');
  if (!hasMarker(plain.toString('latin1'))) return asItIs;
  if (plain !== body) return refuse('body-type-not-supported', 'body');
  const text = rewriteText(body, kind.type ?? '', lookup);
  if (text.kind === 'refused') return text;
  const value = Buffer.from(text.value, 'utf8');
  return { kind: 'rewritten', value, redacted: sizeOf(value), keys: text.keys };
}

/** A log never quotes a body, not even redacted. */
function sizeOf(body: Buffer): string {
  return `[${body.byteLength} bytes]`;
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function rewriteText(body: Buffer, contentType: string, lookup: Lookup): Rewriting<string> | Refusal {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  const charset = parameters.map((part) => /^\s*charset="?([^"]*)"?\s*$/.exec(part)?.[1]).find(Boolean);
  let text: string;
  try {
    text = UTF_8.decode(body);
  } catch {
    return refuse('body-type-not-supported', 'body');
  }
  if (charset !== undefined && charset !== 'utf-8') return refuse('body-type-not-supported', 'body');
  const mediaType = type.trim();
  if (mediaType === 'application/x-www-form-urlencoded') return rewriteQueryText(text, lookup, 'body');
  if (mediaType === 'text/plain') return replacePlain(text, 'body', lookup, (value) => value);
  if (mediaType === 'application/json' || /^application\/[^/]+\+json$/.test(mediaType)) {
    // A placeholder can only be inside a JSON string: a quotation mark in the value must not end that string.
    return replacePlain(text, 'body', lookup, (value) => JSON.stringify(value).slice(1, -1));
  }
  return refuse('body-type-not-supported', 'body');
}

/** The decoded body; undefined if a content coding is unknown, the data is corrupt, or the result is too large. */
function decompress(body: Buffer, encoding: string | undefined): Buffer | undefined {
  const codings = (encoding ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
  if (codings.length > MAX_CODINGS) return undefined;
  let plain = body;
  try {
    for (const coding of codings.reverse()) {
      const decode = DECODERS.get(coding);
      if (decode === undefined) return undefined;
      plain = decode(plain, { maxOutputLength: MAX_DECOMPRESSED_BYTES });
    }
  } catch {
    return undefined;
  }
  return plain;
}
