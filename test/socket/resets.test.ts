/** A peer that resets a call in the bytes that begin it: whatever is sent on such a stream throws. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { callHeaders, frame, PREFACE } from '../../tools/fuzz/frames.ts';
import { until } from '../support/cli.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { RawClient } from '../support/raw-calls.ts';
import { newSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { Workspace } from '../support/workspace.ts';

const SERVICE = '/secretresolver.v1.CredentialResolver';
const HEADERS = 1;
const DATA = 0;
const RST_STREAM = 3;
const GOAWAY = 7;
const CONTINUATION = 9;
const END_HEADERS = 4;
const END_STREAM = 1;
const NOTHING = Buffer.alloc(0);
/** NO_ERROR, with which Node closes a stream and does not destroy it, and CANCEL. */
const CODES = [0, 8];
const EMPTY_MESSAGE = Buffer.alloc(5);
const EMPTY_SETTINGS = frame(4, 0, 0, NOTHING);

/** Sends all of it at once and waits until the server has closed the connection, or hangs up. */
async function send(server: TestServer, frames: readonly Buffer[]): Promise<void> {
  const socket = connect(server.socket).on('error', () => {});
  await once(socket, 'connect');
  socket.write(Buffer.concat([PREFACE, EMPTY_SETTINGS, ...frames]));
  await once(socket.resume(), 'data');
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
}

it.each(['GetProviderEnvironment', 'WatchProviderEnvironment', 'GetStatus', 'NoSuchMethod'])(
  'a reset of %s is no defect and ends nothing',
  async (method) => {
    const workspace = new Workspace();
    workspace.writeBulkProvider('nvbugs', 'nvbugs');
    const { log, lines } = new MemoryLog();
    await using server = await TestServer.open(workspace, {}, log);
    server.publish({ nvbugs: { TOKEN: newSecret() } });
    const headers = frame(HEADERS, END_HEADERS, 1, callHeaders(`${SERVICE}/${method}`));
    const message = frame(DATA, 0, 1, EMPTY_MESSAGE);
    const last = frame(DATA, END_STREAM, 1, EMPTY_MESSAGE);
    for (const code of CODES) {
      const reset = frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, code]));
      for (const data of [[], [message], [last]]) await send(server, [headers, ...data, reset]);
    }
    using client = new RawClient(server.socket);
    expect(await client.call('GetProviderEnvironment')).toMatchObject({ code: 0 });
    const failures = lines.filter(({ level }) => level === 'error' || level === 50);
    expect(failures).toEqual([]);
    expect(JSON.stringify(server.records)).not.toContain('a defect of the resolver');
  },
);

it('a connection that ended after GOAWAY and a broken frame is closed within 2 s', async () => {
  const workspace = new Workspace();
  workspace.writeBulkProvider('nvbugs', 'nvbugs');
  await using server = await TestServer.open(workspace);
  server.publish({ nvbugs: { TOKEN: newSecret() } });
  const call = frame(HEADERS, END_HEADERS, 1, callHeaders(`${SERVICE}/GetStatus`));
  await send(server, [
    ...[call, frame(DATA, END_STREAM, 1, EMPTY_MESSAGE)],
    ...[frame(GOAWAY, 0, 0, Buffer.alloc(8)), frame(CONTINUATION, 6, 0x7fffffff, NOTHING)],
  ]);
  await until(() => server.server.connections === 0, 2_000);
});
