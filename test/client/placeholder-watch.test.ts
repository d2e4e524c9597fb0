/** The way of a rotation to the request of a running agent: real server, real socket, real watch. */
import { expect, it } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { agentEnvironment } from '../../src/client/placeholder-environment.ts';
import { PlaceholderResolver } from '../../src/client/placeholder-resolver.ts';
import { applyOpenShellRules } from '../../src/consumers/openshell/openshell-rules.ts';
import { until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { Workspace } from '../support/workspace.ts';

it('an agent keeps its placeholder, and each request carries the value in force or is refused', async () => {
  const workspace = new Workspace();
  workspace.writeBulkProvider('gitlab', 'credentials');
  await using server = await TestServer.open(workspace);
  using client = connect({ socket: server.socket });
  using stop = new AbortStop();
  const resolver = new PlaceholderResolver();
  const first = newSecret();
  server.publish({ credentials: { GITLAB_TOKEN: first, OTHER: newSecret() } });

  const given: Record<string, string>[] = [];
  const watching = (async () => {
    for await (const environment of client.watchProviderEnvironment({ signal: stop.signal })) {
      resolver.update(environment);
      given.push(agentEnvironment(environment));
    }
  })();
  await until(() => given.length === 1);

  const placeholder = given[0]?.GITLAB_TOKEN ?? '';
  const send = (host: string, token = placeholder) =>
    resolver.rewriteRequest(
      {
        method: 'GET',
        host,
        port: 443,
        tls: true,
        target: '/api/v4/user',
        headers: [['Authorization', `Bearer ${token}`]],
        body: undefined,
        rewriteBody: false,
      },
      Date.now(),
    );
  const authorized = (value: string) => ({ value: { headers: [['Authorization', `Bearer ${value}`]] } });
  const ofRevision = `openshell:resolve:env:v${resolver.revision}_GITLAB_TOKEN`;
  expect(send('gitlab.example.com')).toMatchObject(authorized(first));
  expect(send('gitlab.example.com', ofRevision)).toMatchObject(authorized(first));
  expect(send('evil.example.net')).toMatchObject({ reason: 'credential_endpoint_mismatch' });

  const second = newSecret();
  server.publish({ credentials: { GITLAB_TOKEN: second, OTHER: newSecret() } });
  await until(() => given.length === 2);
  expect(given[1]).toEqual(given[0]);
  expect(send('gitlab.example.com')).toMatchObject(authorized(second));
  expect(send('gitlab.example.com', ofRevision)).toMatchObject({ detail: 'stale-revision' });

  server.publish({ credentials: { OTHER: newSecret() } });
  await until(() => given.length === 3);
  expect(send('gitlab.example.com')).toMatchObject({
    reason: 'credential_unavailable',
    detail: 'unknown-credential',
  });
  stop[Symbol.dispose]();
  await watching;
});

it("what the resolver serves keeps all of OpenShell's rules", async () => {
  const workspace = new Workspace();
  workspace.writeBulkProvider('gitlab', 'credentials');
  await using server = await TestServer.open(workspace);
  server.publish({ credentials: { GITLAB_TOKEN: newSecret(), OTHER: newSecret() } });
  const served = server.store.current()?.credentials ?? [];
  const { accepted, refused } = applyOpenShellRules(served, { overLimit: 'refuse' });
  expect(accepted.map(({ identity }) => identity)).toEqual(['gitlab:GITLAB_TOKEN', 'gitlab:OTHER']);
  expect(refused).toEqual([]);
});

it('plain HTTP takes a value to the endpoints that the operator declared for it, and to no others', async () => {
  const host = 'gitlab.example.com';
  const workspace = new Workspace();
  workspace.writeProvider('gitlab.yaml', {
    name: 'gitlab',
    type: 'custom',
    endpoints: [
      { host },
      { host, port: 80 },
      { host, port: 8080, tls: false },
      { host, port: 8081, tls: true },
      { host, port: 8082 },
    ],
    credentialsFrom: [{ source: { type: 'kubernetesSecret', name: 'credentials' }, mode: 'allKeys' }],
  });
  await using server = await TestServer.open(workspace);
  using client = connect({ socket: server.socket });
  server.publish({ credentials: { TOKEN: newSecret() } });
  const environment = await client.getProviderEnvironment();
  expect(environment.credentials.get('TOKEN')?.endpoints).toEqual([
    { host, port: 443, path: '' },
    { host, port: 80, path: '' },
    { host, port: 8080, path: '', tls: false },
    { host, port: 8081, path: '' },
    { host, port: 8082, path: '' },
  ]);
  const resolver = new PlaceholderResolver();
  resolver.update(environment);
  const { TOKEN = '' } = agentEnvironment(environment);
  const sent = (port: number, tls: boolean) =>
    resolver.rewriteHeader(TOKEN, { host, port, tls, path: '/' }, Date.now()).kind === 'rewritten';
  const ports = [443, 80, 8080, 8081, 8082];
  expect(ports.filter((port) => sent(port, false))).toEqual([80, 8080]);
  expect(ports.filter((port) => sent(port, true))).toEqual(ports);
});

/** An abort signal that is raised at the end of the test, however it ends. */
class AbortStop implements Disposable {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  [Symbol.dispose](): void {
    this.#controller.abort();
  }
}
