/**
 * Whether OpenSSL can load PEM blocks, as far as their form is concerned, and if not, why. Pure. Nothing is decoded but
 * the first bytes, and the time is linear: a text of thousands of beginnings must not cost the square of its length.
 */
import type { RefusalReason } from './refusal.ts';

const BEGIN = /^-----BEGIN ([A-Z0-9 ]{1,64})-----$/;
/** Labels whose content is one ASN.1 sequence. An OpenSSH key is not one. */
const DER = /^(?!OPENSSH ).*\b(CERTIFICATE|CRL|KEY|REQUEST|PARAMETERS|PKCS7|CMS)$/;

/** Where a block begins, if only one takes what stands before it away. */
const ALMOST_BEGIN = /^[^\w#]*-----BEGIN /;

/** Every block, for a chain is loaded to its end. OpenSSL passes over what is before, between and after them. */
export function pemFault(bytes: Buffer): RefusalReason | undefined {
  const text = bytes.toString('latin1');
  const lines = text.split('\n').map((line) => line.replace(/[ \t\r]{1,256}$/, ''));
  let next = 0;
  for (const [at, line] of lines.entries()) {
    if (at < next || !ALMOST_BEGIN.test(line)) continue;
    const label = BEGIN.exec(line)?.[1];
    const end = lines.indexOf(`-----END ${label}-----`, at + 1);
    if (label === undefined || end < 0) return brokenLines(text, lines);
    const fault = blockFault(label, lines.slice(at + 1, end));
    if (fault !== undefined) return fault;
    next = end + 1;
  }
  return next === 0 ? brokenLines(text, lines) : undefined;
}

function blockFault(label: string, block: readonly string[]): RefusalReason | undefined {
  // PGP's armour is alike and not PEM: it has other headers, and a checksum at the end.
  if (label.startsWith('PGP ')) return undefined;
  const encrypted = block[0]?.startsWith('Proc-Type: 4,ENCRYPTED') === true;
  const body = encrypted ? block.slice(block.indexOf('') + 1) : block.slice(block[0] === '' ? 1 : 0);
  if (body.length === 0 || body.includes('')) return 'not-pem';
  const base64 = body.join('').replaceAll(/[ \t]/g, '');
  if (base64.includes('\\n')) return 'pem-escaped-newlines';
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return 'not-pem';
  return encrypted || !DER.test(label) || isWholeSequence(base64) ? undefined : 'not-pem';
}

/** Why a beginning and its end are not found, each on a line of its own. */
function brokenLines(text: string, lines: readonly string[]): RefusalReason {
  if (/-----(\\r)?\\n|\\n-----/.test(text)) return 'pem-escaped-newlines';
  return lines.some((line) => /^[ \t]{1,64}-----(BEGIN|END) /.test(line)) ? 'pem-indented' : 'not-pem';
}

/** Whether the Base64 holds one ASN.1 sequence and not a byte more or less: what is cut off does not. */
function isWholeSequence(base64: string): boolean {
  const size = (base64.replace(/=+$/, '').length * 3) >> 2;
  const [tag, first = 0, ...rest] = Buffer.from(base64.slice(0, 8), 'base64');
  if (tag !== 0x30) return false;
  if (first < 0x80) return size === 2 + first;
  const count = first & 0x7f;
  const length = rest.slice(0, count).reduce((sum, byte) => sum * 256 + byte, 0);
  return count >= 1 && count <= rest.length && size === 2 + count + length;
}
