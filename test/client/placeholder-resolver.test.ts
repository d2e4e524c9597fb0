/** Every form of a placeholder in every place of a request, and each refusal. */
import { inspect } from 'node:util';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MAX_DECOMPRESSED_BYTES } from '../../src/client/placeholder-body.ts';
import {
  type Refusal,
  type RefusalDetail,
  type Rewriting,
  statusOf,
} from '../../src/client/placeholder-refusal.ts';
import type { AgentRequest } from '../../src/client/placeholder-request.ts';
import { MAX_PLACEHOLDERS, PlaceholderResolver } from '../../src/client/placeholder-resolver.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { type CredentialOptions, handleOf, handlePlaceholder, snapshot } from './placeholder-fixtures.ts';

const NOW = 1_800_000_000_000;
const HERE = { host: 'gitlab.example.com', port: 443, tls: true, path: '/api' };
const ELSEWHERE = { host: 'evil.example.net', port: 443, tls: true, path: '/api' };

const secret = newSecret();
const HANDLE = handlePlaceholder('TOKEN');
const REVISION = 'openshell:resolve:env:v7_TOKEN';
const ALIAS_HANDLE = `xoxb-OPENSHELL-RESOLVE-ENV-s${handleOf('TOKEN')}_TOKEN`;
const ALIAS_REVISION = 'xoxb-OPENSHELL-RESOLVE-ENV-v7_TOKEN';

const RESOLVING: readonly (readonly [string, string])[] = [
  ['handle', HANDLE],
  ['revision', REVISION],
  ['alias of a handle', ALIAS_HANDLE],
  ['alias of a revision', ALIAS_REVISION],
];

/** Placeholders that do not resolve: form or name, and why. */
const REFUSED: readonly (readonly [string, string, RefusalDetail, string | undefined])[] = [
  ['canonical', 'openshell:resolve:env:TOKEN', 'canonical-form', 'TOKEN'],
  ['alias of a canonical', 'xoxb-OPENSHELL-RESOLVE-ENV-TOKEN', 'canonical-form', 'TOKEN'],
  ['old revision', 'openshell:resolve:env:v6_TOKEN', 'stale-revision', 'TOKEN'],
  ['revision 0', 'openshell:resolve:env:v0_TOKEN', 'stale-revision', 'TOKEN'],
  ['alias of an old revision', 'xoxb-OPENSHELL-RESOLVE-ENV-v6_TOKEN', 'stale-revision', 'TOKEN'],
  ['wrong handle', `openshell:resolve:env:s${'0'.repeat(64)}_TOKEN`, 'wrong-handle', 'TOKEN'],
  [
    "another credential's handle",
    `openshell:resolve:env:s${handleOf('OTHER')}_TOKEN`,
    'wrong-handle',
    'TOKEN',
  ],
  ['unknown name', handlePlaceholder('NOBODY'), 'unknown-credential', 'NOBODY'],
  ['text behind the name', `${HANDLE}X`, 'unknown-credential', 'TOKENX'],
  ['a property of every object', handlePlaceholder('constructor'), 'unknown-credential', 'constructor'],
  ['a name that nothing can have', handlePlaceholder('__proto__'), 'malformed-placeholder', undefined],
  ['no name', 'openshell:resolve:env:', 'malformed-placeholder', undefined],
  [
    'alias without a prefix',
    `OPENSHELL-RESOLVE-ENV-s${handleOf('TOKEN')}_TOKEN`,
    'malformed-placeholder',
    undefined,
  ],
  ['alias that goes on', `${ALIAS_HANDLE}-x`, 'malformed-placeholder', undefined],
  ['expired', handlePlaceholder('EXPIRED'), 'expired', 'EXPIRED'],
  ['without an endpoint', handlePlaceholder('UNBOUND'), 'no-endpoint', 'UNBOUND'],
  ['value with LF', handlePlaceholder('LF'), 'control-character-in-value', 'LF'],
  ['value with CR', handlePlaceholder('CR'), 'control-character-in-value', 'CR'],
  ['value with NUL', handlePlaceholder('NUL'), 'control-character-in-value', 'NUL'],
  ['empty value', handlePlaceholder('EMPTY'), 'unusable-value', 'EMPTY'],
  ['value that is not UTF-8', handlePlaceholder('BINARY'), 'unusable-value', 'BINARY'],
  ['value that is a placeholder', handlePlaceholder('NESTED'), 'unresolved-marker', 'NESTED'],
];

const CREDENTIALS: readonly CredentialOptions[] = [
  { key: 'TOKEN', value: secret },
  { key: 'OTHER', value: newSecret() },
  { key: 'EXPIRED', value: newSecret(), expiresAtMs: NOW },
  { key: 'LASTING', value: newSecret(), expiresAtMs: NOW + 1 },
  { key: 'UNBOUND', value: newSecret(), endpoints: [] },
  { key: 'LF', value: `${newSecret()}\nx-evil: 1` },
  { key: 'CR', value: `${newSecret()}\r` },
  { key: 'NUL', value: `${newSecret()}\0` },
  { key: 'TAB', value: `${newSecret()}\tx` },
  { key: 'BELL', value: `${newSecret()}\u0007` },
  { key: 'EMPTY', value: '' },
  { key: 'BINARY', value: registerSecret(Buffer.from([0xff, 0xfe, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46])) },
  { key: 'NESTED', value: 'openshell:resolve:env:TOKEN' },
  { key: 'SLASH', value: `${newSecret()}/x` },
  { key: 'BACKSLASH', value: `${newSecret()}\\x` },
  { key: 'DOTS', value: `${newSecret()}..` },
  { key: 'QUESTION', value: `${newSecret()}?x` },
  { key: 'HASH', value: `${newSecret()}#x` },
  { key: 'COLON', value: `123:${newSecret()}@x` },
  { key: 'DOT', value: '.' },
  { key: 'ENDS_IN_PREFIX', value: 'openshell:resolve:' },
  { key: 'ODD', value: `${newSecret()}"&=+ %41;ü!'()*` },
];

function resolver(): PlaceholderResolver {
  const made = new PlaceholderResolver();
  made.update(snapshot(CREDENTIALS));
  return made;
}

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');

/** Each place of a request: how an agent writes a placeholder there, and how the value must arrive. */
const PLACES: readonly {
  readonly name: string;
  readonly location: Refusal['location'];
  readonly rewrite: (token: string, to: typeof HERE) => Rewriting<string | Buffer>;
  readonly expected: (value: string) => string;
}[] = [
  {
    name: 'a header, whole',
    location: 'header',
    rewrite: (token, to) => resolver().rewriteHeader(token, to, NOW),
    expected: (value) => value,
  },
  {
    name: 'a header, <scheme> <token>',
    location: 'header',
    rewrite: (token, to) => resolver().rewriteHeader(`Bearer ${token}`, to, NOW),
    expected: (value) => `Bearer ${value}`,
  },
  {
    name: 'Basic, as the password',
    location: 'header',
    rewrite: (token, to) => resolver().rewriteHeader(`Basic ${base64(`oauth2:${token}`)}`, to, NOW),
    expected: (value) => `Basic ${base64(`oauth2:${value}`)}`,
  },
  {
    name: 'Basic, as the user name',
    location: 'header',
    rewrite: (token, to) => resolver().rewriteHeader(`basic  ${base64(`${token}:`)}`, to, NOW),
    expected: (value) => `basic  ${base64(`${value}:`)}`,
  },
  {
    name: 'a query value',
    location: 'query',
    rewrite: (token, to) => resolver().rewriteQuery(`a=%2f+&private_token=${token}&b`, to, NOW),
    expected: (value) => `a=%2f+&private_token=${encodeURIComponent(value)}&b`,
  },
  {
    name: 'a query value, percent-encoded',
    location: 'query',
    rewrite: (token, to) => resolver().rewriteQuery(`t=${encodeURIComponent(token)}`, to, NOW),
    expected: (value) => `t=${encodeURIComponent(value)}`,
  },
  {
    name: 'a query value, percent-encoded in lower case',
    location: 'query',
    rewrite: (token, to) =>
      resolver().rewriteQuery(`t=${token.replaceAll(':', '%3a').replace('o', '%6f')}`, to, NOW),
    expected: (value) => `t=${encodeURIComponent(value)}`,
  },
  {
    name: 'a path segment',
    location: 'path',
    rewrite: (token, to) => resolver().rewritePath(`/a%2Fb/${token}/c;d=1`, to, NOW),
    expected: (value) => `/a%2Fb/${encodeURIComponent(value)}/c;d=1`,
  },
  {
    name: 'within a path segment, percent-encoded',
    location: 'path',
    rewrite: (token, to) => resolver().rewritePath(`/p@${encodeURIComponent(token)}`, to, NOW),
    expected: (value) => `/p@${encodeURIComponent(value)}`,
  },
  {
    name: 'a JSON body',
    location: 'body',
    rewrite: (token, to) => body(JSON.stringify({ token: `x ${token} y` }), 'application/json', to),
    expected: (value) => JSON.stringify({ token: `x ${value} y` }),
  },
  {
    name: 'a form body',
    location: 'body',
    rewrite: (token, to) =>
      body(`grant=1&token=${encodeURIComponent(token)}`, 'application/x-www-form-urlencoded', to),
    expected: (value) => `grant=1&token=${encodeURIComponent(value)}`,
  },
  {
    name: 'a plain text body',
    location: 'body',
    rewrite: (token, to) => body(`token ${token}!`, 'text/plain; charset=UTF-8', to),
    expected: (value) => `token ${value}!`,
  },
];

function body(text: string, type: string, to = HERE): Rewriting<Buffer> {
  return resolver().rewriteBody(Buffer.from(text), { type, encoding: undefined, optedIn: true }, to, NOW);
}

function expectNoSecret(result: unknown): void {
  const shown = `${inspect(result, { depth: 9, showHidden: true })} ${JSON.stringify(result)}`;
  for (const { value, key } of CREDENTIALS) {
    if (value.length > 20 && key !== 'NESTED') expect(shown).not.toContain(value.toString());
  }
}

describe.each(PLACES)('$name', ({ rewrite, expected, location }) => {
  it.each(RESOLVING)('takes a %s', (_, token) => {
    const result = rewrite(token, HERE);
    if (result.kind !== 'rewritten') throw new Error(`refused: ${result.detail}`);
    expect(result.value.toString()).toBe(expected(secret));
    expect(result.keys).toEqual(['TOKEN']);
    expect(result.redacted).not.toContain(secret);
  });

  it.each(REFUSED)('refuses: %s', (_, token, detail, key) => {
    const result = rewrite(token, HERE);
    expect(result).toEqual({ kind: 'refused', reason: 'credential_unavailable', detail, location, key });
    expectNoSecret(result);
  });

  it('refuses an endpoint that the credential is not bound to', () => {
    const result = rewrite(HANDLE, ELSEWHERE);
    expect(result).toEqual({
      kind: 'refused',
      reason: 'credential_endpoint_mismatch',
      detail: 'wrong-endpoint',
      location,
      key: 'TOKEN',
    });
  });

  it('says nothing of an expiry to an endpoint that the credential is not bound to', () => {
    expect(rewrite(handlePlaceholder('EXPIRED'), ELSEWHERE)).toMatchObject({ detail: 'wrong-endpoint' });
  });

  it('takes a credential until the moment that it expires', () => {
    expect(rewrite(handlePlaceholder('LASTING'), HERE).kind).toBe('rewritten');
  });

  it('refuses a placeholder that is percent-encoded twice', () => {
    const twice = encodeURIComponent(encodeURIComponent(HANDLE));
    expect(rewrite(twice, HERE)).toMatchObject({ kind: 'refused', detail: 'unresolved-marker', location });
  });
});

describe('headers', () => {
  const header = (value: string) => resolver().rewriteHeader(value, HERE, NOW);

  it.each([
    ['a cookie', `session=${HANDLE}`],
    ['a scheme with parameters', `Token token="${HANDLE}"`],
    ['two tokens', `Bearer ${HANDLE} ${HANDLE}`],
    ['two placeholders that touch', `${HANDLE}${HANDLE}`],
    ['a placeholder as the scheme', `${HANDLE} x`],
    ['percent-encoding, which a header does not have', encodeURIComponent(HANDLE)],
    ['percent-encoding within Basic', `Basic ${base64(`u:${encodeURIComponent(HANDLE)}`)}`],
    ['a list', `${HANDLE}, ${HANDLE}`],
  ])('refuses a placeholder in %s', (_, value) => {
    expect(header(value)).toMatchObject({ kind: 'refused', detail: 'unresolved-marker', location: 'header' });
  });

  it('finds a placeholder in Basic credentials beside a name in any charset', () => {
    const result = header(`BASIC ${base64(`user-ü:${HANDLE}`)}`);
    if (result.kind !== 'rewritten') throw new Error(result.detail);
    expect(result.value).toBe(`BASIC ${base64(`user-ü:${secret}`)}`);
    expect(result.redacted).toBe('BASIC [CREDENTIAL]');
  });

  it.each([' ', '\t', '  ', '\u00a0', '\u0085', '\x1f'])(
    'finds a placeholder in Basic credentials behind %j, which some server takes for a space',
    (space) => {
      expect(header(`Basic${space}${base64(`u:${HANDLE}`)}`)).toMatchObject({
        value: `Basic${space}${base64(`u:${secret}`)}`,
      });
      expect(header(`Basic${space}${base64('u:openshell:resolve:env:')}`)).toMatchObject({
        kind: 'refused',
        detail: 'malformed-placeholder',
      });
    },
  );

  it('takes a user name and a password that are both placeholders', () => {
    const other = CREDENTIALS.find(({ key }) => key === 'OTHER')?.value;
    const result = header(`Basic ${base64(`${handlePlaceholder('OTHER')}:${HANDLE}`)}`);
    expect(result).toMatchObject({
      value: `Basic ${base64(`${other}:${secret}`)}`,
      keys: ['OTHER', 'TOKEN'],
    });
  });

  it('lets a tab pass and no other control character', () => {
    expect(header(handlePlaceholder('TAB')).kind).toBe('rewritten');
    expect(header(handlePlaceholder('BELL'))).toMatchObject({ detail: 'control-character-in-value' });
  });

  it.each([
    '',
    ' ',
    'Bearer abc',
    'Basic !!!',
    `Basic ${base64('a:b')}`,
    'Basic',
    'text/html;q=0.8, */*',
    '100%25',
  ])('leaves %j as it is', (value) => {
    expect(header(value)).toEqual({ kind: 'rewritten', value, redacted: value, keys: [] });
  });
});

describe('queries and paths', () => {
  const query = (text: string) => resolver().rewriteQuery(text, HERE, NOW);
  const path = (text: string) => resolver().rewritePath(text, HERE, NOW);

  it('refuses a placeholder as the name of a parameter, or without one', () => {
    expect(query(`${HANDLE}=x`)).toMatchObject({ detail: 'unresolved-marker' });
    expect(query(HANDLE)).toMatchObject({ detail: 'unresolved-marker' });
    expect(query(`a=1&${encodeURIComponent(HANDLE)}`)).toMatchObject({ detail: 'unresolved-marker' });
  });

  it('encodes a value so that it stays one value', () => {
    const odd = CREDENTIALS.find(({ key }) => key === 'ODD')?.value.toString() ?? '';
    const inQuery = query(`a=${handlePlaceholder('ODD')}&b=2`);
    const inPath = path(`/x/${handlePlaceholder('ODD')}/y`);
    if (inQuery.kind !== 'rewritten' || inPath.kind !== 'rewritten') throw new Error('refused');
    expect([...new URLSearchParams(inQuery.value)]).toEqual([
      ['a', odd],
      ['b', '2'],
    ]);
    expect(inPath.value.split('/').map(decodeURIComponent)).toEqual(['', 'x', odd, 'y']);
    expect(inQuery.redacted).toBe('a=[CREDENTIAL]&b=2');
    expect(inPath.redacted).toBe('/x/[CREDENTIAL]/y');
  });

  it.each(['SLASH', 'BACKSLASH', 'DOTS', 'QUESTION', 'HASH'])(
    'refuses a value that changes a path: %s',
    (key) => {
      expect(path(`/x/${handlePlaceholder(key)}`)).toEqual({
        kind: 'refused',
        reason: 'credential_unavailable',
        detail: 'value-changes-path',
        location: 'path',
        key,
      });
      expect(query(`t=${handlePlaceholder(key)}`).kind).toBe('rewritten');
    },
  );

  it('keeps ":" and "@" of a value as they are in a path', () => {
    expect(path(`/bot${handlePlaceholder('COLON')}/getMe`)).toMatchObject({
      value: `/bot${CREDENTIALS.find(({ key }) => key === 'COLON')?.value}/getMe`,
    });
  });

  it('refuses a dot as a segment, alone or next to another, in any encoding', () => {
    for (const text of ['/a/', '/a/.', '/a/%2e']) {
      expect(path(`${text}${handlePlaceholder('DOT')}/b`)).toMatchObject({ detail: 'value-changes-path' });
    }
    expect(path(`/a/x${handlePlaceholder('DOT')}/b`)).toMatchObject({ kind: 'rewritten', value: '/a/x./b' });
  });

  it('takes two placeholders that touch', () => {
    expect(path(`/${HANDLE}${REVISION}`)).toMatchObject({ value: `/${secret}${secret}`, keys: ['TOKEN'] });
  });

  it('refuses a value that makes a marker together with the text behind it', () => {
    const half = handlePlaceholder('ENDS_IN_PREFIX');
    expect(query(`t=${half}`).kind).toBe('rewritten');
    expect(query(`t=${half}%252565nv:TOKEN`)).toMatchObject({ detail: 'unresolved-marker' });
    expect(body(`${half}%65nv:TOKEN`, 'text/plain')).toMatchObject({ detail: 'unresolved-marker' });
  });

  it('a target is bound by its path, with the placeholder cut out', () => {
    const bound = new PlaceholderResolver();
    const endpoint = { host: 'api.example.com', port: 443, path: '/bot*/**' };
    bound.update(snapshot([{ key: 'TOKEN', value: secret, endpoints: [endpoint] }]));
    const send = (target: string) =>
      bound.rewriteTarget(target, { host: 'api.example.com', port: 443, tls: true }, NOW);
    expect(send(`/bot${HANDLE}/getMe?a=1`)).toMatchObject({
      value: `/bot${secret}/getMe?a=1`,
      redacted: '/bot[CREDENTIAL]/getMe?a=1',
    });
    expect(send(`/other/${HANDLE}`)).toMatchObject({ detail: 'wrong-endpoint' });
    expect(send(`/bot1/../x?t=${HANDLE}`)).toMatchObject({
      reason: 'credential_endpoint_mismatch',
      detail: 'ambiguous-path',
    });
    expect(send(`/bot%2525${encodeURIComponent(encodeURIComponent(HANDLE))}/x`)).toMatchObject({
      detail: 'unresolved-marker',
    });
  });
});

describe('bodies', () => {
  it.each([
    ['of an unknown type', 'application/octet-stream', 'body-type-not-supported'],
    ['of no type', undefined, 'body-type-not-supported'],
    ['in another charset', 'text/plain; charset="utf-16"', 'body-type-not-supported'],
  ] as const)('refuses a placeholder in a body %s', (_, type, detail) => {
    const kind = { type, encoding: undefined, optedIn: true };
    const result = resolver().rewriteBody(Buffer.from(`"${HANDLE}"`), kind, HERE, NOW);
    expect(result).toMatchObject({ kind: 'refused', detail, location: 'body' });
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('finds a placeholder in a body under %s', (encoding, compress) => {
    const kind = { type: 'application/json', encoding };
    const packed = compress(`"${HANDLE}"`);
    const send = (optedIn: boolean, bytes = packed) =>
      resolver().rewriteBody(bytes, { ...kind, optedIn }, HERE, NOW);
    expect(send(false)).toMatchObject({ kind: 'rewritten', value: packed, keys: [] });
    expect(send(true)).toMatchObject({ kind: 'refused', detail: 'body-type-not-supported' });
    const harmless = compress('"hello"');
    expect(send(true, harmless)).toMatchObject({ kind: 'rewritten', value: harmless, keys: [] });
  });

  it('refuses a body of more than three codings, each of which may be a bomb', () => {
    const three = gzipSync(gzipSync(gzipSync('hello')));
    const ask = (body: Buffer, encoding: string) =>
      resolver().rewriteBody(body, { type: 'text/plain', optedIn: true, encoding }, HERE, NOW).kind;
    expect(ask(three, 'gzip, gzip, gzip')).toBe('rewritten');
    expect(ask(gzipSync(three), 'gzip, gzip, gzip, gzip')).toBe('refused');
  });

  it('refuses a body that it cannot look into', () => {
    const kind = { type: 'text/plain', optedIn: true };
    for (const encoding of ['gzip', 'compress', 'gzip, made-up']) {
      const result = resolver().rewriteBody(Buffer.from('hello'), { ...kind, encoding }, HERE, NOW);
      expect(result).toMatchObject({ kind: 'refused', detail: 'body-type-not-supported' });
    }
    const bomb = gzipSync(Buffer.alloc(MAX_DECOMPRESSED_BYTES + 1));
    expect(resolver().rewriteBody(bomb, { ...kind, encoding: 'gzip' }, HERE, NOW)).toMatchObject({
      kind: 'refused',
      detail: 'body-type-not-supported',
    });
  });

  it('refuses a placeholder in text that is not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from(HANDLE), Buffer.from([0xff])]);
    const kind = { type: 'text/plain', encoding: undefined, optedIn: true };
    expect(resolver().rewriteBody(bytes, kind, HERE, NOW)).toMatchObject({
      detail: 'body-type-not-supported',
    });
  });

  it('writes a value into JSON so that it stays one string', () => {
    const result = body(JSON.stringify({ a: handlePlaceholder('ODD') }), 'application/vnd.api+json');
    if (result.kind !== 'rewritten') throw new Error(result.detail);
    expect(JSON.parse(result.value.toString())).toEqual({
      a: CREDENTIALS.find(({ key }) => key === 'ODD')?.value,
    });
    expect(result.redacted).toBe(`[${result.value.byteLength} bytes]`);
  });

  it('refuses a placeholder that JSON escapes hide', () => {
    const hidden = HANDLE.replace(':', '\\u003a');
    expect(body(`"${hidden}"`, 'application/json')).toMatchObject({ detail: 'unresolved-marker' });
    expect(body(`"${HANDLE.replace(':', '\\u00253a')}"`, 'application/json')).toMatchObject({
      detail: 'unresolved-marker',
    });
  });

  it('leaves bytes that are no text as they are', () => {
    const bytes = Buffer.from([0, 255, 37, 51, 97, 128]);
    const kind = { type: 'image/png', encoding: 'identity', optedIn: true };
    expect(resolver().rewriteBody(bytes, kind, HERE, NOW)).toMatchObject({ value: bytes, keys: [] });
  });
});

describe('whole requests', () => {
  const base: AgentRequest = {
    method: 'POST',
    host: 'gitlab.example.com',
    port: 443,
    tls: true,
    target: '/api/v4/user?page=1',
    headers: [['Accept', '*/*']],
    body: undefined,
    rewriteBody: false,
  };
  const send = (change: Partial<AgentRequest>) => resolver().rewriteRequest({ ...base, ...change }, NOW);

  it('rewrites every part at once and names each credential once', () => {
    const result = send({
      target: `/p/${HANDLE}?t=${HANDLE}`,
      headers: [
        ['PRIVATE-TOKEN', HANDLE],
        ['Content-Type', 'application/json'],
        ['X-Two', handlePlaceholder('OTHER')],
      ],
      body: Buffer.from(JSON.stringify(REVISION)),
      rewriteBody: true,
    });
    if (result.kind !== 'rewritten') throw new Error(result.detail);
    expect(result.value.target).toBe(`/p/${secret}?t=${secret}`);
    expect(result.value.headers[0]).toEqual(['PRIVATE-TOKEN', secret]);
    expect(result.value.body?.toString()).toBe(JSON.stringify(secret));
    expect(result.keys).toEqual(['TOKEN', 'OTHER']);
    expect(result.redacted).toBe('POST gitlab.example.com:443/p/[CREDENTIAL]?[QUERY]');
  });

  it('leaves a request without placeholders as it is', () => {
    const headers = [
      ['Accept', '*/*'],
      ['accept', 'text/html'],
    ] as const;
    const request = { target: '/a%2fb//c?x=%zz&&y', headers, body: Buffer.from('{}') };
    expect(send(request)).toMatchObject({ value: request, keys: [] });
  });

  it.each<readonly [string, Partial<AgentRequest>, Refusal['location']]>([
    ['the method', { method: `GET${ALIAS_HANDLE}` }, 'request'],
    ['the host', { host: 'x-OPENSHELL-RESOLVE-ENV-TOKEN.example.com' }, 'request'],
    ['the name of a header', { headers: [[ALIAS_HANDLE, 'x']] }, 'header'],
    [
      'path and query together',
      { target: '/openshell?:resolve:env:TOKEN=openshell%3Aresolve:env:X' },
      'query',
    ],
    [
      'a path, encoded three times',
      { target: `/${encodeURIComponent(encodeURIComponent(encodeURIComponent(HANDLE)))}` },
      'path',
    ],
    ['an opted-in body of no type', { body: Buffer.from(HANDLE), rewriteBody: true }, 'body'],
  ])('refuses a placeholder in %s', (_, change, location) => {
    const result = send(change);
    expect(result).toMatchObject({ kind: 'refused', reason: 'credential_unavailable', location });
    expectNoSecret(result);
  });

  it('replaces 64 placeholders and refuses 65', () => {
    const body = (count: number) => Buffer.from(JSON.stringify(Array.from({ length: count }, () => HANDLE)));
    const headers = [['Content-Type', 'application/json']] as const;
    expect(send({ headers, body: body(MAX_PLACEHOLDERS), rewriteBody: true }).kind).toBe('rewritten');
    expect(send({ headers, body: body(MAX_PLACEHOLDERS + 1), rewriteBody: true })).toMatchObject({
      reason: 'credential_unavailable',
      detail: 'too-many-placeholders',
    });
    const target = `/?${Array.from({ length: MAX_PLACEHOLDERS + 1 }, () => `t=${HANDLE}`).join('&')}`;
    expect(send({ target })).toMatchObject({ detail: 'too-many-placeholders', location: 'query' });
  });

  it('one refusal refuses the request', () => {
    const result = send({
      headers: [
        ['A', HANDLE],
        ['B', 'openshell:resolve:env:TOKEN'],
      ],
    });
    expect(result).toEqual({
      kind: 'refused',
      reason: 'credential_unavailable',
      detail: 'canonical-form',
      location: 'header',
      key: 'TOKEN',
    });
  });
});

describe('snapshots', () => {
  const send = (from: PlaceholderResolver, token: string) => from.rewriteHeader(token, HERE, NOW);

  it('resolves nothing before the first one and after a withdrawal', () => {
    const fresh = new PlaceholderResolver();
    expect(send(fresh, HANDLE)).toMatchObject({ detail: 'no-snapshot', key: 'TOKEN' });
    expect(fresh.revision).toBeUndefined();
    fresh.update(snapshot(CREDENTIALS));
    expect(fresh.revision).toBe(7n);
    expect(send(fresh, HANDLE).kind).toBe('rewritten');
    fresh.update(undefined);
    expect(send(fresh, HANDLE)).toMatchObject({ detail: 'no-snapshot' });
  });

  it('over a rotation the handle takes the new value and the old revision resolves to nothing', () => {
    const rotating = new PlaceholderResolver();
    rotating.update(snapshot([{ key: 'TOKEN', value: secret }], 7n));
    expect(send(rotating, REVISION)).toMatchObject({ value: secret });
    const next = newSecret();
    rotating.update(snapshot([{ key: 'TOKEN', value: next }], 8n));
    expect(send(rotating, HANDLE)).toMatchObject({ value: next });
    expect(send(rotating, REVISION)).toMatchObject({ detail: 'stale-revision' });
    rotating.update(snapshot([], 9n));
    expect(send(rotating, HANDLE)).toMatchObject({ detail: 'unknown-credential' });
  });

  it('an erased value resolves to nothing', () => {
    const environment = snapshot([{ key: 'TOKEN', value: secret }]);
    const erasing = new PlaceholderResolver();
    erasing.update(environment);
    environment.credentials.get('TOKEN')?.value.erase();
    expect(send(erasing, HANDLE)).toMatchObject({ detail: 'unusable-value' });
  });

  it('shows nothing of what it holds', () => {
    expectNoSecret(resolver());
  });

  it('each reason has its status', () => {
    expect(statusOf('credential_unavailable')).toBe(500);
    expect(statusOf('credential_endpoint_mismatch')).toBe(403);
  });
});
