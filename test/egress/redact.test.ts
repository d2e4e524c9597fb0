/** Values in what servers answer: every form, cut at every place. */
import { describe, expect, it } from 'vitest';
import { Needles, Redaction } from '../../src/egress/redact.ts';
import { newSecret } from '../support/secrets.ts';

const value = `${newSecret()}+/ "ä"`;
const FORMS = {
  plain: value,
  URL: encodeURIComponent(value),
  'URL in lower case': encodeURIComponent(value).replaceAll(/%../g, (code) => code.toLowerCase()),
  form: encodeURIComponent(value).replaceAll('%20', '+'),
  JSON: JSON.stringify({ value }),
  'JSON of PHP': JSON.stringify({ value }).replaceAll('/', '\\/'),
  Base64: Buffer.from(value).toString('base64'),
  'Base64 for URLs': Buffer.from(value).toString('base64url'),
  Basic: Buffer.from(`u:${value}`).toString('base64'),
  'Basic of two': Buffer.from(`us:${value}`).toString('base64'),
  'Basic of three': Buffer.from(`usr:${value}!`).toString('base64'),
};

const redactionOf = (values: readonly Buffer[]) => new Redaction(new Needles(values));

describe('a value that the kit wrote into a query', () => {
  it('is taken out of an echo of it', () => {
    using one = redactionOf([Buffer.from("ab!c(d)*e'f:g@h i")]);
    expect(one.chunk(Buffer.from('ab%21c%28d%29%2Ae%27f%3Ag%40h%20i'), true).toString()).toBe('[CREDENTIAL]');
  });
});

describe('a redaction', () => {
  const redaction = () => redactionOf([Buffer.from(value)]);

  it.each(Object.entries(FORMS))('takes out the value as %s, wherever it is cut', (_, form) => {
    const body = Buffer.from(`before ${form} after`);
    for (let at = 0; at <= body.byteLength; at++) {
      using one = redaction();
      const seen = Buffer.concat([
        one.chunk(body.subarray(0, at), false),
        one.chunk(body.subarray(at), true),
      ]);
      expect(seen.toString()).toMatch(/^before .*\[CREDENTIAL\].* after$/);
    }
  });

  it('takes it out one byte at a time, and says nothing before it may', () => {
    using one = redaction();
    const bytes = [...Buffer.from(`x${value}y`)].map((byte) => one.chunk(Buffer.of(byte), false));
    expect(Buffer.concat([...bytes, one.chunk(Buffer.alloc(0), true)]).toString()).toBe('x[CREDENTIAL]y');
  });

  it('changes nothing else, and holds nothing back at the end', () => {
    using one = redaction();
    const start = value.slice(0, 20);
    expect(one.chunk(Buffer.from(start), false).toString()).toBe('');
    expect(one.chunk(Buffer.from(' and on'), true).toString()).toBe(`${start} and on`);
  });

  it('takes out the longer of two values of which one begins the other', () => {
    using one = redactionOf([Buffer.from('12345678'), Buffer.from('12345678abcdefgh')]);
    expect(one.text('12345678abcdefgh 12345678')).toBe('[CREDENTIAL] [CREDENTIAL]');
  });

  it.each([
    ['begins the other', (a: string, b: string) => [a, `${a}:${b}`]],
    ['ends the other', (a: string, b: string) => [b, `${a}:${b}`]],
    ['begins and ends the other', (a: string, b: string) => [a, `${a}:${b}`, `${b}${a}`]],
    ['is as the other, eight times', () => ['abababab', 'babababa']],
  ])('shows no part of two values of which one %s, wherever they are cut', (_, pair) => {
    const values = pair(newSecret(), newSecret());
    const whole = values.toSorted((one, two) => two.length - one.length)[0] ?? '';
    const body = Buffer.from(`before ${whole} after`);
    for (let first = 0; first <= body.byteLength; first++) {
      for (const second of [first, first + 1, first + 9]) {
        using one = redactionOf(values.map((each) => Buffer.from(each)));
        const seen = [body.subarray(0, first), body.subarray(first, second), body.subarray(second)].map(
          (part, at) => one.chunk(part, at === 2).toString(),
        );
        expect(seen.join('')).toBe('before [CREDENTIAL] after');
      }
    }
  });

  it('overwrites the values that it was given', () => {
    const given = Buffer.from(value);
    using _one = redactionOf([given]);
    expect(given.every((byte) => byte === 0)).toBe(true);
  });

  it('shares what it looks for with others, and overwrites it after the last of them', () => {
    const needles = new Needles([Buffer.from(value)]);
    const two = [new Redaction(needles.shared()), new Redaction(needles.shared())];
    needles[Symbol.dispose]();
    two[0]?.[Symbol.dispose]();
    expect(two[1]?.text(Buffer.from(value).toString('latin1'))).toBe('[CREDENTIAL]');
    two[1]?.[Symbol.dispose]();
    expect(needles.forms.flatMap((form) => [...form]).every((byte) => byte === 0)).toBe(true);
  });

  it('does not look for values of fewer than 8 bytes', () => {
    using one = redactionOf([Buffer.from('1234567')]);
    expect(one.text('1234567')).toBe('1234567');
  });

  it('takes milliseconds beside values of 64 KiB', () => {
    using one = redactionOf(Array.from({ length: 8 }, () => Buffer.alloc(65_536, newSecret())));
    const began = performance.now();
    for (let chunk = 0; chunk < 16; chunk++) one.chunk(Buffer.alloc(65_536, 'tst-tst-'), false);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
