/** `serve --gateway-driver` as a process: its socket, its end, and what it writes down. */

import { existsSync, lstatSync, readFileSync, unlinkSync } from 'node:fs';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  ResolveCredentialsRequestSchema,
  ResolveCredentialsResponseSchema,
  StoreCredentialRequestSchema,
  StoreCredentialResponseSchema,
} from '../../src/gen/openshell/credentials/v1/credential_driver_pb.ts';
import { MAIN, NODE } from '../support/checkout.ts';
import { CliProcess, cli, startServe, until } from '../support/cli.ts';
import { RawClient } from '../support/raw-calls.ts';
import { describeAsRoot } from '../support/root.ts';
import { newSecret } from '../support/secrets.ts';
import { NAMESPACE, Workspace } from '../support/workspace.ts';

const SERVICE = '/openshell.credentials.v1.CredentialDriver';
const PROVIDER = {
  workspace: 'default',
  providerName: 'gitlab',
  providerId: 'id',
  credentialKey: 'GITLAB_TOKEN',
};

let workspace: Workspace;
let socket: string;
beforeEach(() => {
  workspace = new Workspace();
  socket = `${workspace.root}/run/driver/driver.sock`;
});
afterEach(() => workspace[Symbol.dispose]());

const configure = () => workspace.writeGatewayConfig(socket, { default: ['gitlab'] });

const refer = (client: RawClient, value: string) =>
  client.call(
    `${SERVICE}/StoreCredential`,
    toBinary(
      StoreCredentialRequestSchema,
      create(StoreCredentialRequestSchema, { ...PROVIDER, value: Buffer.from(value) }),
    ),
  );

it('resolves a reference, repeats no raw value, and takes its socket away when it ends', async () => {
  configure();
  const token = newSecret();
  workspace.secret('gitlab').write({ token });
  await using serve = await startServe(workspace.configFile, ['--gateway-driver']);
  expect(lstatSync(socket).mode & 0o777).toBe(0o660);
  using client = new RawClient(socket);

  const raw = newSecret('glpat');
  expect((await refer(client, raw)).code).toBe(status.INVALID_ARGUMENT);
  const { response } = await refer(client, `k8s-secret://${NAMESPACE}/gitlab/token`);
  const { handle } = fromBinary(StoreCredentialResponseSchema, response ?? Buffer.alloc(0));
  expect(handle?.driver).toBe('secret-resolver');
  const resolved = await client.call(
    `${SERVICE}/ResolveCredentials`,
    toBinary(
      ResolveCredentialsRequestSchema,
      create(ResolveCredentialsRequestSchema, {
        credentials: [{ ...PROVIDER, requestId: '1', ...(handle === undefined ? {} : { handle }) }],
      }),
    ),
  );
  const [answer] = fromBinary(
    ResolveCredentialsResponseSchema,
    resolved.response ?? Buffer.alloc(0),
  ).credentials;
  expect(Buffer.from(answer?.value ?? []).toString()).toBe(token);

  const { code, stdout, stderr } = await serve.stop();
  expect(code).toBe(0);
  expect(existsSync(socket)).toBe(false);
  for (const text of [stdout, stderr]) {
    expect(text).not.toContain(raw);
    expect(text).not.toContain(token);
  }
  const outcomes = serve.lines('stdout').map(({ unmapped }) => (unmapped as { outcome?: string }).outcome);
  expect(outcomes).toEqual(expect.arrayContaining(['denied', 'referred', 'served']));
});

it('binds its socket again where somebody removed it', async () => {
  configure();
  await using serve = await startServe(workspace.configFile, ['--gateway-driver']);
  unlinkSync(socket);
  await until(() => serve.stderr.includes('the socket file was removed; binding again'));
  await until(() => existsSync(socket));
  using client = new RawClient(socket);
  expect((await refer(client, 'x')).code).toBe(status.INVALID_ARGUMENT);
});

it('answers nobody once its part is taken out of the configuration', async () => {
  configure();
  workspace.secret('gitlab').write({ token: newSecret() });
  await using serve = await startServe(workspace.configFile, ['--gateway-driver']);
  using client = new RawClient(socket);
  const reference = `k8s-secret://${NAMESPACE}/gitlab/token`;
  expect((await refer(client, reference)).code).toBe(status.OK);
  workspace.writeConfig({});
  await until(() => serve.stderr.includes('configuration read again'));
  using again = new RawClient(socket);
  for (const each of [client, again]) expect((await refer(each, reference)).code).not.toBe(status.OK);
  const { stdout, stderr } = await serve.stop();
  expect(stdout).toContain('config-reloaded');
  expect(stderr).not.toContain('the reload failed');
});

it('lists no gateway with the UID of the agent in force', async () => {
  configure();
  await using serve = await startServe(workspace.configFile, ['--gateway-driver']);
  const [agent] = /(?<=agent:\n {2}uid: )\d+/.exec(readFileSync(workspace.configFile, 'utf8')) ?? [];
  workspace.writeConfig({
    agent: { uid: 4242 },
    gatewayDriver: {
      socket: { path: socket },
      callers: [{ name: 'gateway', uid: Number(agent) }],
      handleKey: { name: 'seal', key: 'key' },
      workspaces: [{ name: 'default', secrets: [{ name: 'gitlab' }] }],
    },
  });
  await until(() => serve.stderr.includes(`is ${agent} until the resolver is started again`));
  expect(serve.stderr).toContain('the one before stays in force');
});

it('is not served without the flag, and says so', async () => {
  configure();
  await using serve = await startServe(workspace.configFile);
  expect(existsSync(socket)).toBe(false);
  expect(serve.stderr).toContain('gatewayDriver is configured but not served: start with --gateway-driver');
});

it('asked for and not configured is a mistake of the command line', async () => {
  workspace.writeConfig({});
  const { code, stderr } = await cli([
    'serve',
    '--config',
    workspace.configFile,
    '--relaxed',
    '--gateway-driver',
  ]);
  expect(code).toBe(2);
  expect(stderr).toContain('--gateway-driver: the configuration has no gatewayDriver');
});

it('binds the socket that a gateway appends to the command line', async () => {
  configure();
  const bound = `${workspace.root}/run/appended/driver.sock`;
  const args = ['--gateway-driver', '--bind-socket', bound];
  await using _serve = await startServe(workspace.configFile, args);
  expect([existsSync(bound), existsSync(socket)]).toEqual([true, false]);
  using client = new RawClient(bound);
  expect((await refer(client, 'x')).code).toBe(status.INVALID_ARGUMENT);
});

it('says what is missing where --bind-socket stands alone', async () => {
  configure();
  const { code, stderr } = await cli([
    'serve',
    '--relaxed',
    '--config',
    workspace.configFile,
    '--bind-socket',
    socket,
  ]);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining('--bind-socket needs --gateway-driver'),
  });
});

describeAsRoot("a driver's socket that is open to the agent", () => {
  it('fails the self-test, which is given that socket too', async () => {
    // Whom the configuration takes for the agent is somebody else: it would not list the agent itself.
    workspace.writeGatewayConfig(socket, {}, { uid: 1000, mode: '0666', agent: { uid: 1001 } });
    await using _serve = await startServe(workspace.configFile, ['--gateway-driver']);
    await using selfTest = new CliProcess(
      [
        'self-test',
        '--socket',
        workspace.socket,
        '--socket',
        socket,
        '--only',
        'other-sockets',
        '-o',
        'json',
      ],
      {
        node: 'unshare',
        nodeFlags: ['--net', 'setpriv', '--reuid=1000', '--regid=1000', '--clear-groups', NODE],
        program: MAIN,
      },
    );
    const { code, stdout } = await selfTest.finished;
    expect(code).toBe(1);
    const tries = JSON.parse(stdout).attacks[0].tries;
    expect(tries).toContainEqual({
      target: `${socket} ${SERVICE}/GetCapabilities`,
      answer: expect.stringMatching(/^gRPC status OK, message of \d+ bytes$/),
      verdict: 'broken',
    });
  });
});
