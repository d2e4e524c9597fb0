import { it } from 'vitest';
import { LiveServer, PROMPT_MS } from './live-server.ts';
import { standStill } from './stand-still.ts';

it('a good client that stood still together with the server counts as answered', async () => {
  await using live = await LiveServer.start();
  const answered = live.stillServes();
  standStill(PROMPT_MS + 500);
  await answered;
});
