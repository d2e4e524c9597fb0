/** Loads nothing that an old Node.js cannot load: main.ts and vitest.config.ts call it before they load the rest. */
import { readFileSync } from 'node:fs';

/** Names the required and the running version in one sentence, if the running one is too old. */
export function nodeComplaint(): string | undefined {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const needed = /\d+/.exec((JSON.parse(manifest) as { engines: { node: string } }).engines.node)?.[0];
  const found = process.versions.node;
  return Number.parseInt(found, 10) >= Number(needed)
    ? undefined
    : `needs Node.js ${needed} or newer, but this is Node.js ${found} (${process.execPath})`;
}
