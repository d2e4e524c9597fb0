import { expect, it } from 'vitest';
import { framed, LiveServer, PROMPT_MS, SERVING } from './live-server.ts';
import { standStill } from './stand-still.ts';

it('a good client that stood still together with the server counts as answered', async () => {
  await using live = await LiveServer.start();
  const answered = live.stillServes();
  standStill(PROMPT_MS + 500);
  await answered;
});

it('a client that cancels call after call still gets responses', async () => {
  await using live = await LiveServer.start();
  using client = live.client(live.test.socket);
  // A subscription, which is answered until somebody ends it.
  const subscribe = framed(Buffer.from([0x0a, 0]));
  const codes = new Set<number | undefined>();
  for (let left = 1_300; left > 0; left--) {
    await client.call(SERVING[1], [subscribe], {}, 1);
    const { code } = await client.call(SERVING[0], [framed(Buffer.alloc(0))], {}, PROMPT_MS);
    codes.add(code);
  }
  expect([...codes]).toEqual([0]);
});
