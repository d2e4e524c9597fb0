import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MAX_VALUE_BYTES } from '../../src/domain/limits.ts';
import { SecretValue } from '../../src/domain/secret-value.ts';
import type { RefusalReason } from '../../src/snapshot/refusal.ts';
import { decodeValue } from '../../src/snapshot/value.ts';

const ENCODING = {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
} as const;

type Format = Parameters<typeof decodeValue>[1]['format'];

function decode(
  bytes: string | Uint8Array,
  format: Format = 'text',
  trim: 'trailingNewline' | 'none' = 'trailingNewline',
): string | { refused: RefusalReason } {
  const decoded = decodeValue(SecretValue.from(Buffer.from(bytes as string)), { format, trim });
  return decoded.kind === 'refused' ? { refused: decoded.reason } : decoded.value.reveal().toString();
}
const expiry = (text: string, format: Format = 'text') => {
  const decoded = decodeValue(SecretValue.from(Buffer.from(text)), { format, trim: 'none' });
  return decoded.kind === 'value' ? decoded.jwtExpiresAtMs : decoded.reason;
};
const segment = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (payload: unknown, header: unknown = { alg: 'none' }) =>
  `${segment(header)}.${segment(payload)}.c2ln`;

describe('trim', () => {
  it.each([
    ['nothing', 'x', 'x'],
    ['one LF', 'x\n', 'x'],
    ['one CR LF', 'x\r\n', 'x'],
    ['blanks, which may be meant', ' x ', ' x '],
    ['a tab before the LF', 'x\t\n', 'x\t'],
  ])('at the end: %s', (_, raw, value) => {
    expect(decode(raw)).toBe(value);
  });
  it.each([
    ['two LF: one is left', 'x\n\n', 'line-break-or-nul'],
    ['a CR alone', 'x\r', 'line-break-or-nul'],
    ['CR CR LF: a CR is left', 'x\r\r\n', 'line-break-or-nul'],
    ['an LF and nothing else', '\n', 'empty'],
    ['a CR LF and nothing else', '\r\n', 'empty'],
  ] as const)('refuses %s', (_, raw, refused) => {
    expect(decode(raw)).toEqual({ refused });
  });
  it('can be turned off', () => {
    expect(decode('x\n', 'text', 'none')).toEqual({ refused: 'line-break-or-nul' });
    expect(decode('{}\n', 'json', 'none')).toBe('{}\n');
  });
});

describe('text', () => {
  it.each(['x', 'späte Grüße', '🔑', '\t', 'a\u2028b', '__proto__', '[secret]'])('takes %j', (text) => {
    expect(decode(text)).toBe(text);
  });
  it.each([
    ['nothing', '', 'empty'],
    ['a byte that is no UTF-8', Buffer.from([0x61, 0xff]), 'not-utf8'],
    ['a character cut off', Buffer.from([0xf0, 0x9f, 0x94]), 'not-utf8'],
    ['an overlong NUL', Buffer.from([0xc0, 0x80]), 'not-utf8'],
    ['a surrogate', Buffer.from([0xed, 0xa0, 0x80]), 'not-utf8'],
    ['UTF-16, as PowerShell writes it', Buffer.from('\ufefftok', 'utf16le'), 'not-utf8'],
    ['two byte order marks', '\ufeff\ufefftok', 'byte-order-mark'],
    ['a byte order mark and nothing else', '\ufeff\n', 'empty'],
    ['a byte order mark behind a scheme', 'Bearer \ufefftok', 'byte-order-mark'],
    ['a byte order mark at the end', 'tok\ufeff', 'byte-order-mark'],
    ['a NUL', 'a\0b', 'line-break-or-nul'],
    ['an LF within', 'a\nb', 'line-break-or-nul'],
    ['a CR within, as header injection has it', 'a\r\nX-Evil: 1', 'line-break-or-nul'],
  ] as const)('refuses %s', (_, raw, refused) => {
    expect(decode(raw)).toEqual({ refused });
  });
  it('accepts at most 64 KiB after trimming', () => {
    const full = 'x'.repeat(MAX_VALUE_BYTES);
    expect(MAX_VALUE_BYTES).toBe(65_536);
    expect(decode(full)).toBe(full);
    expect(decode(`${full}\n`)).toBe(full);
    expect(decode(`${full}x`)).toEqual({ refused: 'value-too-large' });
    expect(decode(`${full}\n`, 'text', 'none')).toEqual({ refused: 'value-too-large' });
  });
});

describe('json', () => {
  it.each(['{"a":1}', '{\r\n  "a": "b"\n}', '"text"', '[]', 'null', '{"__proto__": {"exp": 1}}'])(
    'takes %j as it is',
    (text) => {
      expect(decode(text, 'json')).toBe(text);
    },
  );
  it.each([
    ['a bare word', 'token', 'not-json'],
    ['a comma too much', '{"a":1,}', 'not-json'],
    ['sixty thousand brackets', '['.repeat(60_000), 'not-json'],
    ['a NUL', '{"a":"\0"}', 'line-break-or-nul'],
  ] as const)('refuses %s', (_, raw, refused) => {
    expect(decode(raw, 'json')).toEqual({ refused });
  });
  it('does not read an expiry out of one', () => {
    expect(expiry('{"exp": 1}', 'json')).toBeUndefined();
  });
});

describe('pem', () => {
  /** An ASN.1 sequence of one number. */
  const SEQUENCE = 'MAMCAQU=\n';
  const block = (label: string, body = 'TUlJ\nQUJD\n') =>
    `-----BEGIN ${label}-----\n${body}-----END ${label}-----`;
  it.each([
    ['a certificate', block('CERTIFICATE', SEQUENCE)],
    ['CR LF', block('CERTIFICATE', SEQUENCE).replaceAll('\n', '\r\n')],
    ['an unknown label', block('A')],
    ["PGP's armour", block('PGP PRIVATE KEY BLOCK', 'Version: 1\n\nTUlJ\n=abcd\n')],
    ['an OpenSSH key', block('OPENSSH PRIVATE KEY')],
    [
      'headers of an encrypted key',
      block('RSA PRIVATE KEY', 'Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nTUlJ\n'),
    ],
    ['a chain', `${block('CERTIFICATE', SEQUENCE)}\n${block('CERTIFICATE', SEQUENCE)}`],
    ['words before the block', `subject=CN\n${block('PRIVATE KEY', SEQUENCE)}`],
  ])('takes %s', (_, text) => {
    expect(decode(text, 'pem')).toBe(text);
  });
  it.each([
    ['no block', 'TUlJ'],
    ['no end', '-----BEGIN CERTIFICATE-----\nTUlJ\n'],
    ['a second block without end', `${block('A')}\n-----BEGIN A-----\nTUlJ\n`],
    ['a second block on the line of an end', `${block('A')}\n${block('A')}${block('A')}`],
    ['a second block behind a byte order mark', `${block('A')}\n\ufeff${block('A')}`],
    ['a second block that is cut off', `${block('CERTIFICATE', SEQUENCE)}\n${block('CERTIFICATE')}`],
    ['another end', '-----BEGIN CERTIFICATE-----\nTUlJ\n-----END PRIVATE KEY-----'],
    ['an end before the beginning', '-----END A-----\n-----BEGIN A-----\n'],
    ['no body', '-----BEGIN A-----\n-----END A-----'],
    ['a body that is no Base64', block('A', '<html>\n')],
    ['a label in small letters', block('certificate')],
    ['a label without end', `-----BEGIN ${'A'.repeat(65)}-----\nTUlJ\n`],
  ])('refuses %s', (_, text) => {
    expect(decode(text, 'pem')).toEqual({ refused: 'not-pem' });
  });
  it.each([
    ['in a second block', `${block('A')}\n${block('A').replaceAll('\n', '\\n')}`, 'pem-escaped-newlines'],
    ['in the body alone', block('A', 'TUlJ\\nQUJD\n'), 'pem-escaped-newlines'],
    ['before a second block', `${block('A')}\n  ${block('A')}`, 'pem-indented'],
  ] as const)('says what is wrong %s', (_, text, refused) => {
    expect(decode(text, 'pem')).toEqual({ refused });
  });
  it('takes time linear in the length of the input', () => {
    const evil = '-----BEGIN A-----\n'.repeat(3_600);
    const before = performance.now();
    for (let count = 0; count < 20; count++) expect(decode(evil, 'pem')).toEqual({ refused: 'not-pem' });
    // In quadratic time each took a third of a second, and 20 of them 6 s.
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});

describe('a byte order mark', () => {
  it.each(['text', 'json', 'pem', 'jwt'] as const)(
    'is dropped from %s like the line end, and refused untrimmed',
    (format) => {
      const { privateKey } = generateKeyPairSync('ed25519', ENCODING);
      const value = { text: 'tok', json: '{}', pem: privateKey.trimEnd(), jwt: jwt({}) }[format];
      expect(decode(`\ufeff${value}\n`, format)).toBe(value);
      expect(decode(`\ufeff${value}`, format, 'none')).toEqual({ refused: 'byte-order-mark' });
    },
  );
});

describe('jwt', () => {
  it.each([
    ['padding', (token: string) => token.replace(/\./g, '==.')],
    ['a scheme', (token: string) => `Bearer ${token}`],
    ['a scheme in small letters and two blanks', (token: string) => `bearer  ${token}`],
    ['another scheme', (token: string) => `JWT ${token}`],
    ['a scheme in mixed letters', (token: string) => `BeAReR ${token}`],
    ['a scheme and a tab', (token: string) => `Bearer\t${token}`],
    ['the whole header', (token: string) => `Authorization: Bearer ${token}`],
    ['the whole header of its own', (token: string) => `private-token:${token}`],
    ['a scheme and padding', (token: string) => `Token ${token.replace('.', '=.')}`],
  ])('reads the expiry of one with %s, in both formats, and serves it as it is', (_, change) => {
    const text = change(jwt({ exp: 1_000, a: '' }));
    expect([expiry(text), expiry(text, 'jwt')]).toEqual([1_000_000, 1_000_000]);
    expect([decode(text), decode(text, 'jwt')]).toEqual([text, text]);
  });
  it.each([
    ['blanks before it', (token: string) => ` \t${token}`],
    ['blanks behind it', (token: string) => `${token}  `],
  ])('reads the expiry of one with %s in text, and refuses it as a JWT', (_, change) => {
    const text = change(jwt({ exp: 1_000 }));
    expect([expiry(text), expiry(text, 'jwt')]).toEqual([1_000_000, 'not-jwt']);
  });
  it('takes time linear in the length of the input', () => {
    const before = performance.now();
    for (const part of ['a', 'a.', 'a ', ' ', 'a:', '=', '-'])
      for (const around of ['', '..', 'Bearer ']) expiry(`${around}${part.repeat(30_000)}`);
    expect(performance.now() - before).toBeLessThan(2_000);
  });
  it('takes one, and reads when it ends, in text too', () => {
    const text = jwt({ exp: 1_800_000_000 });
    expect(decode(text, 'jwt')).toBe(text);
    expect(decode(text)).toBe(text);
    expect(expiry(text, 'jwt')).toBe(1_800_000_000_000);
    expect(expiry(text)).toBe(1_800_000_000_000);
  });
  it.each([
    ['no exp', {}, undefined],
    ['in a header with blanks', '{ "exp": 2 }', 2_000],
    ['a number as text', { exp: '1800000000' }, 1_800_000_000_000],
    ['a text', { exp: 'tomorrow' }, undefined],
    ['an empty text', { exp: '' }, undefined],
    ['null', { exp: null }, undefined],
    ['an inherited one', JSON.parse('{"__proto__": {"exp": 1}}'), undefined],
    ['a fraction, rounded down', { exp: 1.0009 }, 1_000],
    ['zero', { exp: 0 }, 0],
    ['a negative one', { exp: -1 }, -1_000],
    ['one beyond all dates', { exp: 1e300 }, 8.64e15],
    ['one beyond all numbers', '{"exp": 1e999}', 8.64e15],
  ])('reads of exp, being %s', (_, payload, at) => {
    const text =
      typeof payload === 'string'
        ? `${Buffer.from('{ "alg": "none" }').toString('base64url')}.${Buffer.from(payload).toString('base64url')}.`
        : jwt(payload);
    expect(expiry(text)).toBe(at);
  });
  it.each([
    ['text', 'token'],
    ['text that begins like one', 'eyJhbGciOiJub25lIn0'],
    ['two parts', `${segment({})}.${segment({})}`],
    ['four parts', `${jwt({})}.x`],
    ['characters that are not Base64url', `${segment({})}.${segment({})}.a+b=`],
    ['a payload that is no JSON', `${segment({})}.eyJ.c2ln`],
    ['a payload that is a list', jwt([{ exp: 1 }])],
    ['a payload that is null', jwt(null)],
    ['a header that is no JSON', `eyJ.${segment({})}.c2ln`],
  ])('refuses %s, which text takes without an expiry', (_, text) => {
    expect(decode(text, 'jwt')).toEqual({ refused: 'not-jwt' });
    expect(expiry(text)).toBeUndefined();
  });
});

describe('PEM against OpenSSL', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, ...ENCODING });
  const key = privateKey.trimEnd();
  const lines = key.split('\n');
  const [begin = '', ...rest] = lines;
  const body = rest.slice(0, -1);
  const end = lines.at(-1) ?? '';
  const bodyAs = (change: (line: string) => string) => [begin, ...body.map(change), end].join('\n');
  const wrapped = (width: number) =>
    [begin, ...(body.join('').match(new RegExp(`.{1,${width}}`, 'g')) ?? []), end].join('\n');
  it.each([
    ['as it is written', key],
    ['CR LF', key.replaceAll('\n', '\r\n')],
    ['CR alone', key.replaceAll('\n', '\r')],
    ['escaped line breaks', key.replaceAll('\n', '\\n')],
    ['escaped CR LF', key.replaceAll('\n', '\\r\\n')],
    ['one escaped line break after the beginning', key.replace('\n', '\\n')],
    ['one escaped line break before the end', `${lines.slice(0, -1).join('\n')}\\n${end}`],
    ['an escaped line break after the end', `${key}\\n`],
    ['indented', lines.map((line) => `  ${line}`).join('\n')],
    ['indented from the second line on', lines.join('\n    ')],
    ['an indented end', [begin, ...body, `  ${end}`].join('\n')],
    ['a body indented with blanks', bodyAs((line) => `  ${line}`)],
    ['a body indented with tabs', bodyAs((line) => `\t${line}`)],
    ['blanks at the end of each line', lines.map((line) => `${line}  `).join('\n')],
    ['blanks in place of line breaks', lines.join(' ')],
    ['blanks in place of line breaks in the body', [begin, body.join(' '), end].join('\n')],
    ['no line breaks', lines.join('')],
    ['a body in one line', [begin, body.join(''), end].join('\n')],
    ['lines of 32', wrapped(32)],
    ['lines of 76', wrapped(76)],
    ['lines of 300', wrapped(300)],
    ['a blank line after each', lines.join('\n\n')],
    ['a blank line after the beginning', key.replace('\n', '\n\n')],
    ['a blank line before the end', [begin, ...body, '', end].join('\n')],
    ['a blank line within', [begin, ...body.slice(0, 4), '', ...body.slice(4), end].join('\n')],
    ['in quotes', `"${key}"`],
    ['after a blank', ` ${key}`],
    ['after a blank line', `\n${key}`],
    ['after a name in the same line', `key: ${key}`],
    ['after a line of text', `subject=CN\n${key}`],
    ['before a line of text', `${key}\nmore`],
    ['four dashes', key.replace('-----BEGIN', '----BEGIN')],
    ['no padding', bodyAs((line) => line.replace(/=+$/, '')).replace('=', '')],
    ['cut off', [begin, ...body.slice(0, -3), end].join('\n')],
    ['a comment within', [begin, '# comment', ...body, end].join('\n')],
    ['a header that no key has', [begin, 'Comment: x', '', ...body, end].join('\n')],
    ['no line break before the end', [begin, body.join('\n') + end].join('\n')],
    ['a label in small letters', key.replaceAll('PRIVATE KEY', 'private key')],
    ['Base64 of the whole', Buffer.from(key).toString('base64')],
  ])('%s: loads in both or in neither', (_, text) => {
    let loads = true;
    try {
      createPrivateKey(text);
    } catch {
      loads = false;
    }
    expect(typeof decode(text, 'pem') === 'string').toBe(loads);
  });
  it.each([
    ['escaped', key.replaceAll('\n', '\\n'), 'pem-escaped-newlines'],
    ['escaped, after the beginning alone', key.replace('\n', '\\n'), 'pem-escaped-newlines'],
    ['escaped, with CR', key.replaceAll('\n', '\\r\\n'), 'pem-escaped-newlines'],
    ['escaped, before the end alone', `${lines.slice(0, -1).join('\n')}\\n${end}`, 'pem-escaped-newlines'],
    ['indented', lines.map((line) => `  ${line}`).join('\n'), 'pem-indented'],
    ['indented with tabs', lines.map((line) => `\t${line}`).join('\n'), 'pem-indented'],
    ['indented from the second line on', lines.join('\n    '), 'pem-indented'],
    ['cut off', [begin, ...body.slice(0, -3), end].join('\n'), 'not-pem'],
  ] as const)('says why it refuses what is %s', (_, text, refused) => {
    expect(decode(text, 'pem')).toEqual({ refused });
  });
});

it('leaves its input as it was, and gives a copy that shares no memory with it', () => {
  const raw = SecretValue.from(Buffer.from('value\n'));
  const decoded = decodeValue(raw, { format: 'text', trim: 'trailingNewline' });
  if (decoded.kind === 'refused') throw new Error(decoded.reason);
  expect(decoded.value.reveal().buffer).not.toBe(raw.reveal().buffer);
  decoded.value.erase();
  expect(raw.reveal().toString()).toBe('value\n');
});
