/**
 * The startup probe as kubelet makes it: asks for /readyz once a second until it is 200.
 *
 *   health-check.ts <port> <seconds>      exit 0 as soon as it serves, 1 where it does not in time
 */
import { setTimeout as sleep } from 'node:timers/promises';

const [port = '', seconds = '0'] = process.argv.slice(2);

process.exitCode = 1;
for (let tries = 0; tries < Number(seconds) && process.exitCode !== 0; tries++) {
  const answer = fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1_000) });
  if (await answer.then(({ status }) => status === 200).catch(() => false)) process.exitCode = 0;
  else await sleep(1_000);
}
