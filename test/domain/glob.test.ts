import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endpointSchema } from '../../src/config/schema.ts';
import { pathDifferences } from '../../src/domain/glob.ts';
import { compilesHost } from '../support/host-pattern.ts';

const accepts = (host: string) => endpointSchema.shape.host.safeParse(host).success;

describe('the host of an endpoint', () => {
  it.each<[string, boolean]>([
    ['example.com', true],
    ['EXAMPLE.com', true],
    ['*', true],
    ['**', true],
    ['*.example.com', true],
    ['**.example.com', true],
    ['a*b*.example.com', true],
    ['a?.example.com', true],
    ['[ab].example.com', true],
    ['[!a]x.example.com', true],
    ['[]].example.com', true],
    ['a].example.com', true],
    ['a**.example.com', false],
    ['**a.example.com', false],
    ['***', false],
    ['[ab.example.com', false],
    ['[].example.com', false],
    ['[!].example.com', false],
    ['[a.b].example.com', false],
    ['{a,b}.example.com', false],
    ['a..example.com', false],
    ['example.com.', false],
    ['a b.example.com', false],
    ['', false],
  ])('%j: %s, as OpenShell compiles it', (host, compiles) => {
    expect({ accepted: accepts(host), compiles: compilesHost(host) }).toEqual({
      accepted: compiles,
      compiles,
    });
  });

  it('is refused whenever its supervisor would drop every credential of the sandbox for it', () => {
    const label = fc.string({
      unit: fc.constantFrom('a', '*', '?', '[', ']', '!', '-', '{', ' '),
      maxLength: 6,
    });
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 3 }), (labels) => {
        const host = labels.join('.');
        expect(accepts(host) && !compilesHost(host)).toBe(false);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('the path of an endpoint', () => {
  it.each<[string, string[]]>([
    ['', []],
    ['/', []],
    ['/**', []],
    ['/api', []],
    ['/api/**', []],
    ['/api/**/x', []],
    ['/api/*', ['wider-there']],
    ['/v*/messages', ['wider-there']],
    ['/api/**/', ['wider-there']],
    ['/a/*/b/**', ['wider-here']],
    ['/a**', ['wider-here']],
    ['/***', ['wider-here']],
    ['/v[12]/a', ['class']],
    ['/[^a]', ['class']],
    ['/*/v[0-9]', ['wider-there', 'class']],
    ['/v[12]/**', ['nothing-there']],
    ['/[a', ['nothing-there']],
    ['/a]', ['nothing-there']],
    ['/a;b', ['nothing-there']],
    ['/a%2Fb/**', ['nothing-there']],
    ['/caf\u00e9', ['nothing-there']],
  ])('%j differs in OpenShell: %j', (path, differences) => {
    expect(pathDifferences(path)).toEqual(differences);
  });
});
