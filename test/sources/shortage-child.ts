/**
 * Watches a volume in a process that runs out of descriptors, and prints what was published and logged as one line of
 * JSON. Run by shortage.test.ts with a low limit: `node shortage-child.ts <directory> <rides-out|lasts|start|ends>`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Volume } from '../../src/sources/volume.ts';
import { until } from '../support/cli.ts';
import { DescriptorShortage } from '../support/descriptor-shortage.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { ALL, shown } from './volume-reads.ts';

const [directory = '', story = ''] = process.argv.slice(2);
const secret = new SecretVolume(directory);
const said: unknown[] = [];
const states: ReturnType<typeof shown>[] = [];
const shortage = new DescriptorShortage();
secret.write({ one: 'first', two: 'first' });
const volume = new Volume({
  secret: { namespace: 'tenant', name: 'credentials' },
  directory,
  wanted: ALL,
  log: pino(
    { level: 'info', base: null, timestamp: false },
    { write: (line) => said.push(JSON.parse(line)) },
  ),
  onChange: ({ read }) => states.push(shown(read)),
  rereadIntervalMs: 50,
  ...(story === 'lasts' ? { shortageMs: 500 } : {}),
});
let ms = 0;
if (story === 'start' || story === 'ends') {
  shortage.take();
  const started = performance.now();
  setTimeout(() => (story === 'start' ? shortage.give() : void volume[Symbol.asyncDispose]()), 1_000);
  await volume.start();
  ms = performance.now() - started;
} else {
  await volume.start();
  // Waits for the watch, which would fail and log it without descriptors.
  await sleep(200);
  // With no descriptor left, the volume cannot be opened. With two, it and the generation can, but no key.
  for (const left of [0, 2]) {
    shortage.take();
    shortage.give(left);
    await sleep(left === 0 ? 400 : 300);
  }
  if (story === 'rides-out') {
    // In the same turn of the event loop: the volume rotates while there is no descriptor to read it.
    shortage.give();
    secret.write({ one: 'second', two: 'second' });
    shortage.take();
    await sleep(300);
    states.push('still short');
  } else await until(() => states.length === 2);
  const given = performance.now();
  shortage.give();
  await until(() => states.length === 3);
  ms = performance.now() - given;
}
shortage.give();
await volume[Symbol.asyncDispose]();
process.stdout.write(JSON.stringify({ states, said, ms }));
