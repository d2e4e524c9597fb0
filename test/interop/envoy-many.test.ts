/** The real Envoy with more than one header: hundreds of secrets, and client certificates. */
import { X509Certificate } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { ThrowAwayAuthority } from '../../src/egress/authority.ts';
import { startServe, until } from '../support/cli.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';
import { type Bootstrap, describeWithEnvoy, Envoy, installEnvoy, RELEASES } from './envoy-program.ts';

const ENVOY_UID = 1337;
const SECRETS = 300;
/** Envoy opens its listener after 15 s whether it has its secrets or not. */
const TIMEOUT_MS = 14_000;

function workspaceOf(): Workspace {
  const workspace = new Workspace();
  workspace.writeConfig({ callers: [{ name: 'envoy', uid: ENVOY_UID, providers: ['*'] }] });
  return workspace;
}

/** One injector for each secret, each with a header of its own. */
function injectMany({ static_resources }: Bootstrap): void {
  for (const { filter_chains } of static_resources.listeners) {
    const manager = filter_chains[0].filters[0].typed_config;
    const [injector, router] = manager.http_filters;
    if (injector === undefined || router === undefined) throw new Error('the example has two filters');
    const injectors = Array.from({ length: SECRETS }, (_, index) => {
      const each = structuredClone(injector);
      each.name = `injector-${index}`;
      each.typed_config.credential.typed_config.header = `x-${index}`;
      each.typed_config.credential.typed_config.credential.name = `KEY_${index}`;
      return each;
    });
    manager.http_filters = [...injectors, router];
  }
}

/** No header, and a certificate for the upstream; each request on a connection of its own. */
function useCertificate({ static_resources: { listeners, clusters } }: Bootstrap): void {
  const filters = listeners[0]?.filter_chains[0].filters[0].typed_config;
  const injector = filters?.http_filters.shift();
  const upstream = clusters.find(({ name }) => name === 'upstream');
  if (injector === undefined || upstream === undefined) throw new Error('the example has both');
  const { sds_config } = injector.typed_config.credential.typed_config.credential;
  const type = 'type.googleapis.com/envoy.extensions';
  Object.assign(upstream, {
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${type}.transport_sockets.tls.v3.UpstreamTlsContext`,
        common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'CLIENT_CERT', sds_config }] },
      },
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${type}.upstreams.http.v3.HttpProtocolOptions`,
        common_http_protocol_options: { max_requests_per_connection: 1 },
        explicit_http_config: { http_protocol_options: {} },
      },
    },
  });
}

describeWithEnvoy('Envoy', () => {
  describe.each(RELEASES)('%s', (release) => {
    it.each(['GRPC', 'DELTA_GRPC'] as const)(
      'by %s has 300 secrets before it opens its listener, and all of a rotation',
      {
        timeout: 300_000,
      },
      async (api) => {
        const program = await installEnvoy(release);
        using workspace = workspaceOf();
        workspace.writeBulkProvider('many', 'many');
        const secret = workspace.secret('many');
        const data = () =>
          Object.fromEntries(Array.from({ length: SECRETS }, (_, index) => [`KEY_${index}`, newSecret()]));
        let current = data();
        secret.write(current);
        await using serve = await startServe(workspace.configFile);
        const upstream = join(workspace.root, 'upstream.sock');
        const server = createServer({ maxHeaderSize: 64 * 1024 }, ({ headers }, response) => {
          response.end(Array.from({ length: SECRETS }, (_, index) => headers[`x-${index}`]).join());
        });
        server.maxHeadersCount = 0;
        server.listen(upstream);
        await until(() => server.listening);
        chmodSync(upstream, 0o777);
        try {
          const folder = join(workspace.root, 'envoy');
          const at = { program, uid: ENVOY_UID, api, resolver: workspace.socket, folder } as const;
          await using envoy = new Envoy({ ...at, upstream, change: injectMany });
          await envoy.until(200, Object.values(current).join(), TIMEOUT_MS);
          current = data();
          secret.write(current);
          await envoy.until(200, Object.values(current).join(), 2_000);
          expect(serve.stdout).not.toContain('"outcome":"denied"');
        } finally {
          server.close();
        }
      },
    );

    it.each(['GRPC', 'DELTA_GRPC'] as const)(
      'is served by %s though its first request has 900 KB',
      { timeout: 60_000 },
      async (api) => {
        const program = await installEnvoy(release);
        using workspace = workspaceOf();
        workspace.writeBulkProvider('gitlab', 'credentials');
        const value = newSecret();
        workspace.secret('credentials').write({ GITLAB_TOKEN: value });
        await using serve = await startServe(workspace.configFile);
        const upstream = join(workspace.root, 'upstream.sock');
        const server = createServer(({ headers }, response) => response.end(headers['private-token']));
        server.listen(upstream);
        await until(() => server.listening);
        chmodSync(upstream, 0o777);
        try {
          const folder = join(workspace.root, 'envoy');
          const change = (config: Bootstrap) => {
            Object.assign(config, {
              node: { id: 'envoy', cluster: 'c', metadata: { large: 'x'.repeat(850_000) } },
            });
          };
          const at = { program, uid: ENVOY_UID, api, resolver: workspace.socket, folder } as const;
          await using envoy = new Envoy({ ...at, upstream, change });
          await envoy.until(200, value, TIMEOUT_MS);
          await until(() => serve.stdout.includes('"outcome":"acknowledged"'), TIMEOUT_MS);
        } finally {
          server.close();
        }
      },
    );

    it('shows its upstream the certificate that is mounted; it cannot be made to forget it', {
      timeout: 300_000,
    }, async () => {
      const program = await installEnvoy(release);
      const authority = await ThrowAwayAuthority.create('test', Date.now());
      using workspace = workspaceOf();
      const source = (key: string) => ({
        source: { type: 'kubernetesSecret', namespace: NAMESPACE, name: 'web', key },
        format: 'pem',
      });
      workspace.writeProvider('web.yaml', {
        name: 'web',
        type: 'custom',
        endpoints: ENDPOINTS,
        credentials: { CLIENT_CERT: source('tls.crt'), CLIENT_KEY: source('tls.key') },
      });
      const secret = workspace.secret('web');
      const mount = async (name: string): Promise<string> => {
        const { certificate, key } = await authority.issue(name);
        secret.write({ 'tls.crt': certificate, 'tls.key': registerSecret(key) });
        return new X509Certificate(certificate).fingerprint256;
      };
      const first = await mount('first.example.com');
      await using serve = await startServe(workspace.configFile);
      const { certificate, key } = await authority.issue('upstream.example.com');
      const options = {
        cert: certificate,
        key: registerSecret(key),
        requestCert: true,
        rejectUnauthorized: false,
      };
      const server = createTlsServer(options, ({ socket }, response) =>
        response.end((socket as TLSSocket).getPeerCertificate().fingerprint256),
      );
      const upstream = join(workspace.root, 'upstream.sock');
      server.listen(upstream);
      await until(() => server.listening);
      chmodSync(upstream, 0o777);
      try {
        const folder = join(workspace.root, 'envoy');
        const at = {
          program,
          uid: ENVOY_UID,
          api: 'DELTA_GRPC',
          resolver: workspace.socket,
          folder,
        } as const;
        await using envoy = new Envoy({ ...at, upstream, change: useCertificate });
        await envoy.until(200, first);
        const second = await mount('second.example.com');
        await envoy.until(200, second);
        secret.vanish();
        await until(() => serve.stderr.includes('a supervisor rejected a revision'));
        expect(await envoy.get()).toEqual({ status: 200, body: second });
        await envoy.until(200, await mount('third.example.com'));
      } finally {
        server.close();
      }
    });
  });
});
