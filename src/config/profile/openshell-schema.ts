/**
 * The shape that OpenShell reads a profile by. It passes over fields that it does not know, and refuses a whole profile
 * for one field of another type. Versions 0.0.x; fields that `provider profile export` and 0.1.x write are known too.
 */
import type { ScalarTag, Tags } from 'yaml';
import { z } from 'zod';

/**
 * Plain scalars as its YAML reader takes them: only an empty one is nothing, and a whole number has no zeros before it. A
 * null that is written and a number with a point, which no field is, become symbols with their text.
 */
export function openShellTags(tags: Tags): Tags {
  return (tags as ScalarTag[]).flatMap((each): ScalarTag[] => {
    if (each.tag.endsWith(':float')) return [{ ...each, resolve: Symbol }];
    if (each.tag.endsWith(':null')) {
      return [
        { ...each, test: /^$/ },
        { ...each, test: NULL, resolve: Symbol },
      ];
    }
    return [each.tag.endsWith(':int') && !each.format ? { ...each, test: /^[-+]?(0|[1-9]\d*)$/ } : each];
  });
}

const NULL = /^(~|[Nn]ull|NULL)$/;

/** Every scalar is a text, but where a field may have one of two types. What a `default` and a type of its own leave is required. */
const name = z.preprocess((value) => {
  if (value === null) return '';
  if (typeof value === 'symbol') return value.description;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
}, z.string());
const text = name.default('');
const flag = z.boolean().default(false);
const number = z.int().min(0).max(4294967295).default(0);
/** A field without a value is an empty list or map. */
const list = <T extends z.ZodType>(entry: T) => z.preprocess((value) => value ?? [], z.array(entry));
const map = <T extends z.ZodType>(value: T) =>
  z.preprocess((given) => given ?? {}, z.record(z.string(), value));
const option = <T extends z.ZodType>(type: T) =>
  z.preprocess(
    (value) => (typeof value === 'symbol' && NULL.test(value.description ?? '') ? null : value),
    type.nullish(),
  );
const texts = list(name);

const refresh = z.looseObject({
  strategy: text,
  token_url: text,
  scopes: texts,
  refresh_before_seconds: z.int().default(0),
  max_lifetime_seconds: z.int().default(0),
  material: list(z.looseObject({ name, description: text, required: flag, secret: flag })),
  additional_outputs: list(z.looseObject({ output: name, credential: name })),
});

const tokenGrant = z.looseObject({
  token_endpoint: name,
  audience: text,
  jwt_svid_audience: text,
  client_assertion_type: text,
  scopes: texts,
  cache_ttl_seconds: z.int().default(0),
  audience_overrides: list(
    z.looseObject({ host: text, port: number, path: text, audience: name, scopes: texts }),
  ),
});

const credential = z.looseObject({
  name,
  description: text,
  env_vars: texts,
  required: flag,
  auth_style: text,
  header_name: text,
  query_param: text,
  path_template: text,
  refresh: option(refresh),
  token_grant: option(tokenGrant),
});

const matcher = z.union([
  z.string().transform((glob) => ({ glob, any: [] as string[] })),
  z.looseObject({ glob: z.string().default(''), any: list(z.string()) }),
]);
const matchers = map(matcher);

const rule = z.looseObject({
  method: text,
  path: text,
  command: text,
  query: matchers,
  operation_type: text,
  operation_name: text,
  fields: texts,
  params: matchers,
  tool: option(matcher),
});

const endpoint = z.looseObject({
  host: name,
  port: number,
  ports: list(z.int().min(0).max(4294967295)),
  protocol: text,
  tls: text,
  access: text,
  enforcement: text,
  rules: option(z.array(z.preprocess((value) => value ?? {}, z.looseObject({ allow: option(rule) })))),
  deny_rules: option(z.array(rule)),
  allowed_ips: texts,
  allow_encoded_slash: flag,
  websocket_credential_rewrite: flag,
  request_body_credential_rewrite: flag,
  allow_uninspected_credentials: flag,
  persisted_queries: text,
  graphql_persisted_queries: map(
    z.looseObject({ operation_type: text, operation_name: text, fields: texts }),
  ),
  graphql_max_body_bytes: number,
  json_rpc_max_body_bytes: number,
  mcp: option(
    z.looseObject({
      strict_tool_names: option(z.boolean()),
      allow_all_known_mcp_methods: option(z.boolean()),
    }),
  ),
  path: text,
  credential_signing: text,
  signing_service: text,
  signing_region: text,
});

export const openShellProfileSchema = z.looseObject({
  id: name,
  resource_version: z.int().min(0).default(0),
  annotations: map(name),
  display_name: name.describe('a name for people'),
  description: text,
  category: text,
  credentials: list(credential),
  endpoints: list(endpoint),
  binaries: list(z.union([z.string(), z.looseObject({ path: z.string(), harness: flag })])),
  inference_capable: flag,
  discovery: z.preprocess((value) => value ?? {}, z.looseObject({ credentials: texts })),
  source: text,
  scope: text,
});

export type OpenShellProfile = z.infer<typeof openShellProfileSchema>;
export type OpenShellCredential = OpenShellProfile['credentials'][number];
export type OpenShellEndpoint = OpenShellProfile['endpoints'][number];
export type OpenShellRule = z.infer<typeof rule>;

/** Fields that are known, here and in 0.1.x; others are misspelt. */
export const KNOWN_FIELDS = {
  profile: [...Object.keys(openShellProfileSchema.shape), 'files'],
  credential: [...Object.keys(credential.shape), 'files', 'stable_placeholder'],
  endpoint: Object.keys(endpoint.shape),
} as const;
