import { readFileSync } from 'node:fs';

/** Version of this package, from its package.json: two folders up, in the checkout as in the published package. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
