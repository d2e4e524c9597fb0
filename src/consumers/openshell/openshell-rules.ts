/**
 * What OpenShell's supervisor takes, as rules over names, bindings and sizes. Pure: no I/O, no clock, no values
 * (a candidate says how long its value is and whether it holds a forbidden byte).
 *
 * One binding that breaks a rule makes the supervisor drop every credential of the response. So each rule is
 * applied here first, and a credential that breaks one is refused alone.
 */
import { HOST_PATTERN } from '../../domain/glob.ts';
import { ENVIRONMENT_NAME, MAX_KEY_BYTES, UNSERVABLE_NAME } from '../../domain/names.ts';

/** OpenShell's own limits, and the message size of the tonic client that its supervisor is built with. */
export const OPENSHELL_LIMITS = {
  /** Providers of a sandbox. */
  providers: 32,
  /** Credentials of a provider. */
  credentialsOfProvider: 32,
  /** Bytes of an environment name. */
  keyBytes: MAX_KEY_BYTES,
  /** Bytes of a value. The gateway refuses longer ones when they are stored; the supervisor takes them. */
  valueBytes: 8_192,
  /** Bytes of a whole response. */
  messageBytes: 4 * 1024 * 1024,
} as const;

/** Bytes of a response that are kept free for what is not a credential: refusals and the sandbox's name. */
export const RESERVED_BYTES = 256 * 1024;

interface OpenShellEndpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** A credential that is to be sent, without its value. */
export interface OpenShellCandidate {
  readonly provider: string;
  /** Environment name. */
  readonly key: string;
  readonly identity: string;
  readonly handle: string;
  readonly endpoints: readonly OpenShellEndpoint[];
  /** Unix milliseconds; undefined where there is no known end. */
  readonly expiresAtMs: number | undefined;
  readonly valueBytes: number;
  /** Whether the value holds CR, LF or NUL. */
  readonly hasForbiddenByte: boolean;
}

/** A rule that a candidate breaks. */
export type Violation =
  | { readonly rule: 'key-not-a-name' }
  | { readonly rule: 'key-reserved' }
  | { readonly rule: 'key-too-long'; readonly bytes: number }
  | { readonly rule: 'key-claimed-twice' }
  | { readonly rule: 'identity-not-provider-and-key' }
  | { readonly rule: 'handle-not-64-hex' }
  | { readonly rule: 'handle-claimed-twice' }
  | { readonly rule: 'no-endpoint' }
  | { readonly rule: 'endpoint-host'; readonly index: number }
  | { readonly rule: 'endpoint-port'; readonly index: number }
  | { readonly rule: 'endpoint-path'; readonly index: number }
  | { readonly rule: 'expiry-not-positive' }
  | { readonly rule: 'value-empty' }
  | { readonly rule: 'value-forbidden-byte' }
  | { readonly rule: 'value-too-long'; readonly bytes: number }
  | { readonly rule: 'too-many-providers' }
  | { readonly rule: 'too-many-credentials' }
  | { readonly rule: 'message-too-large' };

export interface OpenShellRuleOptions {
  /**
   * What to do beyond a limit that OpenShell's gateway sets and its supervisor does not: bytes of a value,
   * providers, credentials of a provider. The other rules have no choice: the supervisor itself enforces them.
   */
  readonly overLimit: 'warn' | 'refuse';
}

export interface OpenShellVerdict<T extends OpenShellCandidate> {
  /** What may be sent, sorted by provider, then key. */
  readonly accepted: readonly T[];
  readonly refused: readonly Judged<T>[];
  /** Accepted anyway, because the operator wants a warning only. */
  readonly warned: readonly Judged<T>[];
}

/** A candidate and what it breaks. */
export interface Judged<T extends OpenShellCandidate> {
  readonly candidate: T;
  readonly violations: readonly Violation[];
}

/**
 * Sorts out what may be sent. Rules about one credential come first, so that one that is refused anyway takes no
 * place of another; then the limits of the set, in the order of provider and key: the same candidates always
 * give the same verdict, whatever order they come in.
 */
export function applyOpenShellRules<T extends OpenShellCandidate>(
  candidates: readonly T[],
  options: OpenShellRuleOptions,
): OpenShellVerdict<T> {
  const accepted: T[] = [];
  const refused: Judged<T>[] = [];
  const warned: Judged<T>[] = [];
  const keys = countBy(candidates, ({ key }) => key);
  const handles = countBy(candidates, ({ handle }) => handle);
  const taken = new Map<string, number>();
  let bytes = RESERVED_BYTES;
  for (const candidate of [...candidates].sort(byProviderThenKey)) {
    const violations = violationsOf(candidate);
    if ((keys.get(candidate.key) ?? 0) > 1) violations.push({ rule: 'key-claimed-twice' });
    if ((handles.get(candidate.handle) ?? 0) > 1) violations.push({ rule: 'handle-claimed-twice' });
    const beyond = violations.length === 0 ? limitsBrokenBy(candidate, taken) : [];
    if (options.overLimit === 'refuse') violations.push(...beyond);
    const size = encodedBytes(candidate);
    if (violations.length === 0 && bytes + size > OPENSHELL_LIMITS.messageBytes) {
      violations.push({ rule: 'message-too-large' });
    }
    if (violations.length > 0) {
      refused.push({ candidate, violations });
      continue;
    }
    taken.set(candidate.provider, (taken.get(candidate.provider) ?? 0) + 1);
    bytes += size;
    accepted.push(candidate);
    if (beyond.length > 0) warned.push({ candidate, violations: beyond });
  }
  return { accepted, refused, warned };
}

/** The limits of OpenShell's gateway that a candidate exceeds, `taken` being what each provider has so far. */
function limitsBrokenBy(candidate: OpenShellCandidate, taken: ReadonlyMap<string, number>): Violation[] {
  const { valueBytes } = candidate;
  const violations: Violation[] = [];
  const ofProvider = taken.get(candidate.provider) ?? 0;
  if (ofProvider === 0 && taken.size >= OPENSHELL_LIMITS.providers) {
    violations.push({ rule: 'too-many-providers' });
  } else if (ofProvider >= OPENSHELL_LIMITS.credentialsOfProvider) {
    violations.push({ rule: 'too-many-credentials' });
  }
  if (valueBytes > OPENSHELL_LIMITS.valueBytes) {
    violations.push({ rule: 'value-too-long', bytes: valueBytes });
  }
  return violations;
}

/** The supervisor's rules that a candidate breaks by itself, whatever else is sent. */
export function violationsOf(candidate: OpenShellCandidate): Violation[] {
  const { provider, key, identity, handle, endpoints, expiresAtMs, valueBytes } = candidate;
  const violations: Violation[] = [];
  const keyBytes = Buffer.byteLength(key);
  if (!ENVIRONMENT_NAME.test(key)) violations.push({ rule: 'key-not-a-name' });
  if (UNSERVABLE_NAME.test(key)) violations.push({ rule: 'key-reserved' });
  if (keyBytes > OPENSHELL_LIMITS.keyBytes) violations.push({ rule: 'key-too-long', bytes: keyBytes });
  if (provider === '' || identity !== `${provider}:${key}`) {
    violations.push({ rule: 'identity-not-provider-and-key' });
  }
  // The supervisor takes an empty handle too, and makes placeholders with revisions then: they go stale with
  // each rotation, which is what this resolver exists to prevent.
  if (!/^[0-9a-f]{64}$/.test(handle)) violations.push({ rule: 'handle-not-64-hex' });
  if (endpoints.length === 0) violations.push({ rule: 'no-endpoint' });
  endpoints.forEach(({ host, port, path }, index) => {
    if (!isHostPattern(host)) violations.push({ rule: 'endpoint-host', index });
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      violations.push({ rule: 'endpoint-port', index });
    if (!/^$|^\/[^\s?#{}]*$/.test(path)) violations.push({ rule: 'endpoint-path', index });
  });
  // 0 means "no end" on the wire; a credential that has ended must not read as one that never does.
  if (expiresAtMs !== undefined && !(Number.isSafeInteger(expiresAtMs) && expiresAtMs > 0)) {
    violations.push({ rule: 'expiry-not-positive' });
  }
  if (valueBytes === 0) violations.push({ rule: 'value-empty' });
  if (candidate.hasForbiddenByte) violations.push({ rule: 'value-forbidden-byte' });
  return violations;
}

/** Whether a revision may be sent: 0 makes the supervisor hand out placeholders that bound credentials refuse. */
export function isServableRevision(revision: bigint): boolean {
  return revision > 0n && revision < 2n ** 64n;
}

/** What a rule asks for, for a log. Exhaustive: a new rule without words does not compile. */
export function explainViolation(violation: Violation): string {
  switch (violation.rule) {
    case 'key-not-a-name':
      return 'the name is not an environment variable name';
    case 'key-reserved':
      return 'the name reads as a revision or a handle inside a placeholder';
    case 'key-too-long':
      return `the name has ${violation.bytes} bytes; OpenShell takes ${OPENSHELL_LIMITS.keyBytes}`;
    case 'key-claimed-twice':
      return 'another credential has the same name';
    case 'identity-not-provider-and-key':
      return 'the identity is not <provider>:<key>';
    case 'handle-not-64-hex':
      return 'the handle is not 64 lowercase hexadecimal digits';
    case 'handle-claimed-twice':
      return 'another credential has the same handle';
    case 'no-endpoint':
      return 'the credential is bound to no endpoint';
    case 'endpoint-host':
      return `endpoint ${violation.index}: the host is not a name with a glob in each label and without braces`;
    case 'endpoint-port':
      return `endpoint ${violation.index}: the port is not from 1 to 65535`;
    case 'endpoint-path':
      return `endpoint ${violation.index}: the path is neither empty nor a path or glob that begins with "/"`;
    case 'expiry-not-positive':
      return 'the expiry is not a positive number of milliseconds';
    case 'value-empty':
      return 'the value is empty';
    case 'value-forbidden-byte':
      return 'the value holds CR, LF or NUL';
    case 'value-too-long':
      return `the value has ${violation.bytes} bytes; OpenShell takes ${OPENSHELL_LIMITS.valueBytes}`;
    case 'too-many-providers':
      return `OpenShell takes ${OPENSHELL_LIMITS.providers} providers a sandbox`;
    case 'too-many-credentials':
      return `OpenShell takes ${OPENSHELL_LIMITS.credentialsOfProvider} credentials a provider`;
    case 'message-too-large':
      return `the response would be larger than ${OPENSHELL_LIMITS.messageBytes} bytes`;
  }
}

/** Bytes that a candidate adds to a response, never less than it does: fields 1, 3, 5 and 101. */
export function encodedBytes(candidate: OpenShellCandidate): number {
  const key = field(Buffer.byteLength(candidate.key));
  const endpoints = candidate.endpoints.reduce(
    (sum, { host, path }) =>
      // A port takes 4 bytes at most, its tag among them.
      sum + field(field(Buffer.byteLength(host)) + field(Buffer.byteLength(path)) + 4),
    0,
  );
  const binding =
    endpoints + field(Buffer.byteLength(candidate.identity)) + field(Buffer.byteLength(candidate.handle));
  const expiry = candidate.expiresAtMs === undefined ? 0 : field(key + 11);
  return (
    field(key + field(candidate.valueBytes)) +
    expiry +
    field(key + field(binding)) +
    field(key + field(Buffer.byteLength(candidate.provider)))
  );
}

/** Bytes of a field with a length in front: a tag of up to two bytes, a length of up to four. */
function field(contentBytes: number): number {
  return contentBytes + 6;
}

function isHostPattern(host: string): boolean {
  return host.length <= 253 && /^[^\s{}/:@#\\]+$/.test(host) && HOST_PATTERN.test(host);
}

function countBy<T>(items: readonly T[], of: (item: T) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(of(item), (counts.get(of(item)) ?? 0) + 1);
  return counts;
}

function byProviderThenKey(a: OpenShellCandidate, b: OpenShellCandidate): number {
  if (a.provider !== b.provider) return a.provider < b.provider ? -1 : 1;
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
