import { readFileSync } from 'node:fs';

/** Version of this package, from package.json two directories up, in the checkout and in the published package. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
