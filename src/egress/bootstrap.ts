/**
 * Envoy's configuration, from the providers' endpoints. Pure.
 *
 * What the agent sends to the proxy's port is a CONNECT, or a plain request that names its server. Both are passed on
 * inside the process: a tunnel to a listed `host:port` is ended by a listener for that port, with a certificate for the
 * name that the agent's TLS asks for; plain HTTP goes to a listener of its own. Each asks the kit about every request.
 * A server is resolved and dialled by the authority that the kit has let through, and verified for the same name.
 * There is no admin interface: the agent would reach it.
 */
import { join } from 'node:path';
import type { EgressSettings } from '../config/config.ts';
import type { Destinations } from './destinations.ts';

/** The metadata by which a listener tells the kit what it is: `plain`, or `tls:<port>`. */
export const LISTENER_METADATA = 'secret-resolver-listener';
/** The filter under whose name Envoy sends attributes: that of the processor's type. */
export const FILTER = 'envoy.filters.http.ext_proc';
export const SERVER_NAME = 'connection.requested_server_name';
/** Bytes of a body that is rewritten: Envoy refuses a larger one with 413. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Names that are resolved at a time; an agent may ask for any that a pattern matches. */
const MAX_HOSTS = 1_024;

export const FILES = {
  bootstrap: 'envoy.yaml',
  listeners: 'listeners.yaml',
  clusters: 'clusters.yaml',
} as const;
export const socketPath = ({ directory }: Pick<EgressSettings, 'directory'>): string =>
  join(directory, 'egress.sock');

type Json = Record<string, unknown>;

const API = 'type.googleapis.com/envoy.';
const typed = (type: string, fields: Json = {}): Json => ({ '@type': `${API}${type}`, ...fields });
/** Envoy names most extensions by the package of their type. */
const extension = (type: string, fields?: Json, name = `envoy.${type.replace(/\.v3\.\w+$/, '')}`): Json => ({
  name,
  typed_config: typed(`extensions.${type}`, fields),
});

/** What Envoy is started with. It stays as it is for the life of the pod. */
export function bootstrap({ directory }: EgressSettings): Json {
  const from = (file: string) => ({
    resource_api_version: 'V3',
    path_config_source: { path: join(directory, file), watched_directory: { path: directory } },
  });
  return {
    node: { id: 'egress', cluster: 'secret-resolver' },
    bootstrap_extensions: [extension('bootstrap.internal_listener.v3.InternalListener')],
    dynamic_resources: { lds_config: from(FILES.listeners), cds_config: from(FILES.clusters) },
  };
}

/** Everything that a change of the configuration changes. */
export function listeners(settings: EgressSettings, destinations: Destinations): Json {
  return resources('config.listener.v3.Listener', [
    proxy(settings, destinations),
    inner('plain', 'http'),
    ...destinations.tlsPorts.map((port) => inner(`tls:${port}`, 'https', onDemandTls)),
  ]);
}

export function clusters(settings: EgressSettings, destinations: Destinations): Json {
  return resources('config.cluster.v3.Cluster', [
    {
      ...at('kit', { pipe: { path: socketPath(settings) } }),
      ...protocol({ explicit_http_config: { http2_protocol_options: {} } }),
    },
    ...['plain', ...destinations.tlsPorts.map((port) => `tls-${port}`)].map((name) =>
      at(name, { envoy_internal_address: { server_listener_name: name } }),
    ),
    dynamic('tunnel'),
    { ...dynamic('http'), ...protocol({ ...verified, explicit_http_config: { http_protocol_options: {} } }) },
    {
      ...dynamic('https'),
      ...protocol({ ...verified, auto_config: { http_protocol_options: {}, http2_protocol_options: {} } }),
      transport_socket: extension('transport_sockets.tls.v3.UpstreamTlsContext', {
        common_tls_context: { validation_context: { trusted_ca: { filename: settings.trustedCa } } },
      }),
    },
  ]);
}

/** A server's certificate is for the name that was asked for. Envoy wants it said for plain HTTP too. */
const verified = { upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true } };

function resources(type: string, list: readonly Json[]): Json {
  return { version_info: '1', resources: list.map((resource) => typed(type, resource)) };
}

/** The port that HTTPS_PROXY and HTTP_PROXY name. */
function proxy({ listen }: EgressSettings, destinations: Destinations): Json {
  const tunnels = destinations.unlisted === 'tunnel';
  const connect = (authorities: readonly string[], cluster: string): Json[] =>
    authorities.map((regex) => ({
      match: { connect_matcher: {}, headers: [authority(regex)] },
      route: { cluster, ...ENDLESS, upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] },
    }));
  const routes = [
    ...destinations.tlsPorts.flatMap((port) =>
      connect(destinations.authorities({ tls: true, port }), `tls-${port}`),
    ),
    ...connect(
      destinations.authorities({ tls: false }).map((regex) => regex.replace('(:80)?', ':80')),
      'plain',
    ),
    ...(tunnels ? connect(['.*'], 'tunnel') : []),
    { match: { connect_matcher: {} }, ...denied },
    ...(tunnels ? ['.*'] : destinations.authorities({ tls: false })).map((regex) => ({
      match: { prefix: '/', headers: [authority(regex)] },
      route: { cluster: 'plain', ...ENDLESS },
      request_headers_to_remove: ['proxy-authorization', 'proxy-connection'],
    })),
    { match: { prefix: '' }, ...denied },
  ];
  return {
    name: 'proxy',
    address: { socket_address: { address: listen.host, port_value: listen.port } },
    filter_chains: [{ filters: [http('proxy', routes, tunnels ? [forwardProxy] : [], 'CONNECT')] }],
  };
}

const denied = {
  direct_response: { status: 403, body: { inline_string: '{"error":"destination_not_listed"}\n' } },
};

/** A listener that no address leads to. `metadata` tells the kit what it is. */
function inner(metadata: string, cluster: string, tls?: Json): Json {
  const name = metadata.replace(':', '-');
  const routes = [{ match: { prefix: '' }, route: { cluster, ...ENDLESS } }];
  const filters = [processor(metadata), forwardProxy];
  return {
    name,
    internal_listener: {},
    ...(tls && { listener_filters: [extension('filters.listener.tls_inspector.v3.TlsInspector')] }),
    filter_chains: [
      { ...(tls && { transport_socket: tls }), filters: [http(name, routes, filters, 'websocket')] },
    ],
  };
}

/** A model may think for minutes, and streams its answer. */
const ENDLESS = { timeout: '0s' };
const IDLE = '3600s';

function http(name: string, routes: readonly Json[], filters: readonly Json[], upgrade: string): Json {
  return extension('filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: name,
    // By HTTP/2, Envoy would refuse the self-test's calls by a gRPC status, as a credential service would.
    codec_type: name === 'proxy' ? 'HTTP1' : 'AUTO',
    stream_idle_timeout: IDLE,
    upgrade_configs: [{ upgrade_type: upgrade }],
    // The server shall see what the agent sent.
    generate_request_id: false,
    skip_xff_append: true,
    server_header_transformation: 'PASS_THROUGH',
    via: '',
    normalize_path: false,
    http_protocol_options: { accept_http_10: true },
    route_config: {
      name,
      // Envoy may read new listeners before the clusters, and would refuse them for good.
      validate_clusters: false,
      request_headers_to_remove: ['x-forwarded-proto'],
      virtual_hosts: [{ name: 'all', domains: ['*'], routes }],
    },
    http_filters: [...filters, extension('filters.http.router.v3.Router', { suppress_envoy_headers: true })],
  });
}

/** Asks the kit. Fails closed: without an answer there is no request. */
function processor(metadata: string): Json {
  return extension('filters.http.ext_proc.v3.ExternalProcessor', {
    grpc_service: {
      envoy_grpc: { cluster_name: 'kit' },
      initial_metadata: [{ key: LISTENER_METADATA, value: metadata }],
    },
    failure_mode_allow: false,
    message_timeout: '5s',
    request_attributes: [SERVER_NAME],
    // The kit asks for a body or a response where it needs one.
    allow_mode_override: true,
    processing_mode: {
      request_header_mode: 'SEND',
      response_header_mode: 'SKIP',
      request_trailer_mode: 'SKIP',
      response_trailer_mode: 'SKIP',
    },
    mutation_rules: { allow_all_routing: true, allow_envoy: true, disallow_is_error: true },
  });
}

const dnsCache = {
  dns_cache_config: { name: 'egress', dns_lookup_family: 'ALL', max_hosts: MAX_HOSTS },
};

const forwardProxy = extension('filters.http.dynamic_forward_proxy.v3.FilterConfig', dnsCache);

/** Resumption would skip the choice of a certificate, and with it the name that TLS is made for. */
const onDemandTls = extension('transport_sockets.tls.v3.DownstreamTlsContext', {
  disable_stateless_session_resumption: true,
  disable_stateful_session_resumption: true,
  common_tls_context: {
    alpn_protocols: ['h2', 'http/1.1'],
    custom_tls_certificate_selector: extension(
      'transport_sockets.tls.cert_selectors.on_demand_secret.v3.Config',
      {
        config_source: {
          resource_api_version: 'V3',
          api_config_source: {
            api_type: 'DELTA_GRPC',
            transport_api_version: 'V3',
            set_node_on_first_message_only: true,
            grpc_services: [{ envoy_grpc: { cluster_name: 'kit' } }],
          },
        },
        certificate_mapper: extension(
          'transport_sockets.tls.cert_mappers.sni.v3.SNI',
          { default_value: 'none.invalid' },
          'sni',
        ),
      },
      'on-demand',
    ),
  },
});

function dynamic(name: string): Json {
  return {
    name,
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: extension('clusters.dynamic_forward_proxy.v3.ClusterConfig', dnsCache),
  };
}

function at(name: string, address: Json): Json {
  return {
    name,
    type: 'STATIC',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
  };
}

function protocol(options: Json): Json {
  const type = 'extensions.upstreams.http.v3.HttpProtocolOptions';
  return { typed_extension_protocol_options: { [`envoy.${type}`]: typed(type, options) } };
}

const authority = (regex: string): Json => ({
  name: ':authority',
  string_match: { safe_regex: { regex: `(?i)${regex}` } },
});
