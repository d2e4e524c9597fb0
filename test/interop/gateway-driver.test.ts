/** A gateway on another gRPC stack against the real `serve --gateway-driver`. */
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { startServe, until } from '../support/cli.ts';
import { describeIf } from '../support/root.ts';
import { ARTIFACTS, newSecret } from '../support/secrets.ts';
import { NAMESPACE, Workspace } from '../support/workspace.ts';
import { TOOLCHAINS } from './toolchains.ts';

const KEYS = Array.from({ length: 32 }, (_, index) => `KEY_${letter(index / 8)}${letter(index % 8)}`);
/** Allows for a first build, which may download and compile grpc-go. */
const TIMEOUT_MS = 300_000;

/** Each call of the client, and the response it expects. */
const REFUSALS = {
  'raw-value': 'InvalidArgument',
  'raw-value-behind-scheme': 'InvalidArgument',
  'empty-value': 'InvalidArgument',
  'unlisted-secret': 'PermissionDenied',
  'unlisted-namespace': 'PermissionDenied',
  'unlisted-workspace': 'PermissionDenied',
  'no-workspace': 'InvalidArgument',
  'altered-handle': 'PermissionDenied',
  'no-handle': 'PermissionDenied',
  'other-workspace': 'PermissionDenied',
  'other-provider': 'PermissionDenied',
  'other-key': 'PermissionDenied',
  'request-twice': 'InvalidArgument',
  'other-contract': 'FailedPrecondition',
  list: 'Unimplemented',
};

function letter(index: number): string {
  return String.fromCharCode(65 + Math.floor(index));
}

const go = TOOLCHAINS.find(({ name }) => name === 'go');
const missing = await go?.missing();

describeIf('a gateway in Go', missing === undefined ? undefined : `no ${missing}`, () => {
  it('store, a batch of 32, a rotation, the batch again, delete, every refusal', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { program, args, env } = (await go?.build()) ?? { program: '', args: [], env: {} };
    using workspace = new Workspace();
    const socket = join(workspace.root, 'run/driver/driver.sock');
    workspace.writeGatewayConfig(socket, { default: ['credentials'], second: ['credentials'] });
    const fresh = () => Object.fromEntries(KEYS.map((key) => [key, newSecret()]));
    const [before, after] = [fresh(), fresh()];
    const secret = workspace.secret('credentials');
    secret.write(before);
    await using serve = await startServe(workspace.configFile, ['--gateway-driver']);

    const raw = newSecret('glpat');
    const nonce = randomBytes(8).toString('hex');
    const reference = `k8s-secret://${NAMESPACE}/credentials`;
    const flags = ['--socket', socket, '--authority', 'gateway.local', '--driver', reference];
    const client = execa(program, [...args, ...flags], {
      env: { ...env, INTEROP_NONCE: nonce, INTEROP_RAW: raw },
      all: true,
      reject: false,
      timeout: 60_000,
    });
    let output = '';
    client.all.on('data', (bytes: Buffer) => {
      output += bytes.toString();
      appendFileSync(join(ARTIFACTS, 'interop-gateway.log'), bytes);
    });
    const explain = () => `the gateway wrote:\n${output}`;
    await until(() => output.includes('resolved 32'), 20_000, explain);
    secret.write(after);
    // The driver logs no read; a rotation takes milliseconds.
    await sleep(2_000);
    client.stdin?.end('\n');
    const { exitCode } = await client;
    expect(exitCode, explain()).toBe(0);

    const digest = (value = '') => createHash('sha256').update(`${nonce}\0${value}`).digest('hex');
    const values = (data: Record<string, string>) => KEYS.map((key) => `value ${key} ${digest(data[key])}`);
    expect(output.trimEnd().split('\n')).toEqual([
      'driver secret-resolver mounted-kubernetes-secrets false',
      'stored 32',
      ...values(before),
      'resolved 32',
      ...values(after),
      'resolved 32',
      'deleted 32',
      'absent 0 1',
      ...Object.entries(REFUSALS).map(([what, code]) => `refused ${what} ${code}`),
      'done',
    ]);
    const { stdout, stderr, code } = await serve.stop();
    expect(code).toBe(0);
    expect(`${stdout}${stderr}`).not.toContain(raw);
    const denied = serve
      .lines('stdout')
      .filter(({ unmapped }) => (unmapped as { outcome: string }).outcome === 'denied');
    expect(denied).toHaveLength(Object.keys(REFUSALS).length + 1); // And the absent key.
  });
});
