/**
 * No configuration that `config validate` accepts, and nothing that its Secrets hold, makes OpenShell's supervisor drop
 * the credentials of another provider: it drops all of a response in which one breaks a rule. The supervisor is a model
 * of how OpenShell 0.0.x installs an environment, written from its rules and apart from ours.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/consumers/load-config.ts';
import {
  GetSandboxProviderEnvironmentRequestSchema,
  type GetSandboxProviderEnvironmentResponse,
  GetSandboxProviderEnvironmentResponseSchema,
} from '../../src/gen/openshell/v1/openshell_pb.ts';
import { compilesHost } from '../support/host-pattern.ts';
import { runInProcess } from '../support/in-process.ts';
import { RawClient } from '../support/raw-calls.ts';
import { newSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { ENDPOINTS, NAMESPACE, SANDBOX, Workspace } from '../support/workspace.ts';

/** Why the supervisor refuses an environment as a whole; undefined where it installs it. */
function refusal(response: GetSandboxProviderEnvironmentResponse): string | undefined {
  const { environment, staticCredentialBindings: bindings, nonSecretEnvironmentKeys: plain } = response;
  const known = (key: string) => Object.hasOwn(environment, key);
  if (new Set(plain).size !== plain.length) return 'a plain key twice';
  for (const key of Object.keys(environment))
    if (Object.hasOwn(bindings, key) === plain.includes(key)) return 'a key that is not classified once';
  if (![...plain, ...Object.keys(bindings)].every(known)) return 'a key without a value';
  for (const { credentialIdentity, workloadCredentialHandle, endpoints } of Object.values(bindings)) {
    if (credentialIdentity === '') return 'no identity';
    if (endpoints.length === 0) return 'no endpoint';
    if (!/^([0-9a-f]{64})?$/.test(workloadCredentialHandle)) return 'an invalid handle';
    for (const { host, port } of endpoints)
      if (port < 1 || port > 65_535 || !compilesHost(host)) return 'an invalid endpoint';
  }
  // Prost refuses a message with a text that is not UTF-8; here it is decoded with replacements.
  if (Object.values(environment).some((value) => value.includes('\ufffd'))) return 'not UTF-8';
  return undefined;
}

const WITNESS = 'WITNESS_TOKEN';
const label = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('a', 'example', 'com', '*', '**', 'x-*', '[ab]', '[!a]', 'API') },
  { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom(...'a*?[]!-'), minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constantFrom('', '***', '{a,b}', 'é', ' ') },
);
const endpoint = fc.record(
  {
    host: fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.')),
    port: fc.oneof(
      { weight: 40, arbitrary: fc.constantFrom(1, 443, 65_535) },
      { weight: 1, arbitrary: fc.constantFrom(0, 65_536) },
    ),
    path: fc.constantFrom('', '/**', '/api/**', '/a*b', '/[', '/**/x', '/ü', '/a**'),
  },
  { requiredKeys: ['host'] },
);
const NAMES = Array.from({ length: 20 }, (_, index) => `TOKEN_${index}`);
const key = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...NAMES, 'lower_case', '_', 'A'.repeat(256)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('v7_X', `s${'a'.repeat(64)}_X`, 'PATH', 'A'.repeat(257), 'toString'),
  },
);
const settings = fc.record(
  {
    required: fc.boolean(),
    expiresAt: fc.constantFrom('2999-01-01T00:00:00Z', 4_000_000_000_000, { key: 'expiry' }),
    trim: fc.constantFrom('none', 'trailingNewline'),
    format: fc.constantFrom('text', 'json', 'pem', 'jwt'),
  },
  { requiredKeys: [] },
);
const source = { type: 'kubernetesSecret', namespace: NAMESPACE, name: 'others' };
const provider = fc.record(
  {
    endpoints: fc.array(endpoint, { maxLength: 2 }),
    credentials: fc
      .array(fc.tuple(key, key, settings), { maxLength: 3 })
      .map((all) =>
        Object.fromEntries(
          all.map(([name, from, more]) => [name, { source: { ...source, key: from }, ...more }]),
        ),
      ),
    credentialsFrom: fc.array(
      fc.record(
        {
          source: fc.constant(source),
          mode: fc.constant('allKeys'),
          rename: fc.dictionary(key, key, { maxKeys: 2 }),
          trim: fc.constantFrom('none', 'trailingNewline'),
        },
        { requiredKeys: ['source', 'mode'] },
      ),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: ['endpoints', 'credentials'] },
);
const value = fc.oneof(
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme-ascii', minLength: 1 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 8 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      '\n',
      'a\nb',
      'a\r',
      'a\0b',
      'v\n',
      '{"a": 1}\n',
      '1',
      '4000000000000',
      'é€😀',
      'x'.repeat(9_000),
    ),
  },
);
const secrets = fc.record(
  Object.fromEntries(
    [...NAMES, 'expiry', 'a.b', 'v7_X', 'PATH', 'A'.repeat(256)].map((name) => [name, value]),
  ),
  { requiredKeys: NAMES.slice(0, 10) },
);
const openshell = fc.record({ overLimit: fc.constantFrom('warn', 'refuse') });

it('whatever is accepted leaves the other providers their credentials', async () => {
  const workspace = new Workspace();
  await using server = await TestServer.open(workspace);
  using client = new RawClient(server.socket);
  const token = newSecret();
  let [accepted, others] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      fc.array(provider, { minLength: 1, maxLength: 2 }),
      secrets,
      openshell,
      async (given, held, rules) => {
        const folder = join(workspace.root, 'providers');
        for (const file of readdirSync(folder)) rmSync(join(folder, file));
        workspace.writeConfig({ openshell: rules });
        workspace.writeProvider('witness.yaml', {
          name: 'witness',
          type: 'custom',
          endpoints: ENDPOINTS,
          credentials: {
            [WITNESS]: { source: { ...source, name: 'witness', key: 'token' }, required: true },
          },
        });
        given.forEach((each, index) => {
          workspace.writeProvider(`p${index}.yaml`, { name: `p${index}`, type: 'custom', ...each });
        });
        const { code } = await runInProcess('config', 'validate', workspace.configFile);
        if (code !== 0) return;
        accepted++;
        server.config = loadConfig(workspace.configFile, {});
        server.publish({ witness: { token }, others: held });
        const request = create(GetSandboxProviderEnvironmentRequestSchema, {
          sandboxId: SANDBOX.id,
          supportsStaticCredentialBindings: true,
        });
        const answer = await client.call(
          '/openshell.v1.OpenShell/GetSandboxProviderEnvironment',
          toBinary(GetSandboxProviderEnvironmentRequestSchema, request),
        );
        const response = fromBinary(
          GetSandboxProviderEnvironmentResponseSchema,
          answer.response ?? Buffer.alloc(0),
        );
        expect(refusal(response)).toBeUndefined();
        expect(response.environment[WITNESS]).toBe(token);
        others += Object.keys(response.environment).length - 1;
      },
    ),
    { numRuns: 300 },
  );
  // Neither side of the property is empty.
  expect(accepted).toBeGreaterThan(15);
  expect(others).toBeGreaterThan(15);
});
