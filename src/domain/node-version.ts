/** Loads nothing that an old Node.js could not load: main.ts and vitest.config.ts ask it before they load the rest. */
import { readFileSync } from 'node:fs';

/** What package.json needs and what runs, in one sentence, where that is too old. */
export function nodeComplaint(): string | undefined {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const needed = /\d+/.exec((JSON.parse(manifest) as { engines: { node: string } }).engines.node)?.[0];
  const found = process.versions.node;
  return Number.parseInt(found, 10) >= Number(needed)
    ? undefined
    : `needs Node.js ${needed} or newer, but this is Node.js ${found} (${process.execPath})`;
}
