/** Content of the Secrets that are rotated: every value names its rotation, so that a reader knows which it has. */

export function generation(prefix: string, rotation: number, keys: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: keys }, (_, index) => [`KEY_${index}`, `${prefix}-${rotation}-${index}`]),
  );
}

/** The rotation that bytes with at least one value are of; -1 where there is none. */
export function rotationIn(bytes: Buffer, prefix: string): number {
  const at = bytes.indexOf(prefix);
  if (at === -1) return -1;
  const from = at + prefix.length + 1;
  return Number.parseInt(bytes.toString('latin1', from, from + 12), 10);
}
