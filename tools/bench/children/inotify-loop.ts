/**
 * The barest loop from inotify to values in memory: no check of anything.
 *
 *   inotify-loop.ts <directory> <keys>      the values' prefix comes in VALUE_PREFIX
 */
import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { rotationIn } from '../generations.ts';

const [directory = '', keys = '0'] = process.argv.slice(2);
const prefix = process.env.VALUE_PREFIX ?? '';
const files = Array.from({ length: Number(keys) }, (_, index) => join(directory, '..data', `KEY_${index}`));

watch(directory, (_event, name) => {
  if (name !== '..data') return;
  const values = files.map((file) => readFileSync(file));
  const at = process.hrtime.bigint();
  process.send?.({ rotation: rotationIn(values[0] ?? Buffer.alloc(0), prefix), at });
});
process.send?.({ ready: true });
