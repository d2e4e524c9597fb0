/**
 * Watches a volume in a process that cannot get an inotify instance, and prints what was published and logged as one
 * line of JSON. Run by watch-limit.test.ts: `node watch-limit-child.ts <directory>`.
 */
import { Volume } from '../../src/sources/volume.ts';
import { until } from '../support/cli.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { ALL, shown } from './volume-reads.ts';

const [directory = ''] = process.argv.slice(2);
const secret = new SecretVolume(directory);
const log = new MemoryLog();
const states: ReturnType<typeof shown>[] = [];
secret.write({ token: 'first' });
const started = performance.now();
const volume = new Volume({
  secret: { namespace: 'tenant', name: 'credentials' },
  directory,
  wanted: ALL,
  log: log.log,
  onChange: ({ read }) => states.push(shown(read)),
  rereadIntervalMs: 50,
});
await volume.start();
const startMs = performance.now() - started;
secret.write({ token: 'second' });
await until(() => states.length === 2);
await volume[Symbol.asyncDispose]();
process.stdout.write(
  JSON.stringify({ states, startMs, warnings: log.lines.filter(({ level }) => level === 40) }),
);
