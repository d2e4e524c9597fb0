/** Whole requests: what passes unread, where no value may go, and how long that takes. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { AgentRequest } from '../../src/client/placeholder-request.ts';
import { PlaceholderResolver } from '../../src/client/placeholder-resolver.ts';
import { newSecret } from '../support/secrets.ts';
import { handlePlaceholder, snapshot } from './placeholder-fixtures.ts';

const NOW = 1_800_000_000_000;
const HOST = 'kong.example.com';
const TOKEN = handlePlaceholder('TOKEN');
const secret = newSecret();
const everywhere = { host: HOST, port: 443, path: '' };
const AUTHORIZATION = ['authorization', `Bearer ${TOKEN}`] as const;
const FILLED_IN = ['authorization', `Bearer ${secret}`] as const;
const MISMATCH = { kind: 'refused', reason: 'credential_endpoint_mismatch' };

function resolver(endpoints = [everywhere as { host: string; port: number; path: string; tls?: boolean }]) {
  const made = new PlaceholderResolver();
  made.update(
    snapshot([
      { key: 'TOKEN', value: secret, endpoints },
      { key: 'OTHER', value: newSecret(), endpoints: [{ host: 'other.example.com', port: 443, path: '' }] },
    ]),
  );
  return made;
}

const request: AgentRequest = {
  method: 'POST',
  host: HOST,
  port: 443,
  tls: true,
  target: '/v1/chat/completions',
  headers: [AUTHORIZATION],
  body: undefined,
  rewriteBody: false,
};
const send = (change: Partial<AgentRequest>, by = resolver()) =>
  by.rewriteRequest({ ...request, ...change }, NOW);

describe('a body that is not opted in', () => {
  const chat = (content: string) => Buffer.from(JSON.stringify({ messages: [{ role: 'tool', content }] }));

  it.each([
    ['the canonical example of a README', 'docs say: openshell:resolve:env:KEY'],
    ['a line of env with a placeholder of another provider', `OTHER=${handlePlaceholder('OTHER')}`],
    ['its own placeholder', `TOKEN=${TOKEN}`],
    ['an alias', 'SLACK=xoxb-OPENSHELL-RESOLVE-ENV-KEY'],
    ['half a placeholder', 'openshell:resolve:env:'],
    ['one in percent-encoding', encodeURIComponent(TOKEN)],
    ['one in JSON escapes within JSON', JSON.stringify(TOKEN.replaceAll(':', '\\u003a'))],
    ['a thousand', `${TOKEN} `.repeat(1_000)],
  ])('passes as it is with %s in its text, and the header is filled in', (_, content) => {
    const body = chat(content);
    const sent = send({ body, headers: [AUTHORIZATION, ['content-type', 'application/json']] });
    expect(sent).toMatchObject({ kind: 'rewritten', keys: ['TOKEN'], value: { headers: [FILLED_IN, {}] } });
    expect(sent.kind === 'rewritten' && sent.value.body).toBe(body);
    expect(body).toEqual(chat(content));
  });

  it.each([
    ['aws-chunked', Buffer.from('5\r\nhello\r\n0\r\n\r\n')],
    ['aws-chunked,gzip', gzipSync('hello')],
    ['snappy', Buffer.from([1])],
    ['lz4', Buffer.from([4, 34, 77, 24])],
    ['gzip', gzipSync(Buffer.alloc(9 << 20, 'a'))],
    ['gzip', Buffer.from('no gzip at all')],
    ['zstd', Buffer.alloc(20 << 20, 'a')],
    ['', gzipSync(TOKEN)],
  ])('passes under Content-Encoding %j', (encoding, body) => {
    const sent = send({ body, headers: [AUTHORIZATION, ['content-encoding', encoding]] });
    expect(sent).toMatchObject({ kind: 'rewritten', keys: ['TOKEN'] });
    expect(sent.kind === 'rewritten' && sent.value.body).toBe(body);
  });

  it('is not read: 200 MiB take no time', () => {
    const body = Buffer.alloc(200 << 20, 'a');
    const began = performance.now();
    expect(send({ body }).kind).toBe('rewritten');
    expect(performance.now() - began).toBeLessThan(100);
  });
});

describe('plain HTTP', () => {
  const plain = (port: number, tls?: boolean) =>
    send(
      { port, tls: false },
      resolver([{ host: HOST, port, path: '', ...(tls === undefined ? {} : { tls }) }]),
    );

  it.each([443, 8080, 8443, 1])('carries no value to port %i', (port) => {
    expect(plain(port)).toMatchObject({ ...MISMATCH, detail: 'tls-required', key: 'TOKEN' });
    expect(plain(port, true)).toMatchObject(MISMATCH);
  });

  it('carries none in the target either', () => {
    const sent = send({ tls: false, headers: [], target: `/?t=${TOKEN}` });
    expect(sent).toMatchObject({ ...MISMATCH, location: 'query' });
    expect(
      resolver().rewriteTarget(`/?t=${TOKEN}`, { host: HOST, port: 443, tls: false }, NOW),
    ).toMatchObject(MISMATCH);
  });

  it('carries one where the endpoint says so: tls: false, or port 80', () => {
    expect(plain(8080, false)).toMatchObject({ value: { headers: [FILLED_IN] } });
    expect(plain(80)).toMatchObject({ value: { headers: [FILLED_IN] } });
    expect(plain(80, true)).toMatchObject(MISMATCH);
  });

  it('is refused even if the credential has another endpoint on port 80', () => {
    const both = resolver([everywhere, { host: HOST, port: 80, path: '' }]);
    expect(send({ tls: false }, both)).toMatchObject(MISMATCH);
    expect(send({ tls: false, port: 80 }, both).kind).toBe('rewritten');
  });

  it('passes without a placeholder', () => {
    expect(send({ tls: false, headers: [['accept', '*/*']] }).kind).toBe('rewritten');
  });
});

describe('a Host or :authority that is not the destination', () => {
  it.each([
    [['Host', 'evil.example.net']],
    [[':authority', 'evil.example.net']],
    [['host', `${HOST}.`]],
    [['HOST', `${HOST}:8443`]],
    [['host', `${HOST}:0443`]],
    [['host', `${HOST} evil.example.net`]],
    [['host', `user@${HOST}`]],
    [['host', '\u212aong.example.com']],
    [['host', '']],
    [['host', `${HOST}\0`]],
    [['host', TOKEN]],
  ] as const)('is refused: %j', (header) => {
    const sent = send({ headers: [header, AUTHORIZATION] });
    expect(sent).toMatchObject({ ...MISMATCH, detail: 'host-mismatch', location: 'header' });
  });

  it('is refused where only one of two is wrong, and where the value is in the target', () => {
    const wrong = ['host', 'evil.example.net'] as const;
    expect(send({ headers: [['host', HOST], wrong, AUTHORIZATION] })).toMatchObject(MISMATCH);
    expect(send({ headers: [wrong], target: `/?t=${TOKEN}` })).toMatchObject(MISMATCH);
  });

  it.each([HOST, `${HOST}:443`, 'KONG.Example.com', ` ${HOST} `])('%j is the destination', (value) => {
    expect(send({ headers: [['Host', value], AUTHORIZATION] }).kind).toBe('rewritten');
  });

  it('passes where the request carries no value', () => {
    expect(send({ headers: [['host', 'evil.example.net']] }).kind).toBe('rewritten');
  });
});

describe('a host that servers and resolvers read in different ways', () => {
  it.each([
    ['the Kelvin sign', '\u212aong.example.com'],
    ['a full-width letter', '\uff4bong.example.com'],
    ['a soft hyphen', 'kong\u00ad.example.com'],
    ['an ideographic full stop', 'kong.example\u3002com'],
    ['a dot at the end', `${HOST}.`],
    ['NUL', `${HOST}\0`],
    ['NUL within', 'kong.example.com\0.example.com'],
    ['a line feed', `${HOST}\n`],
    ['a blank', ` ${HOST}`],
    ['a tab', 'kong\t.example.com'],
  ])('gets no value: %s', (_, host) => {
    expect(send({ host })).toMatchObject({ ...MISMATCH, key: 'TOKEN' });
    const glob = resolver([
      { host: '*.example.com', port: 443, path: '' },
      { host: '*.*.*.*', port: 443, path: '' },
    ]);
    expect(send({ host }, glob)).toMatchObject(MISMATCH);
  });

  it.each(['evil/x', 'evil?x', 'evil#x', 'evil\\x', 'user@x', 'evil:80', '%65vil'])(
    'gets no value: %s in place of a label',
    (label) => {
      const glob = resolver([{ host: '*.example.com', port: 443, path: '' }]);
      expect(send({ host: `${label}.example.com` }, glob)).toMatchObject(MISMATCH);
    },
  );

  it('is compared without regard to the case of ASCII letters, and of no others', () => {
    expect(send({ host: 'KONG.EXAMPLE.COM' }).kind).toBe('rewritten');
    expect(send({}, resolver([{ host: 'Kong.Example.Com', port: 443, path: '' }])).kind).toBe('rewritten');
    expect(send({}, resolver([{ host: '\u212aong.example.com', port: 443, path: '' }]))).toMatchObject(
      MISMATCH,
    );
  });
});

describe('a target that names another server', () => {
  it.each([
    'https://evil.example.net/x',
    'evil.example.net:443',
    '*',
    '',
    '\\evil.example.net',
    '@evil.example.net',
    '?x',
  ])('gets no value: %j', (target) => {
    expect(send({ target })).toMatchObject({ ...MISMATCH, detail: 'ambiguous-path' });
  });
});

describe('Basic credentials that are not one canonical Base64', () => {
  const basic = (credentials: string) => send({ headers: [['authorization', `Basic ${credentials}`]] });
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const ours = base64(`oauth2:${TOKEN}`);

  it.each([
    ['no padding', base64(`x:${TOKEN}`).replace(/=+$/, '')],
    ['padding too much', `${ours}=`],
    ['bits that no byte takes', base64(`x:${TOKEN}`).replace(/4=$/, '5=')],
    ['the alphabet of URLs', base64(`\u00ff\u00fe:${TOKEN}`).replaceAll('+', '-').replaceAll('/', '_')],
    ['a second text behind the padding', `${base64('a')}${ours}`],
    ['a second text behind a comma', `${base64('user:password')}, ${ours}`],
    ['a second text behind the scheme again', `${base64('user:password')} Basic ${ours}`],
    ['a blank within', `${ours.slice(0, 9)} ${ours.slice(9)}`],
    ['a tab within', `${ours.slice(0, 9)}\t${ours.slice(9)}`],
    ['characters that lenient decoders skip', ours.replace(/.{4}/g, '$&!')],
    ['dashes that decoders of the other alphabet skip', ours.replace(/.{3}/g, '$&-')],
    ['one more character in front', `A=${ours}`],
    ['a quotation', `"${ours}"`],
  ])('are refused: %s', (_, credentials) => {
    expect(basic(credentials)).toMatchObject({
      kind: 'refused',
      reason: 'credential_unavailable',
      detail: 'unresolved-marker',
      location: 'header',
    });
  });

  it('are filled in where they are one', () => {
    expect(basic(ours)).toMatchObject({
      value: { headers: [['authorization', `Basic ${base64(`oauth2:${secret}`)}`]] },
    });
  });

  it.each([
    base64('alice:correct horse battery staple').replace(/=+$/, ''),
    base64('bob:no placeholder in here, and long enough for one'),
    '!!! short !!!',
    'YQ==YQ==',
    '',
  ])('pass where none can be in them: %j', (credentials) => {
    expect(basic(credentials)).toMatchObject({ kind: 'rewritten', keys: [] });
  });
});

describe('a target of 1 MiB', () => {
  it.each(['', '/api/**', '/a/**/a/**/b'])(
    'takes milliseconds, for endpoints with the path %j',
    async (path) => {
      const child = join(import.meta.dirname, 'long-targets.ts');
      // Without NODE_V8_COVERAGE: the bound is on the code as it is shipped.
      const { stdout } = await promisify(execFile)(process.execPath, [child, path], { env: {} });
      const measured = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as [number, string]);
      expect(measured).toHaveLength(60);
      expect(measured.filter(([ms]) => ms >= 150)).toEqual([]);
    },
  );
});

describe('the canonical form', () => {
  const CANONICAL = 'openshell:resolve:env:TOKEN';
  const filledIn = { value: { headers: [FILLED_IN] } };
  const withToken = (token: string, by: PlaceholderResolver) =>
    send({ headers: [['authorization', `Bearer ${token}`]] }, by);

  it('resolves only where the option says so', () => {
    expect(withToken(CANONICAL, resolver())).toMatchObject({ detail: 'canonical-form' });
    const accepting = new PlaceholderResolver({ acceptCanonical: true });
    accepting.update(snapshot([{ key: 'TOKEN', value: secret, endpoints: [everywhere] }]));
    expect(withToken(CANONICAL, accepting)).toMatchObject(filledIn);
    expect(withToken('xoxb-OPENSHELL-RESOLVE-ENV-TOKEN', accepting)).toMatchObject(filledIn);
    expect(withToken(TOKEN, accepting)).toMatchObject(filledIn);
    expect(withToken('openshell:resolve:env:v6_TOKEN', accepting)).toMatchObject({
      detail: 'stale-revision',
    });
    expect(withToken('openshell:resolve:env:NOBODY', accepting)).toMatchObject({
      detail: 'unknown-credential',
    });
    expect(
      accepting.rewriteRequest({ ...request, host: 'evil.example.net', headers: [['a', CANONICAL]] }, NOW),
    ).toMatchObject(MISMATCH);
  });
});
