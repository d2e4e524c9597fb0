/** What the tests of this folder say about reads: text in place of values, names in place of objects. */
import type { VolumeRead } from '../../src/sources/index.ts';
import type { Wanted } from '../../src/sources/source.ts';

export const ALL: Wanted = { keys: new Set(), all: true };

export function only(...keys: string[]): Wanted {
  return { keys: new Set(keys), all: false };
}

/** Key → its text, or `!fault`. A fault of the volume is `!fault` alone. */
export function shown(read: VolumeRead): Record<string, string> | string {
  if (read.kind === 'fault') return `!${read.fault}`;
  return Object.fromEntries(
    [...read.generation.keys].map(([key, found]) => [
      key,
      found.kind === 'bytes' ? found.value.reveal().toString('latin1') : `!${found.fault}`,
    ]),
  );
}
