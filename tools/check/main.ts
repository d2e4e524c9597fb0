/** Part of `npm run check`. Prints what breaks a rule, and exits with 1 if anything does. */
import { resolve } from 'node:path';
import { complaints } from './house.ts';
import { translations } from './words.ts';

const root = resolve(import.meta.dirname, '../..');
const found = [...complaints(root), ...translations(root)];
for (const line of found) console.error(line);
if (found.length > 0) process.exitCode = 1;
