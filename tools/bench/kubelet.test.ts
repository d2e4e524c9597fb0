import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Kubelet } from './kubelet.ts';

it('starts when the startup probe succeeds, and does not hide that a later probe failed', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(asked.length === 2 ? 200 : 503).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const kubelet = await Kubelet.probing((server.address() as AddressInfo).port);
    expect(asked).toEqual(['/readyz', '/readyz']);
    await sleep(5_500);
    expect(asked).toEqual(['/readyz', '/readyz', '/readyz']);
    expect(() => kubelet[Symbol.dispose]()).toThrow('/readyz answered 503');
  } finally {
    server.close();
  }
});
