/** What a supervisor's log shows of snapshots, lists, states and errors. */
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BoundaryState, CredentialState, connect, ResolverError } from '../../src/client/index.ts';
import { newSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { Workspace } from '../support/workspace.ts';

const value = newSecret();
let server: TestServer;
beforeAll(async () => {
  const workspace = new Workspace();
  workspace.writeBulkProvider('gitlab', 'credentials');
  server = await TestServer.open(workspace);
  server.publish({ credentials: { TOKEN: value, toJSON: newSecret(), constructor: newSecret() } });
});
afterAll(() => server[Symbol.asyncDispose]());

it('a snapshot is one line of JSON without a value, from a call and from a watch', async () => {
  using client = connect({ socket: server.socket });
  const fetched = await client.getProviderEnvironment();
  const watch = client.watchProviderEnvironment();
  const { value: watched } = await watch.next();
  await watch.return();
  for (const environment of [fetched, watched]) {
    if (!environment) throw new Error('no snapshot');
    const line = JSON.stringify({ msg: 'applied', environment });
    expect(JSON.parse(line).environment).toEqual({
      revision: String(environment.revision),
      sandbox: { ...environment.sandbox },
      credentials: Object.fromEntries(
        [...environment.credentials].map(([key, credential]) => [
          key,
          JSON.parse(JSON.stringify({ ...credential, value: '[secret]' })),
        ]),
      ),
      refusals: [],
    });
    expect(Object.keys(JSON.parse(line).environment.credentials).sort()).toEqual([
      'TOKEN',
      'constructor',
      'toJSON',
    ]);
    expect(`${line} ${inspect(environment, { depth: 9, showHidden: true })}`).not.toContain(value);
    expect(environment.credentials.get('TOKEN')?.value.reveal().toString()).toBe(value);
  }
});

it('lists and states are JSON as well, each part by itself too', async () => {
  using client = connect({ socket: server.socket });
  const list = await client.listCredentials();
  expect(list.credentials.find(({ key }) => key === 'TOKEN')?.state).toBe(CredentialState.SERVED);
  expect(JSON.parse(JSON.stringify(list)).credentials).toHaveLength(3);
  expect(JSON.parse(JSON.stringify(list.credentials[0]))).toMatchObject({ expiresAtMs: '0' });
  const status = await client.getStatus();
  expect(Object.values(BoundaryState)).toContain(status.boundary?.state);
  expect(JSON.parse(JSON.stringify(status))).toMatchObject({ startedAtMs: String(status.startedAtMs) });
});

it('an error names the socket and has its cause', async () => {
  using client = connect({ socket: `${server.socket}.gone` });
  const failed: unknown = await client.getStatus().catch((error) => error);
  expect(failed).toBeInstanceOf(ResolverError);
  expect(failed).toMatchObject({
    message: 'no connection (ENOENT)',
    socket: `${server.socket}.gone`,
    cause: { code: 14, details: expect.stringContaining('ENOENT') },
  });
  using other = connect({ socket: server.socket });
  const refused: unknown = await other
    .getProviderEnvironment({ providers: ['none'] })
    .catch((error) => error);
  expect(refused).toMatchObject({ code: 'permission-denied', socket: server.socket, cause: { code: 7 } });
  const watch = other.watchProviderEnvironment({ providers: ['none'] });
  await expect(watch.next()).rejects.toMatchObject({ code: 'permission-denied', socket: server.socket });
});
