/**
 * The shape that OpenShell reads a profile by. It passes over fields that it does not know, and refuses a whole profile
 * for one field of another type. Versions 0.0.x; fields that `provider profile export` and 0.1.x write are known too.
 */
import { z } from 'zod';

/** Its YAML reader takes every scalar for a text, but where a field may have one of two types. What a `default` and a type of its own leave is required. */
const name = z.preprocess((value) => {
  if (value === null) return '';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
}, z.string());
const text = name.default('');
const flag = z.boolean().default(false);
const number = z.int().min(0).max(4294967295).default(0);
const texts = z.array(name).default([]);

const refresh = z.looseObject({
  strategy: text,
  token_url: text,
  scopes: texts,
  refresh_before_seconds: z.int().default(0),
  max_lifetime_seconds: z.int().default(0),
  material: z.array(z.looseObject({ name, description: text, required: flag, secret: flag })).default([]),
  additional_outputs: z.array(z.looseObject({ output: name, credential: name })).default([]),
});

const tokenGrant = z.looseObject({
  token_endpoint: name,
  audience: text,
  jwt_svid_audience: text,
  client_assertion_type: text,
  scopes: texts,
  cache_ttl_seconds: z.int().default(0),
  audience_overrides: z
    .array(z.looseObject({ host: text, port: number, path: text, audience: name, scopes: texts }))
    .default([]),
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
  refresh: refresh.nullish(),
  token_grant: tokenGrant.nullish(),
});

const matcher = z.union([
  z.string().transform((glob) => ({ glob, any: [] as string[] })),
  z.looseObject({ glob: z.string().default(''), any: z.array(z.string()).default([]) }),
]);
const matchers = z.record(z.string(), matcher).default({});

const rule = z.looseObject({
  method: text,
  path: text,
  command: text,
  query: matchers,
  operation_type: text,
  operation_name: text,
  fields: texts,
  params: matchers,
  tool: matcher.nullish(),
});

const endpoint = z.looseObject({
  host: name,
  port: number,
  ports: z.array(z.int().min(0).max(4294967295)).default([]),
  protocol: text,
  tls: text,
  access: text,
  enforcement: text,
  rules: z.array(z.looseObject({ allow: rule.nullish() })).nullish(),
  deny_rules: z.array(rule).nullish(),
  allowed_ips: texts,
  allow_encoded_slash: flag,
  websocket_credential_rewrite: flag,
  request_body_credential_rewrite: flag,
  allow_uninspected_credentials: flag,
  persisted_queries: text,
  graphql_persisted_queries: z
    .record(z.string(), z.looseObject({ operation_type: text, operation_name: text, fields: texts }))
    .default({}),
  graphql_max_body_bytes: number,
  json_rpc_max_body_bytes: number,
  mcp: z
    .looseObject({
      strict_tool_names: z.boolean().nullish(),
      allow_all_known_mcp_methods: z.boolean().nullish(),
    })
    .nullish(),
  path: text,
  credential_signing: text,
  signing_service: text,
  signing_region: text,
});

export const openShellProfileSchema = z.looseObject({
  id: name,
  resource_version: z.int().min(0).default(0),
  annotations: z.record(z.string(), name).default({}),
  display_name: name.describe('a name for people'),
  description: text,
  category: text,
  credentials: z.array(credential).default([]),
  endpoints: z.array(endpoint).default([]),
  binaries: z.array(z.union([z.string(), z.looseObject({ path: z.string(), harness: flag })])).default([]),
  inference_capable: flag,
  discovery: z.looseObject({ credentials: texts }).default({ credentials: [] }),
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
