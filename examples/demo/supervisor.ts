/**
 * The supervisor of the demo: watches the resolver with the client library, and runs the proxy for the agent's traffic.
 * Prints one JSON object per event, never with a value.
 */
import { connect, eraseEnvironment, type ProviderEnvironment } from '../../src/client/index.ts';
import { agentEnvironment } from '../../src/client/placeholder-environment.ts';
import { PlaceholderResolver } from '../../src/client/placeholder-resolver.ts';
import { ThrowAwayAuthority } from '../../src/egress/authority.ts';
import { startProxy } from './proxy/proxy.ts';

interface Settings {
  readonly socket: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** PEM of the authority that signed the upstream's certificate. */
  readonly upstreamCa: string;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings;
const say = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`);

const resolver = new PlaceholderResolver();
const authority = await ThrowAwayAuthority.create('demo supervisor', Date.now());
const proxy = await startProxy({
  resolver,
  authority,
  port: 0,
  upstreamCa: settings.upstreamCa,
  // The demo has no internet access: every host is the upstream on this machine. TLS still checks the host name.
  route: ({ port }) => ({ host: '127.0.0.1', port: port === 443 ? settings.httpsPort : settings.httpPort }),
  onRequest: (record) => say({ event: 'request', ...record }),
});
say({ event: 'proxy', url: proxy.url, ca: authority.certificate });

let before: ProviderEnvironment | undefined;
for await (const environment of connect({ socket: settings.socket }).watchProviderEnvironment({
  onDisconnect: (error) => say({ event: 'disconnected', code: error.code }),
})) {
  resolver.update(environment);
  say({
    event: 'applied',
    revision: String(environment.revision),
    keys: [...environment.credentials.keys()],
    agentEnvironment: agentEnvironment(environment),
    at: String(process.hrtime.bigint()),
  });
  // The old values are withdrawn by now: no placeholder resolves to them.
  if (before !== undefined) eraseEnvironment(before);
  before = environment;
}
