import { describe, expect, it } from 'vitest';
import { matchEndpoints } from '../../src/client/placeholder-endpoint.ts';

const ON = { host: 'api.example.com', port: 443, tls: true };

describe('endpoints of a credential', () => {
  it.each<readonly [string, string, string, 'match' | 'wrong-endpoint']>([
    ['the same host', 'api.example.com', 'api.example.com', 'match'],
    ['letter case', 'API.example.com', 'api.EXAMPLE.com', 'match'],
    ['a glob for a label', '*.example.com', 'api.example.com', 'match'],
    ['a glob within a label', '*-api.example.com', 'eu-api.example.com', 'match'],
    ['globs in two labels', '*.s3.*.amazonaws.com', 'bucket.s3.eu-west-1.amazonaws.com', 'match'],
    ['a glob over two labels', '*.example.com', 'a.b.example.com', 'wrong-endpoint'],
    ['a glob over no label', '*.example.com', 'example.com', 'wrong-endpoint'],
    ['a glob over an empty label', '*.example.com', '.example.com', 'wrong-endpoint'],
    ['a longer host', 'example.com', 'example.com.evil.test', 'wrong-endpoint'],
    ['a longer label', 'example.com', 'notexample.com', 'wrong-endpoint'],
    ['a dot at the end', 'example.com', 'example.com.', 'wrong-endpoint'],
    ['no host', '*', '', 'wrong-endpoint'],
    ['two stars for a label', '**.example.com', 'a.b.example.com', 'wrong-endpoint'],
  ])('host: %s', (_, pattern, host, expected) => {
    const match = matchEndpoints([{ host: pattern, port: 443, path: '' }], {
      host,
      port: 443,
      tls: true,
      path: '/',
    });
    expect(match).toBe(expected);
  });

  it('port: another one does not match', () => {
    const endpoints = [{ host: 'api.example.com', port: 443, path: '' }];
    expect(matchEndpoints(endpoints, { ...ON, path: '/' })).toBe('match');
    expect(matchEndpoints(endpoints, { ...ON, port: 8443, path: '/' })).toBe('wrong-endpoint');
  });

  it.each<readonly [string, string, 'match' | 'wrong-endpoint' | 'ambiguous-path']>([
    ['', '/anything/../at/all', 'match'],
    ['/**', '/anything%2fat%5call', 'match'],
    ['/api/**', '/api', 'match'],
    ['/api/**', '/api/', 'match'],
    ['/api/**', '/api/v4/user', 'match'],
    ['/api/**', '/%61pi/v4', 'match'],
    ['/api/**', '/apiv4', 'wrong-endpoint'],
    ['/api/**', '/', 'wrong-endpoint'],
    ['/api/**', '/API/v4', 'wrong-endpoint'],
    ['/api/**', '/api/../admin', 'ambiguous-path'],
    ['/api/**', '/api/./admin', 'ambiguous-path'],
    ['/api/**', '/api/%2e%2E/admin', 'ambiguous-path'],
    ['/api/**', '/api/%252e%252e/admin', 'ambiguous-path'],
    ['/api/**', '/api/..;x=1/admin', 'ambiguous-path'],
    ['/api/**', '/api/..%2fadmin', 'ambiguous-path'],
    ['/api/**', '/api/x%2fy', 'ambiguous-path'],
    ['/api/**', '/api\\..\\admin', 'ambiguous-path'],
    ['/api/**', '/api/%5c..', 'ambiguous-path'],
    ['/api/**', '//api/x', 'ambiguous-path'],
    ['/api/**', '/api//x', 'ambiguous-path'],
    ['/api/**', '/api/%00', 'ambiguous-path'],
    ['/api/**', '/api/%3fx', 'ambiguous-path'],
    ['/api/**', '/api/%23x', 'ambiguous-path'],
    ['/api/**', '/api/100%', 'ambiguous-path'],
    ['/api/**', 'api/x', 'ambiguous-path'],
    ['/graphql', '/graphql', 'match'],
    ['/graphql', '/graphql/', 'wrong-endpoint'],
    ['/bot*/**', '/bot[CREDENTIAL]/sendMessage', 'match'],
    ['/v*/models', '/v1/models', 'match'],
    ['/v*/models', '/v1/x/models', 'wrong-endpoint'],
    ['/**/git-upload-pack', '/a/b.git/git-upload-pack', 'match'],
    ['/**/git-upload-pack', '/git-upload-pack', 'match'],
    ['/**/git-upload-pack', '/a/git-receive-pack', 'wrong-endpoint'],
    ['/a/**/b/**/c', '/a/x/b/y/z/c', 'match'],
  ])('path: %s and %s', (pattern, path, expected) => {
    const endpoints = [{ host: 'api.example.com', port: 443, path: pattern }];
    expect(matchEndpoints(endpoints, { ...ON, path })).toBe(expected);
  });

  it('one endpoint must match as a whole: host of one and path of another do not', () => {
    const endpoints = [
      { host: 'api.example.com', port: 443, path: '/api/**' },
      { host: 'files.example.com', port: 443, path: '/files/**' },
    ];
    expect(matchEndpoints(endpoints, { ...ON, path: '/files/x' })).toBe('wrong-endpoint');
    expect(matchEndpoints(endpoints, { ...ON, path: '/api/x' })).toBe('match');
    expect(matchEndpoints([], { ...ON, path: '/api/x' })).toBe('wrong-endpoint');
  });

  it('a pattern full of globs is answered at once', () => {
    const endpoints = [{ host: 'api.example.com', port: 443, path: `/${'**/a*a*a*b/'.repeat(40)}x` }];
    const started = performance.now();
    expect(matchEndpoints(endpoints, { ...ON, path: `/${'aaaaaaaa/'.repeat(200)}y` })).toBe('wrong-endpoint');
    expect(performance.now() - started).toBeLessThan(500);
  });
});
