/** Size of the length prefix of each text, in bytes. */
const LENGTH = 4;

/** Encodes texts with their lengths as prefixes, so that no two lists have the same encoding. */
export function lengthPrefixed(texts: readonly string[]): Buffer {
  const size = texts.reduce((sum, text) => sum + LENGTH + Buffer.byteLength(text), 0);
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const text of texts) {
    const length = bytes.write(text, at + LENGTH);
    bytes.writeUInt32BE(length, at);
    at += LENGTH + length;
  }
  return bytes;
}
