/** One Secret of ten thousand keys beside another provider: what each of them gets, over the wire. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterEach, expect, it } from 'vitest';
import { MAX_MESSAGE_BYTES } from '../../src/domain/limits.ts';
import {
  type Credential,
  CredentialState,
  ListCredentialsRequestSchema,
  ListCredentialsResponseSchema,
  ProviderEnvironmentSchema,
} from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { RawClient } from '../support/raw-calls.ts';
import { ResolverPod } from '../support/resolver-pod.ts';
import { describeAsRoot } from '../support/root.ts';
import { newSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

const KEYS = 9_999;
const CROWD = Object.fromEntries(Array.from({ length: KEYS }, (_, index) => [`KEY_${index}`, 'x']));
let server: TestServer | undefined;
afterEach(() => server?.[Symbol.asyncDispose]());

function writeProviders(workspace: Workspace): void {
  const source = (name: string) => ({ type: 'kubernetesSecret', namespace: NAMESPACE, name });
  workspace.writeProvider('bulk.yaml', {
    name: 'bulk',
    type: 'custom',
    endpoints: Array.from({ length: 6 }, (_, index) => ({ host: `host-${index}.example.com`, port: 443 })),
    credentialsFrom: [{ source: source('bulk'), mode: 'allKeys' }],
  });
  // Sorted behind the crowd, whatever a response is filled by.
  workspace.writeProvider('other.yaml', {
    name: 'other',
    type: 'custom',
    endpoints: ENDPOINTS,
    credentials: {
      Z_TOKEN: { source: { ...source('other'), key: 'token' }, required: true },
      Z_OTHER: { source: { ...source('other'), key: 'other' } },
    },
  });
}

async function open() {
  const workspace = new Workspace();
  writeProviders(workspace);
  server = await TestServer.open(workspace);
  server.publish({ bulk: CROWD, other: { token: newSecret(), other: newSecret() } });
  return new RawClient(server.socket);
}

async function expectTheOtherServed(client: RawClient): Promise<void> {
  for (const method of ['GetProviderEnvironment', '/openshell.v1.OpenShell/GetSandboxProviderEnvironment']) {
    const request = method.startsWith('/')
      ? Buffer.from('0a0c73616e64626f782d303030311001', 'hex')
      : undefined;
    const { response = Buffer.alloc(0), details } = await client.call(method, request);
    expect(details).toBe('');
    expect(response.byteLength).toBeLessThan(MAX_MESSAGE_BYTES);
    const { environment, refusals } = fromBinary(ProviderEnvironmentSchema, response);
    expect(Object.keys(environment)).toEqual(expect.arrayContaining(['Z_TOKEN', 'Z_OTHER']));
    expect(Object.keys(environment).length).toBeGreaterThan(3_000);
    expect(new Set(refusals.map(({ provider, reason }) => `${provider} ${reason}`))).toEqual(
      new Set(['bulk response-too-large']),
    );
  }
}

it('every credential of the other provider is served, the required one too', async () => {
  using client = await open();
  await expectTheOtherServed(client);
  expect(server?.state.isServing()).toBe(true);
});

describeAsRoot("from a volume, by the image's serve", () => {
  it('every credential of the other provider is served, the required one too', async () => {
    await using pod = await ResolverPod.open({}, (workspace) => {
      writeProviders(workspace);
      workspace.secret('bulk').write(CROWD);
      workspace.secret('other').write({ token: newSecret(), other: newSecret() });
      return {};
    });
    using client = new RawClient(pod.workspace.socket);
    await expectTheOtherServed(client);
  });
});

it('the list comes in pages below the message limit, and names each credential once', async () => {
  using client = await open();
  const listed: Credential[] = [];
  let pageToken = '';
  let pages = 0;
  do {
    const request = toBinary(
      ListCredentialsRequestSchema,
      create(ListCredentialsRequestSchema, { pageToken }),
    );
    const { response = Buffer.alloc(0) } = await client.call('ListCredentials', request);
    expect(response.byteLength).toBeLessThan(MAX_MESSAGE_BYTES);
    const page = fromBinary(ListCredentialsResponseSchema, response);
    listed.push(...page.credentials);
    pageToken = page.nextPageToken;
    pages += 1;
  } while (pageToken !== '');
  expect(listed).toHaveLength(KEYS + 2);
  expect(new Set(listed.map(({ key }) => key)).size).toBe(KEYS + 2);
  expect(listed.filter(({ state }) => state === CredentialState.SERVED).length).toBeGreaterThan(3_000);
  // The longest names need more than one.
  expect(pages).toBeGreaterThan(0);
});

it('a page token that nobody gave out gets the credentials behind it', async () => {
  using client = await open();
  for (const pageToken of ['%%', Buffer.from('zzz').toString('base64url'), 'x'.repeat(60_000)]) {
    const request = toBinary(
      ListCredentialsRequestSchema,
      create(ListCredentialsRequestSchema, { pageToken }),
    );
    expect((await client.call('ListCredentials', request)).details).toBe('');
  }
});
