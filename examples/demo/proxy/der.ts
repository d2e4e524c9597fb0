/** The few forms of DER (X.690) that an X.509 certificate is made of. */

/** Tags used here, as they stand in the encoding. */
const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
} as const;

/** Tag, length, content. */
function encode(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const significant = length.subarray(length.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([tag, 0x80 | significant.length]), significant, content]);
}

export const sequence = (...items: readonly Uint8Array[]) => encode(Tag.sequence, ...items);
export const set = (...items: readonly Uint8Array[]) => encode(Tag.set, ...items);
export const boolean = (value: boolean) => encode(Tag.boolean, Buffer.from([value ? 0xff : 0]));
export const octetString = (content: Uint8Array) => encode(Tag.octetString, content);
export const utf8String = (text: string) => encode(Tag.utf8String, Buffer.from(text, 'utf8'));

/** A number that is not negative, big-endian; a leading bit that reads as a sign gets a zero in front. */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  return encode(Tag.integer, Uint8Array.of(...((digits[0] ?? 0) >= 0x80 ? [0] : []), ...digits));
}

/** Whole bytes, no unused bits unless told. */
export function bitString(content: Uint8Array, unusedBits = 0): Buffer {
  return encode(Tag.bitString, Buffer.from([unusedBits]), content);
}

/** An object identifier from its dotted form. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const septets = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) septets.unshift((left & 0x7f) | 0x80);
    return septets;
  });
  return encode(Tag.objectIdentifier, Buffer.from(bytes));
}

/** A time before 2050, to the second. */
export function utcTime(atMs: number): Buffer {
  const text = new Date(atMs).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return encode(Tag.utcTime, Buffer.from(`${text}Z`, 'ascii'));
}

/** An explicitly tagged field, `[number]`. */
export const explicit = (number: number, content: Uint8Array) => encode(0xa0 | number, content);

/** An implicitly tagged primitive, `[number]`. */
export const implicit = (number: number, content: Uint8Array) => encode(0x80 | number, content);
