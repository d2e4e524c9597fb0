import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a UID that made all the calls it may make has some again. */
export async function waitForCalls(): Promise<void> {
  await sleep(1_000);
}
