/**
 * Whether OpenSSL can load a PEM block, as far as its form is concerned, and if not, why. Pure. Nothing is decoded but
 * the first bytes, and the time is linear: a text of thousands of beginnings must not cost the square of its length.
 */
import type { RefusalReason } from './refusal.ts';

const BEGIN = /^-----BEGIN ([A-Z0-9 ]{1,64})-----$/;
/** Labels whose content is one ASN.1 sequence. An OpenSSH key is not one. */
const DER = /^(?!OPENSSH ).*\b(CERTIFICATE|CRL|KEY|REQUEST|PARAMETERS|PKCS7|CMS)$/;

/** The first block decides. OpenSSL passes over what is before it and after it. */
export function pemFault(bytes: Buffer): RefusalReason | undefined {
  const text = bytes.toString('latin1');
  const lines = text.split('\n').map((line) => line.replace(/[ \t\r]{1,256}$/, ''));
  const begin = lines.findIndex((line) => BEGIN.test(line));
  const label = BEGIN.exec(lines[begin] ?? '')?.[1];
  const end = lines.indexOf(`-----END ${label}-----`, begin + 1);
  if (label === undefined || end < 0) return brokenLines(text, lines);
  const block = lines.slice(begin + 1, end);
  // PGP's armour is alike and not PEM: it has other headers, and a checksum at the end.
  if (label.startsWith('PGP ')) return undefined;
  const encrypted = block[0]?.startsWith('Proc-Type: 4,ENCRYPTED') === true;
  const body = encrypted ? block.slice(block.indexOf('') + 1) : block.slice(block[0] === '' ? 1 : 0);
  if (body.length === 0 || body.includes('')) return 'not-pem';
  const base64 = body.join('').replaceAll(/[ \t]/g, '');
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
