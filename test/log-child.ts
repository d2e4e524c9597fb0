/** Logs as a process of ours does. Run by log.test.ts: `node log-child.ts <throws|many|long> [lines]`. */
import { createLog } from '../src/observe/log.ts';

const [story = '', lines = '0'] = process.argv.slice(2);
await using log = createLog({ level: 'info' });
for (let n = 0; n < Number(lines); n++) log.info({ n, text: 'x'.repeat(100) }, 'line');
if (story === 'long') {
  const text = 'n'.repeat(100_000);
  const names = Array.from({ length: 10_000 }, (_, index) => `name-${index}`);
  log.warn({ text, names, deep: { refusal: { names } } }, 'long');
  log.warn({ err: new Error(text) }, 'error');
}
log.fatal('why it ends');
if (story === 'throws') {
  setImmediate(() => {
    log.fatal('at last');
    throw new Error('nobody catches this');
  });
}
if (story === 'many') {
  process.stdout.write(`${process.memoryUsage().rss}\n`);
  // Until the reader has had its chance.
  await new Promise((done) => process.stdin.once('data', done));
  log.info('after it');
}
process.stdin.destroy();
