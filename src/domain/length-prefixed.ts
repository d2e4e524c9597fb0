/** Bytes of the length in front of each text. */
const LENGTH = 4;

/** Texts as bytes, each with its length in front, so that no two lists run together to the same bytes. */
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
