/**
 * What OpenShell's supervisor takes, as rules over names, bindings and sizes. Pure: no I/O, no clock.
 *
 * One binding that breaks a rule makes the supervisor drop every credential of the response. So each rule is
 * applied here first, and a credential that breaks one is refused alone.
 */
import { HOST_PATTERN } from '../../domain/glob.ts';
import { MAX_MESSAGE_BYTES, MAX_RESPONSE_BYTES } from '../../domain/limits.ts';
import { ENVIRONMENT_NAME, MAX_KEY_BYTES, UNSERVABLE_NAME } from '../../domain/names.ts';
import { encodedSize, type ServedCredential } from '../../snapshot/resolve.ts';
import { OPENSHELL_VALUE_BYTES } from '../../snapshot/value.ts';

/** Providers of a sandbox, and credentials of a provider. */
const MAX_PROVIDERS = 32;
const MAX_CREDENTIALS = 32;
const FORBIDDEN_BYTES = [0x00, 0x0a, 0x0d];

/** A rule that a credential breaks, and what it asks for, for a log. */
export interface Violation {
  readonly rule: string;
  readonly why: string;
}

export interface OpenShellRuleOptions {
  /**
   * What to do beyond a limit that OpenShell's gateway sets and its supervisor does not: bytes of a value,
   * providers, credentials of a provider. The other rules have no choice: the supervisor itself enforces them.
   */
  readonly overLimit: 'warn' | 'refuse';
}

export interface OpenShellVerdict {
  /** What may be sent, sorted by provider, then key. */
  readonly accepted: readonly ServedCredential[];
  readonly refused: readonly Judged[];
  /** Accepted anyway, because the operator wants a warning only. */
  readonly warned: readonly Judged[];
}

/** A credential and what it breaks. */
export interface Judged {
  readonly credential: ServedCredential;
  readonly violations: readonly Violation[];
}

/**
 * Sorts out what may be sent. Rules about one credential come first, so that one that is refused anyway takes no
 * place of another; then the limits of the set, in the order of provider and key: the same credentials always
 * give the same verdict, whatever order they come in.
 */
export function applyOpenShellRules(
  credentials: readonly ServedCredential[],
  options: OpenShellRuleOptions,
): OpenShellVerdict {
  const accepted: ServedCredential[] = [];
  const refused: Judged[] = [];
  const warned: Judged[] = [];
  const keys = Map.groupBy(credentials, ({ key }) => key);
  const handles = Map.groupBy(credentials, ({ handle }) => handle);
  const taken = new Map<string, number>();
  let bytes = 0;
  for (const credential of [...credentials].sort(byProviderThenKey)) {
    const violations = violationsOf(credential);
    if (keys.get(credential.key)?.length !== 1)
      violations.push({ rule: 'key-claimed-twice', why: 'another credential has the same name' });
    if (handles.get(credential.handle)?.length !== 1)
      violations.push({ rule: 'handle-claimed-twice', why: 'another credential has the same handle' });
    const beyond = violations.length === 0 ? limitsBrokenBy(credential, taken) : [];
    if (options.overLimit === 'refuse') violations.push(...beyond);
    const size = encodedSize(credential);
    if (violations.length === 0 && bytes + size > MAX_RESPONSE_BYTES) {
      const why = `the response would be larger than ${MAX_MESSAGE_BYTES} bytes`;
      violations.push({ rule: 'message-too-large', why });
    }
    if (violations.length > 0) {
      refused.push({ credential, violations });
      continue;
    }
    taken.set(credential.provider, (taken.get(credential.provider) ?? 0) + 1);
    bytes += size;
    accepted.push(credential);
    if (beyond.length > 0) warned.push({ credential, violations: beyond });
  }
  return { accepted, refused, warned };
}

/** The limits of OpenShell's gateway that a credential exceeds, `taken` being what each provider has so far. */
function limitsBrokenBy(credential: ServedCredential, taken: ReadonlyMap<string, number>): Violation[] {
  const { byteLength } = credential.value;
  const violations: Violation[] = [];
  const ofProvider = taken.get(credential.provider) ?? 0;
  if (ofProvider === 0 && taken.size >= MAX_PROVIDERS) {
    const why = `OpenShell takes ${MAX_PROVIDERS} providers a sandbox`;
    violations.push({ rule: 'too-many-providers', why });
  } else if (ofProvider >= MAX_CREDENTIALS) {
    const why = `OpenShell takes ${MAX_CREDENTIALS} credentials a provider`;
    violations.push({ rule: 'too-many-credentials', why });
  }
  if (byteLength > OPENSHELL_VALUE_BYTES) {
    const why = `the value has ${byteLength} bytes; OpenShell takes ${OPENSHELL_VALUE_BYTES}`;
    violations.push({ rule: 'value-too-long', why });
  }
  return violations;
}

/** The supervisor's rules that a credential breaks by itself, whatever else is sent. */
function violationsOf(credential: ServedCredential): Violation[] {
  const { provider, key, identity, handle, endpoints, expiresAtMs, value } = credential;
  const violations: Violation[] = [];
  const breaks = (rule: string, why: string) => violations.push({ rule, why });
  const keyBytes = Buffer.byteLength(key);
  if (!ENVIRONMENT_NAME.test(key)) breaks('key-not-a-name', 'the name is not an environment variable name');
  if (UNSERVABLE_NAME.test(key))
    breaks('key-reserved', 'the name reads as a revision or a handle inside a placeholder');
  if (keyBytes > MAX_KEY_BYTES)
    breaks('key-too-long', `the name has ${keyBytes} bytes; OpenShell takes ${MAX_KEY_BYTES}`);
  if (provider === '' || identity !== `${provider}:${key}`)
    breaks('identity-not-provider-and-key', 'the identity is not <provider>:<key>');
  // The supervisor takes an empty handle too, and makes placeholders with revisions then: they go stale with
  // each rotation, which is what this resolver exists to prevent.
  if (!/^[0-9a-f]{64}$/.test(handle))
    breaks('handle-not-64-hex', 'the handle is not 64 lowercase hexadecimal digits');
  if (endpoints.length === 0) breaks('no-endpoint', 'the credential is bound to no endpoint');
  endpoints.forEach(({ host, port, path }, index) => {
    const fault = (rule: string, why: string) => breaks(rule, `endpoint ${index}: ${why}`);
    if (!isHostPattern(host))
      fault('endpoint-host', 'the host is not a name with a glob in each label and without braces');
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      fault('endpoint-port', 'the port is not from 1 to 65535');
    if (!/^$|^\/[^\s?#{}]*$/.test(path))
      fault('endpoint-path', 'the path is neither empty nor a path or glob that begins with "/"');
  });
  // 0 means "no end" on the wire; a credential that has ended must not read as one that never does.
  if (expiresAtMs !== undefined && !(Number.isSafeInteger(expiresAtMs) && expiresAtMs > 0))
    breaks('expiry-not-positive', 'the expiry is not a positive number of milliseconds');
  const bytes = value.reveal();
  if (bytes.byteLength === 0) breaks('value-empty', 'the value is empty');
  if (FORBIDDEN_BYTES.some((byte) => bytes.includes(byte)))
    breaks('value-forbidden-byte', 'the value holds CR, LF or NUL');
  return violations;
}

function isHostPattern(host: string): boolean {
  return host.length <= 253 && /^[^\s{}/:@#\\]+$/.test(host) && HOST_PATTERN.test(host);
}

function byProviderThenKey(a: ServedCredential, b: ServedCredential): number {
  if (a.provider !== b.provider) return a.provider < b.provider ? -1 : 1;
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
