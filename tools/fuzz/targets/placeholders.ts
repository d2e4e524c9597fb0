/** Any request of an agent, through the PlaceholderResolver. */
import type { CredentialEndpoint } from '../../../src/client/environment.ts';
import { formatPlaceholder, parsePlaceholder } from '../../../src/client/placeholder.ts';
import { decodeFully, hasMarker, splitAtPlaceholders } from '../../../src/client/placeholder-marker.ts';
import { redactPlaceholders, redactTarget } from '../../../src/client/placeholder-redact.ts';
import type { AgentRequest } from '../../../src/client/placeholder-request.ts';
import { PlaceholderResolver } from '../../../src/client/placeholder-resolver.ts';
import { handlePlaceholder, snapshot } from '../../../test/client/placeholder-fixtures.ts';
import { everyReading, simplyMatches } from '../../../test/client/placeholder-readings.ts';
import { Bytes } from '../bytes.ts';
import { Planted } from '../planted.ts';
import { must, type Target } from '../target.ts';

const NOW = 1_800_000_000_000;

const ENDPOINTS: Readonly<Record<string, readonly CredentialEndpoint[]>> = {
  ALPHA: [{ host: 'a.example.com', port: 443, path: '' }],
  BETA: [
    { host: '*.example.com', port: 443, path: '/api/**' },
    { host: '*.b.example.com', port: 8443, path: '' },
  ],
  GAMMA: [],
  DELTA: [{ host: 'b.example.com', port: 80, path: '/x/*' }],
  ENDED: [{ host: 'a.example.com', port: 443, path: '' }],
};
const KEYS = Object.keys(ENDPOINTS);
const HOSTS = [
  'a.example.com',
  'b.example.com',
  'EU.b.example.com',
  'evil.example.net',
  'example.com',
  '',
] as const;
const PORTS = [443, 80, 8443, 0] as const;
const TYPES = [
  'application/json',
  'text/plain; charset=utf-8',
  'application/x-www-form-urlencoded',
  'application/problem+json',
  'image/png',
  'text/plain;charset="latin1"',
] as const;
const ENCODINGS = [undefined, 'gzip', 'identity', 'deflate, br', 'zstd', 'x'] as const;
/** Pieces of an input: where to, and how; target, header, header, body. */
const SEPARATOR = 0x1e;

const handles = [...KEYS, 'NOBODY'].map(handlePlaceholder);
const words = [
  ...handles,
  ...handles.map((handle) => handle.replace('openshell:resolve:env:', 'xoxb-OPENSHELL-RESOLVE-ENV-')),
  ...handles.map((handle) => Buffer.from(`user:${handle}`).toString('base64')),
  ...handles.slice(0, 2).map((handle) => handle.replaceAll(':', '%3a')),
  ...handles.slice(0, 2).map((handle) => handle.replaceAll('o', '\\u006f')),
  ...KEYS.map((key) => `openshell:resolve:env:v7_${key}`),
  ...['openshell:resolve:env:', 'OPENSHELL-RESOLVE-ENV-', 'openshell:resolve:env:v6_ALPHA', 'v7_', '_ALPHA'],
  ...[
    '%6f',
    '%4F',
    '%253a',
    '%25',
    '%2',
    '\\u003a',
    '\\u',
    '\\',
    '/api/',
    '/x/',
    '/../',
    '%2e%2e',
    ';',
    '//',
  ],
  ...[
    'Basic ',
    'Bearer ',
    'basic\t',
    '?t=',
    '&',
    '=',
    '"',
    '..',
    '.',
    '\u001e',
    '\r\n',
    '\0',
    'ü',
    '\ud83d\ude00',
  ],
];
const input = (where: number[], ...parts: string[]) =>
  Buffer.concat([Buffer.from(where), Buffer.from(parts.join('\u001e'))]);

/** What a test may replace. */
export interface Subject {
  readonly rewrite: (
    resolver: PlaceholderResolver,
    ...request: Parameters<PlaceholderResolver['rewriteRequest']>
  ) => ReturnType<PlaceholderResolver['rewriteRequest']>;
}

export const placeholders: Target<Subject> = {
  name: 'placeholders',
  covers: ['src/client/placeholder', 'src/domain/glob.ts', 'src/domain/names.ts'],
  maxBytes: 32 * 1024,
  maxCpuMs: 400,
  words,
  seeds: [
    input([0, 0, 0, 0, 1], '/api/v4', `Bearer ${handles[0]}`, 'x', `{"token":"${handles[0]}"}`),
    input([1, 0, 2, 0, 1], `/api/${handles[1]}?t=${handles[1]}`, 'y', 'x', `a=${handles[1]}`),
    input(
      [2, 2, 1, 0, 1],
      '/',
      `Basic ${Buffer.from(`u:${handles[1]}`).toString('base64')}`,
      '',
      `${handles[1]}`,
    ),
    input([1, 1, 0, 0, 0], `/x/${handles[3]}`, 'plain', 'Basic Og==', 'body'),
    input([3, 0, 0, 0, 1], '/', `Bearer ${handles[0]}`, handles[1] ?? '', `{"token":"${handles[0]}"}`),
    input([0, 0, 0, 1, 0], '/', 'a', 'b', 'c'),
  ],

  async open(subject = {}) {
    const planted = new Map(KEYS.map((key) => [key, new Planted()]));
    const environment = snapshot(
      KEYS.map((key) => ({
        key,
        value: planted.get(key)?.secret ?? '',
        endpoints: ENDPOINTS[key] ?? [],
        ...(key === 'ENDED' ? { expiresAtMs: NOW } : {}),
      })),
    );
    const resolver = new PlaceholderResolver();
    const rewrite = (request: AgentRequest) =>
      subject.rewrite?.(resolver, request, NOW) ?? resolver.rewriteRequest(request, NOW);
    const withoutSecret = (text: string, what: string) => {
      for (const each of planted.values()) each.notIn(text, what);
    };
    return {
      run: (bytes) => {
        const request = requestOf(bytes);
        resolver.update(environment);
        const result = rewrite(request);
        const readings = everyReading(result.kind === 'rewritten' ? result.value : result);
        for (const [key, { secret }] of planted) {
          if (!readings.some((text) => text.includes(secret))) continue;
          must(result.kind === 'rewritten' && result.keys.includes(key), 'a value leaves that is not named');
          must(key !== 'ENDED', 'a value leaves after its end');
          const bound = (ENDPOINTS[key] ?? []).some((endpoint) => simplyMatches(endpoint, request));
          must(bound, 'a value leaves to an endpoint that it is not bound to');
        }
        if (result.kind === 'rewritten') {
          const { body, ...rest } = result.value;
          const searched = request.rewriteBody ? readings : everyReading(rest);
          must(!searched.some(hasPlainMarker), 'a marker leaves');
          must(request.rewriteBody || body === request.body, 'a body that is not opted in was changed');
          withoutSecret(result.redacted, 'the redacted request');
          must(!hasMarker(result.redacted), 'the redacted request holds a marker');
          // Values come in with placeholders alone.
          if (result.keys.length === 0) {
            must(result.value.target === request.target, 'a target without placeholders was changed');
            const same = result.value.headers.every(
              ([, value], index) => value === request.headers[index]?.[1],
            );
            must(same, 'a header without placeholders was changed');
            must(result.value.body === request.body, 'a body without placeholders was changed');
          }
          agrees(resolver, request, result.value);
        } else {
          withoutSecret(JSON.stringify(result), 'a refusal');
          must(result.key === undefined || parsesAsKey(result.key), 'a refusal names what is no credential');
        }
        for (const text of [redactTarget(request.target), redactPlaceholders(request.headers[1]?.[1] ?? '')])
          must(!hasMarker(text), 'a redacted text holds a marker');
        textHolds(bytes.toString('utf8'));
        textHolds(request.target);

        resolver.update(undefined);
        const withdrawn = rewrite(request);
        for (const text of everyReading(withdrawn))
          withoutSecret(text, 'a request after everything was withdrawn');
        if (withdrawn.kind === 'rewritten')
          must(withdrawn.keys.length === 0, 'a withdrawn credential is named');
      },
      [Symbol.asyncDispose]: async () => {},
    };
  },
};

function requestOf(bytes: Buffer): AgentRequest {
  const choices = new Bytes(bytes);
  const host = choices.pick(HOSTS);
  const port = choices.pick(PORTS);
  const type = choices.pick(TYPES);
  const encoding = choices.pick(ENCODINGS);
  const flags = choices.number();
  const rest = choices.rest();
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = rest.indexOf(SEPARATOR); at >= 0 && parts.length < 3; at = rest.indexOf(SEPARATOR, from)) {
    parts.push(rest.subarray(from, at));
    from = at + 1;
  }
  parts.push(rest.subarray(from));
  const [target, first, second, body] = parts;
  return {
    method: 'POST',
    host,
    port,
    tls: (flags & 2) === 0,
    target: `/${target?.toString('utf8').replace(/^\//, '') ?? ''}`,
    headers: [
      ['Content-Type', type],
      ['Authorization', first?.toString('latin1') ?? ''],
      ['X-Token', second?.toString('latin1') ?? ''],
      ...(encoding === undefined ? [] : [['Content-Encoding', encoding] as const]),
    ],
    body,
    rewriteBody: (flags & 1) === 1,
  };
}

/** The parts, rewritten one by one, are what the whole is. */
function agrees(
  resolver: PlaceholderResolver,
  request: AgentRequest,
  whole: {
    readonly target: string;
    readonly headers: AgentRequest['headers'];
    readonly body: Buffer | undefined;
  },
): void {
  const target = resolver.rewriteTarget(request.target, request, NOW);
  must(
    target.kind === 'rewritten' && target.value === whole.target,
    'the target alone is rewritten differently',
  );
  const path = request.target.split('?')[0] ?? '';
  if (hasMarker(path)) return;
  const destination = { host: request.host, port: request.port, tls: request.tls, path };
  request.headers.forEach(([, value], index) => {
    const header = resolver.rewriteHeader(value, destination, NOW);
    const same = header.kind === 'rewritten' && header.value === whole.headers[index]?.[1];
    must(same, 'a header alone is rewritten differently');
  });
}

function textHolds(text: string): void {
  const parts = splitAtPlaceholders(text);
  must(parts.map((part) => part.text).join('') === text, 'a text is not the sum of its parts');
  for (const part of parts) {
    if (part.kind === 'plain') {
      must(!hasPlainMarker(part.text), 'a plain part holds a marker');
      continue;
    }
    const placeholder = parsePlaceholder(part.text);
    if (placeholder !== undefined)
      must(formatPlaceholder(placeholder) === part.text, 'a placeholder does not read back');
  }
  const decoded = decodeFully(text);
  must(!/%[0-9a-fA-F]{2}/.test(decoded), 'a text is not decoded to the end');
  must(!hasPlainMarker(decoded) || hasMarker(text), 'an encoded marker is overlooked');
}

function hasPlainMarker(text: string): boolean {
  return text.includes('openshell:resolve:env:') || text.includes('OPENSHELL-RESOLVE-ENV-');
}

function parsesAsKey(key: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(key);
}
