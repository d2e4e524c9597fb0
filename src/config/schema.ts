/**
 * Shape of the files that an operator writes. Every `describe` is read three times: as the hint of an error
 * message, in the published JSON Schema, and by the next engineer. It says what to write. A rule is a pattern
 * where it can be one, and has a `meta` beside it where not: the JSON Schema must refuse what this refuses. A `title`
 * says what a field is for where its description says only how to write it.
 */
import { z } from 'zod';
import { DEFAULT_PROVIDERS_DIR, DEFAULT_SECRETS_ROOT, DEFAULT_SOCKET } from '../domain/default-paths.ts';
import { HOST_PATTERN } from '../domain/glob.ts';
import { UNMAPPED_UID } from '../domain/kubernetes.ts';
import { LOG_LEVELS } from '../domain/log-level.ts';
import {
  DNS_LABEL,
  DNS_SUBDOMAIN,
  ENVIRONMENT_NAME,
  ITEM_PATH,
  MAX_ITEM_PATH,
  MAX_KEY_BYTES,
  SECRET_KEY,
  SERVABLE_NAME,
} from '../domain/names.ts';

const GLOB = /^[-._a-zA-Z0-9*]+$/;
const LISTEN = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):([0-9]{1,5})$/;
const PORT_AT_END = /:0*(6553[0-5]|655[0-2]\d|65[0-4]\d{2}|6[0-4]\d{3}|[1-5]?\d{1,4})$/;
/** A Unix socket's address takes 107 bytes; the socket is bound under a slightly longer name first. */
const MAX_SOCKET_PATH_BYTES = 100;

/** Largest id that is a real user or group: 2^32-1 means "no change" to the kernel, 65534 "not mapped here". */
const id = (what: string) =>
  z.int().min(0).max(4294967294).describe(`a numeric ${what} id, for example 1000`);

const absolutePath = (description: string) =>
  z
    .string()
    .regex(/^\/(?!.*(^|\/)\.\.?(\/|$))[^\x00-\x1f]*$/, {
      error: 'must be an absolute path without ".", ".." or control characters in it',
    })
    .describe(description);

/** A Kubernetes namespace. */
export const namespaceName = z
  .string()
  .regex(DNS_LABEL, { error: 'is not a Kubernetes namespace name' })
  .describe('a Kubernetes namespace: lowercase letters, digits and "-", at most 63 characters');

/** Beside the name of a Secret. */
export const secretNamespace = namespaceName
  .optional()
  .meta({ title: "the namespace of the Secret, the sandbox's own unless set" });

export const secretName = z
  .string()
  .regex(DNS_SUBDOMAIN, { error: 'is not a Kubernetes Secret name' })
  .describe('the name of a Secret: lowercase letters, digits, "-" and ".", at most 253 characters');

export const secretKey = z
  .string()
  .regex(SECRET_KEY, { error: 'is not a key that a Secret can have' })
  .regex(/^(?!\.\.|\.$)/, { error: 'must not be "." or begin with ".."' })
  .describe('a key of the Secret: letters, digits, "-", "_" and ".", at most 253 characters');

export const itemPath = z
  .string()
  .max(MAX_ITEM_PATH)
  .regex(ITEM_PATH, { error: 'is not the path of a file below the Secret volume' })
  .describe('a key of the Secret, or the path that the volume\'s `items` give it, for example "db/password"');

export const environmentName = z
  .string()
  .max(MAX_KEY_BYTES)
  .regex(ENVIRONMENT_NAME, { error: 'is not an environment variable name' })
  .regex(SERVABLE_NAME, { error: 'is reserved: it reads as a revision or a handle inside a placeholder' })
  .describe('an environment variable name: letters, digits and "_", not beginning with a digit');

const listenAddress = z
  .string()
  .regex(LISTEN, { error: 'is not host:port' })
  .regex(PORT_AT_END, { error: 'has a port above 65535' })
  .describe('host:port with a numeric address, for example "[::]:8086", which is both IPv4 and IPv6');

const mode = z
  .string()
  .regex(/^0[0-7]{3}$/, { error: 'must be four octal digits in quotes, beginning with 0' })
  .regex(/[0246]{3}$/, { error: 'must not have an execute bit' })
  .describe('an octal mode in quotes, for example "0660" or "0666": the UID list is the fence, not the mode');

export const endpointSchema = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[^\s{}/:@]+$/, { error: 'must be a host name without braces, port or scheme' })
      .regex(HOST_PATTERN, {
        error: 'is no host pattern for OpenShell, which refuses every credential of the sandbox for one',
      })
      .describe('a host name without empty labels; "*" stands for any text within one label'),
    port: z.int().min(1).max(65535).default(443).describe('a TCP port from 1 to 65535; 443 unless set'),
    path: z
      .string()
      .max(1024)
      .regex(/^$|^\/[^\s?#{}]*$/, {
        error: 'must be empty or begin with "/", without query, fragment or braces',
      })
      .default('')
      .describe('empty or "/**" for any path, "/api/**" for /api and below, or a glob'),
    tls: z
      .boolean()
      .exactOptional()
      .describe('false if the destination speaks plain HTTP; unless set, true for every port but 80'),
  })
  .describe('a destination that the credentials may be sent to: {host, port, path, tls}');

export const keyGlobs = z
  .array(z.string().regex(/^[-._a-zA-Z0-9*/]+$/, { error: 'is not a key or glob' }))
  .default(['*'])
  .describe('a list of keys; "*" stands for any text');

const referenceRuleSchema = z
  .strictObject({
    namespace: secretNamespace,
    name: z
      .string()
      .regex(GLOB, { error: 'is not a name or glob' })
      .describe('a Secret name; "*" stands for any text'),
    keys: keyGlobs,
  })
  .describe('{namespace, name, keys}: Secrets that providers may refer to');

/** A Unix socket that we make. */
export const socketSchema = (path: string) =>
  z
    .strictObject({
      path: absolutePath(`the path of the socket, in a folder of its own, for example ${path}`)
        .regex(/[^/]$/, { error: 'is a folder: a name is missing at its end' })
        .regex(/^(?!(\/(var\/)?run|\/var|\/tmp|\/var\/tmp|\/dev\/shm|\/etc)?\/[^/]*$)/, {
          error:
            'must not be in a folder that other programs use: only a folder of its own can be hidden and locked',
        })
        .refine((text) => Buffer.byteLength(text) <= MAX_SOCKET_PATH_BYTES, {
          error: `is longer than the ${MAX_SOCKET_PATH_BYTES} bytes that leave room for a Unix socket address`,
        })
        .meta({ maxLength: MAX_SOCKET_PATH_BYTES })
        .default(path),
      mode: mode.default('0660'),
      gid: id('group')
        .optional()
        .meta({ title: 'the group that the socket is given to, one that the resolver is in' }),
    })
    .prefault({});

export const callerShape = {
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, { error: 'must be lowercase letters, digits and "-"' })
    .regex(/^(?!self$)/, { error: 'is the name that the resolver gives to its own UID' })
    .describe('a name for the audit, for example supervisor'),
  uid: id('user')
    .refine((uid) => uid !== UNMAPPED_UID, {
      error: '65534 means "not mapped in this user namespace": it is everybody and is always refused',
    })
    .meta({ title: 'the user that the peer runs as', not: { const: UNMAPPED_UID } }),
  gid: id('group').optional().meta({ title: 'a group that the peer must be in; any unless set' }),
  exe: absolutePath(
    'the path of the program that the peer must run; "*" stands for any text within one folder',
  ).optional(),
};

const callerSchema = z
  .strictObject({
    ...callerShape,
    providers: z
      .array(z.string().regex(GLOB, { error: 'is not a provider name or glob' }))
      .describe('a list of provider names; "*" stands for any text'),
  })
  .describe('{name, uid, gid, exe, providers}: who may ask, and for what');

const providerGlobs = (what: string) =>
  z
    .array(z.string().regex(GLOB, { error: 'is not a provider name or glob' }))
    .default([])
    .describe(`a list of provider names, "*" for any text: ${what}; none unless listed`);

/** What `secret-resolver egress` makes of a stock Envoy. */
const egressSchema = z
  .strictObject({
    listen: listenAddress
      .regex(/^(127\.|\[::1\])/, { error: "is not an address of the pod's own: others could use the proxy" })
      .default('127.0.0.1:15001')
      .describe('host:port on loopback where Envoy takes what the agent sends, for HTTPS_PROXY'),
    // Not in /run/secret-resolver: the kit mounts that read-only, and no runtime can make a mount point in it.
    directory: absolutePath("the folder of Envoy's configuration and of the kit's socket").default(
      '/run/secret-resolver-egress',
    ),
    caDirectory: absolutePath('the folder of ca.crt, which the agent trusts').default(
      '/run/secret-resolver-ca',
    ),
    trustedCa: absolutePath(
      "a file of PEM certificates in Envoy's container, by which servers are verified",
    ).default('/etc/ssl/certs/ca-certificates.crt'),
    unlisted: z
      .enum(['deny', 'tunnel'])
      .default('deny')
      .describe('what becomes of a destination that no provider lists: deny, or tunnel, as it is'),
    rewriteBodies: providerGlobs('placeholders in bodies of requests to their endpoints are replaced too'),
    redactResponses: providerGlobs('their values are taken out of the responses of their endpoints'),
  })
  .prefault({})
  .describe('{listen, directory, caDirectory, trustedCa, unlisted, …} of a stock Envoy as the supervisor');

export const configSchema = z
  .strictObject({
    sandbox: z
      .strictObject({
        id: z
          .string()
          .min(1)
          .max(253)
          .optional()
          .describe('the sandbox id; SECRET_RESOLVER_SANDBOX_ID unless set'),
        name: z
          .string()
          .min(1)
          .max(253)
          .optional()
          .describe('the sandbox name; SECRET_RESOLVER_SANDBOX_NAME unless set'),
        namespace: namespaceName
          .optional()
          .meta({ title: "the sandbox's namespace, SECRET_RESOLVER_SANDBOX_NAMESPACE unless set" }),
      })
      .default({})
      .describe('{id, name, namespace}; each from the downward API unless set'),
    secretsRoot: absolutePath('the folder below which each Secret is mounted at <namespace>/<name>').default(
      DEFAULT_SECRETS_ROOT,
    ),
    providersDir: absolutePath('the folder of the provider files').default(DEFAULT_PROVIDERS_DIR),
    profilesDir: absolutePath(
      'the folder of OpenShell provider profiles; needed only where a provider has a profile',
    ).optional(),
    socket: socketSchema(DEFAULT_SOCKET).describe(
      '{path, mode, gid} of the Unix socket; gid is a group of ours that the socket is given to',
    ),
    references: z
      .strictObject({
        allow: z
          .array(referenceRuleSchema)
          .optional()
          .describe(
            "a list of {namespace, name, keys}; without it every Secret of the sandbox's own namespace and no other",
          ),
      })
      .default({})
      .describe('{allow: [...]}: Secrets that providers may refer to'),
    callers: z
      .array(callerSchema)
      .default([])
      .describe('a list of {name, uid, gid, exe, providers}; nobody unless listed'),
    agent: z
      .strictObject({
        uid: id('user').default(1000).meta({ title: 'the user that the agent runs as' }),
        gid: id('group')
          .optional()
          .meta({ title: 'the group that the agent runs as, the number of uid unless set' }),
        present: z.boolean().default(true).describe('false where the pod has no agent; true unless set'),
      })
      .prefault({})
      .describe(
        '{uid, gid} of the agent, whom the boundary is against; {present: false} for a pod without one',
      ),
    health: z
      .strictObject({ listen: listenAddress })
      .optional()
      .describe('{listen: host:port} for GET /livez and /readyz, for example "[::]:8086"; off unless set'),
    metrics: z
      .strictObject({ listen: listenAddress })
      .optional()
      .describe('{listen: host:port} for GET /metrics; off unless set'),
    egress: egressSchema,
    log: z
      .strictObject({
        level: z
          .enum(LOG_LEVELS)
          .default('info')
          .describe(`one of ${LOG_LEVELS.join(', ')}`),
      })
      .prefault({})
      .describe('{level} of the log on stderr'),
    audit: z
      .strictObject({
        path: absolutePath('a file that audit records are appended to; stdout unless set').optional(),
      })
      .default({})
      .describe('{path} of the audit stream'),
    boundary: z
      .strictObject({
        warn: z
          .array(z.string().regex(/^[a-z0-9-]+$/, { error: 'is not the id of a check' }))
          .default([])
          .describe('ids of enforced checks that only warn; `secret-resolver check` lists the ids'),
        trusted: z
          .array(
            z.strictObject({
              uid: id('user').meta({ title: 'the user that the process runs as' }),
              exe: absolutePath(
                'the path of the program; "*" stands for any text within one folder',
              ).optional(),
            }),
          )
          .default([])
          .describe(
            'a list of {uid, exe}: processes of a shared PID namespace whose capabilities are accepted',
          ),
      })
      .prefault({})
      .describe('{warn, trusted}: exceptions from the isolation checks'),
  })
  .describe('Configuration of secret-resolver');

export type RawConfig = z.infer<typeof configSchema>;
