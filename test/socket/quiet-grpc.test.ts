/** A peer chooses its headers. Headers that gRPC cannot read must not get into our log. */
import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { startServe } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';

let workspace: Workspace;
afterEach(() => workspace[Symbol.dispose]());

it('writes down no header that gRPC cannot read', async () => {
  workspace = new Workspace();
  workspace.writeBulkProvider('any', 'any');
  workspace.secret('any').write({ TOKEN: newSecret() });
  await using serve = await startServe(workspace.configFile);
  const header = newSecret();
  expect(await statusOf(() => connectSocket(workspace.socket), `${header}\u00a4`)).toBe(0);
  expect(serve.stdout + serve.stderr).not.toContain(header);
  for (const line of serve.stderr.trim().split('\n')) expect(() => JSON.parse(line), line).not.toThrow();
});

/** Status of a health check that is sent with a header of these characters, one byte each. */
async function statusOf(open: () => ReturnType<typeof connectSocket>, value: string): Promise<number> {
  const session = connect('http://localhost', { createConnection: open });
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      'x-header': value,
    });
    stream.end(Buffer.alloc(5));
    return await new Promise((resolve, reject) => {
      const note = (headers: Readonly<Record<string, unknown>>) => {
        if (headers['grpc-status'] !== undefined) resolve(Number(headers['grpc-status']));
      };
      stream.on('response', note).on('trailers', note).on('error', reject).on('close', reject).resume();
    });
  } finally {
    session.destroy();
  }
}
