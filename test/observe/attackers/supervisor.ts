/**
 * A supervisor that asks for the environment again and again, and holds a watch: `supervisor.ts <socket> <every ms>`,
 * until its input ends. Prints `asking` after the first call and, for each line of input, `{"ms": [...], "seenAt": [...]}`: how
 * long each call since the last line took, the one under way included, and when the watch got a snapshot, in Unix ms.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { RawClient } from '../../support/raw-calls.ts';

const [socket = '', every = '0'] = process.argv.slice(2);
using client = new RawClient(socket);
const watch = client.stream('WatchProviderEnvironment');
// The first message subscribes.
watch.send(Buffer.from('0a00', 'hex'));
void watch.ended.then(({ details }) => {
  throw new Error(`the watch ended: ${details}`);
});

let times: number[] = [];
let seenAt: number[] = [];
watch.stream.on('data', () => seenAt.push(performance.timeOrigin + performance.now()));
let began: number | undefined;
const report = () => {
  const underWay = began === undefined ? [] : [performance.now() - began];
  process.stdout.write(`${JSON.stringify({ ms: [...times, ...underWay], seenAt })}\n`);
  times = [];
  seenAt = [];
};
process.stdin.on('data', report).on('end', () => process.exit(0));
for (let calls = 0; ; calls++) {
  began = performance.now();
  const { code, details } = await client.call('GetProviderEnvironment');
  if (code !== status.OK) throw new Error(details);
  if (calls === 0) process.stdout.write('asking\n');
  times.push(performance.now() - began);
  began = undefined;
  await sleep(Number(every));
}
