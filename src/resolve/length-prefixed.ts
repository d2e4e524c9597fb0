/** Writes texts into a hash or MAC, each with its length in front, so that no two lists run together to the same bytes. */
export function updateWithTexts(hash: { update(data: Uint8Array): unknown }, texts: readonly string[]): void {
  for (const text of texts) {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.byteLength);
    hash.update(length);
    hash.update(bytes);
  }
}
