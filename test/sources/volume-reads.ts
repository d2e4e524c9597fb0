/** Reads in a form that tests can compare: text instead of values, names instead of objects. */
import type { VolumeRead } from '../../src/sources/index.ts';
import type { Wanted } from '../../src/sources/source.ts';

export const ALL: Wanted = { keys: new Set(), all: true };

export function only(...keys: string[]): Wanted {
  return { keys: new Set(keys), all: false };
}

/** Maps each key to its text or `!fault`. A fault of the volume is just `!fault`. */
export function shown(read: VolumeRead): Record<string, string> | string {
  if (read.kind === 'fault') return `!${read.fault}`;
  return Object.fromEntries(
    [...read.generation.keys].map(([key, found]) => [
      key,
      found.kind === 'bytes' ? found.value.reveal().toString('latin1') : `!${found.fault}`,
    ]),
  );
}
