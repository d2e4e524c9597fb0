/** Compares the fast search with a naive one: both must find the same. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { forms, SecretSearch, WINDOW } from './secret-search.ts';

it('finds the same as a search for each secret in turn', () => {
  // Two letters, so that ends are alike and texts hold many of them.
  const text = (minLength: number, maxLength: number) =>
    fc
      .array(fc.constantFrom(0x61, 0xff), { minLength, maxLength, size: 'max' })
      .map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(text(WINDOW, 12), { maxLength: 20 }), text(0, 300), (secrets, content) => {
      const plainly = secrets.flatMap((secret, index) => (content.includes(secret) ? [index] : []));
      const found = new SecretSearch(secrets.map((secret) => [secret])).in(content);
      expect(found.toSorted((a, b) => a - b)).toEqual(plainly);
    }),
    { numRuns: 300 },
  );
});

it.each([WINDOW, 31, 60_000])('finds a secret of %i bytes in each form among thousands of others', (size) => {
  const others = Array.from({ length: 2_000 }, () => forms(randomBytes(32)));
  const secret = randomBytes(size);
  const search = new SecretSearch([...others, forms(secret)]);
  for (const form of forms(secret)) {
    expect(search.in(Buffer.concat([randomBytes(1_000), form, randomBytes(1_000)]))).toEqual([others.length]);
    const cut = Buffer.from(form);
    // Other than the first byte in every form: what is not the whole form is not found.
    cut[0] = (cut[0] ?? 0) ^ 0x80;
    expect(search.in(Buffer.concat([randomBytes(1_000), cut, randomBytes(1_000)]))).toEqual([]);
  }
});
