/**
 * The supervisor of the demo: watches the resolver with the client library, and runs the proxy that the
 * agent's traffic goes through. Prints one JSON object an event; no event has a value in it.
 */
import { connect, eraseEnvironment, type ProviderEnvironment } from '../../src/client/index.ts';
import { agentEnvironment } from '../../src/client/placeholder-environment.ts';
import { PlaceholderResolver } from '../../src/client/placeholder-resolver.ts';
import { ThrowAwayAuthority } from './proxy/authority.ts';
import { startProxy } from './proxy/proxy.ts';

interface Settings {
  readonly socket: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** PEM of the authority that the upstream's certificate is of. */
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
  // The demo has no internet: every host is the upstream on this machine. TLS still checks the host's name.
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
  // The old values are out of force by now: nothing resolves to them any more.
  if (before !== undefined) eraseEnvironment(before);
  before = environment;
}
