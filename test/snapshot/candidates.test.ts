import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { BulkSource, ProfileCredential, Provider } from '../../src/config/config.ts';
import { resolve } from '../../src/snapshot/resolve.ts';
import {
  bulk,
  config,
  credential,
  faulty,
  generation,
  type Keys,
  NOW,
  outcome,
  provider,
  reads,
} from './given.ts';

/** Resolves one provider that takes one Secret in bulk. */
function take(from: Partial<BulkSource>, keys: Keys, of: Partial<Provider> = {}) {
  return outcome(resolve(config([provider({ from: [bulk(from)], ...of })]), reads(generation(keys)), NOW));
}

describe('allKeys', () => {
  it('takes every key that is an environment name', () => {
    expect(take({}, { GITLAB_TOKEN: 'a', lower: 'b', constructor: 'c' })).toEqual({
      served: { GITLAB_TOKEN: 'a', lower: 'b', constructor: 'c' },
      refused: {},
    });
  });
  it('refuses each other key under its own name, and serves the rest', () => {
    const long = 'X'.repeat(253);
    expect(
      take({}, { 'gitlab-token': 'a', '.dot': 'b', PATH: 'c', 'line\nbreak': 'd', [long]: 'e', OK: 'f' }),
    ).toEqual({
      served: { [long]: 'e', OK: 'f' },
      refused: {
        'gitlab-token': 'illegal-name',
        '.dot': 'illegal-name',
        PATH: 'reserved-name',
        'line\nbreak': 'illegal-name',
      },
    });
  });
  it('refuses __proto__ by name and is not changed by it', () => {
    const keys = JSON.parse('{"__proto__": "a", "OK": "b"}') as Keys;
    const resolution = resolve(config([provider({ from: [bulk()] })]), reads(generation(keys)), NOW);
    expect(resolution.refusals).toMatchObject([{ key: '__proto__', reason: 'reserved-name' }]);
    expect(outcome(resolution).served).toEqual({ OK: 'b' });
  });
  it('renames', () => {
    const rename = new Map([['gitlab-token', 'GITLAB_TOKEN']]);
    expect(take({ rename }, { 'gitlab-token': 'a', OTHER: 'b' })).toEqual({
      served: { GITLAB_TOKEN: 'a', OTHER: 'b' },
      refused: {},
    });
  });
  it('takes what is included and not excluded, and says so where a key that is included by name is missing', () => {
    const keys = { A: 'a', B: 'b', 'a-b': 'c', PATH: 'd' };
    expect(take({ include: ['A', 'B'], exclude: ['B*'] }, keys)).toEqual({ served: { A: 'a' }, refused: {} });
    expect(take({ exclude: ['PATH', '*-*'] }, keys)).toEqual({ served: { A: 'a', B: 'b' }, refused: {} });
    expect(take({ include: ['A', 'C', 'D*'] }, keys)).toEqual({
      served: { A: 'a' },
      refused: { C: 'key-missing' },
    });
    const rename = new Map([['a-b', 'A_B']]);
    expect(take({ include: ['a-*'], rename }, keys)).toEqual({ served: { A_B: 'c' }, refused: {} });
  });
  it('reads a key in its format', () => {
    const { privateKey } = generateKeyPairSync('ed25519', {
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const keys = { 'tls.key': privateKey, 'tls.crt': 'x\ny' };
    const rename = new Map(Object.entries({ 'tls.key': 'TLS_KEY', 'tls.crt': 'TLS_CRT' }));
    const format = new Map([['tls.key', 'pem' as const]]);
    expect(take({ rename, format }, keys)).toEqual({
      served: { TLS_KEY: privateKey.trimEnd() },
      refused: { TLS_CRT: 'line-break-or-nul' },
    });
  });
  it('says so where a renamed key is not there', () => {
    const rename = new Map([['gitlab-token', 'GITLAB_TOKEN']]);
    expect(take({ rename }, {})).toEqual({ served: {}, refused: { GITLAB_TOKEN: 'key-missing' } });
    expect(take({ rename }, { 'gitlab-token': { fault: 'key-missing' } })).toEqual({
      served: {},
      refused: { GITLAB_TOKEN: 'key-missing' },
    });
  });
  it('refuses both keys if a rename produces the name of another key', () => {
    const rename = new Map([['gitlab-token', 'GITLAB_TOKEN']]);
    expect(take({ rename }, { 'gitlab-token': 'a', GITLAB_TOKEN: 'b' })).toEqual({
      served: {},
      refused: { GITLAB_TOKEN: 'claimed-twice' },
    });
  });
  it('refuses an unreadable key by its name, and does not report keys that only other providers requested', () => {
    expect(take({}, { FOLDER: { fault: 'not-a-file' }, asked: { fault: 'key-missing' } })).toEqual({
      served: {},
      refused: { FOLDER: 'not-a-file' },
    });
  });
  it('gives one refusal for a whole Secret that cannot be read', () => {
    const resolution = resolve(config([provider({ from: [bulk()] })]), reads(faulty('secret-missing')), NOW);
    expect(outcome(resolution)).toEqual({ served: {}, refused: { '*': 'secret-missing' } });
  });
  it('reports the fault of such a Secret even if the operator allows only some of its keys', () => {
    const allow = (name: string) => ({
      references: { allow: [{ namespace: 'tenant', name, keys: ['gitlab-*'] }] },
    });
    const given = [provider({ from: [bulk()] })];
    const read = reads(faulty('secret-missing'));
    expect(outcome(resolve(config(given, allow('credentials')), read, NOW)).refused).toEqual({
      '*': 'secret-missing',
    });
    expect(outcome(resolve(config(given, allow('other')), read, NOW)).refused).toEqual({
      '*': 'reference-not-allowed',
    });
  });
  it('never serves a file whose name is the wildcard for all keys', () => {
    expect(take({}, { '*': 'x' })).toEqual({ served: {}, refused: { '*': 'illegal-name' } });
  });
  it('yields to an explicit mapping of the same provider', () => {
    expect(take({}, { TOKEN: 'bulk', token: 'explicit' }, { credentials: [credential()] })).toEqual({
      served: { TOKEN: 'explicit', token: 'explicit' },
      refused: {},
    });
  });
  it('trims as configured', () => {
    expect(take({}, { A: 'x\n' }).served).toEqual({ A: 'x' });
    expect(take({ trim: 'none' }, { A: 'x\n' }).refused).toEqual({ A: 'line-break-or-nul' });
  });
});

describe('providerProfileKeys', () => {
  const profile = (...credentials: Partial<ProfileCredential>[]) => ({
    profileCredentials: credentials.map((given) => ({
      name: 'api-token',
      envVars: ['GITLAB_TOKEN'],
      required: false,
      ...given,
    })),
  });
  const mode = { mode: 'providerProfileKeys' } as const;

  it('takes the key that equals a declared env_var, and no undeclared one', () => {
    expect(take(mode, { GITLAB_TOKEN: 'a', OTHER: 'b', 'gitlab-token': 'c' }, profile({}))).toEqual({
      served: { GITLAB_TOKEN: 'a' },
      refused: {},
    });
  });
  it("takes the key that equals a credential's name, under its first env_var", () => {
    expect(take(mode, { 'api-token': 'a' }, profile({ envVars: ['FIRST', 'SECOND'] }))).toEqual({
      served: { FIRST: 'a' },
      refused: {},
    });
  });
  it('prefers the env_var to the name', () => {
    expect(take(mode, { GITLAB_TOKEN: 'a', 'api-token': 'b' }, profile({}))).toEqual({
      served: { GITLAB_TOKEN: 'a' },
      refused: {},
    });
  });
  it('takes every alternative that exists', () => {
    const github = profile({ envVars: ['GITHUB_TOKEN', 'GH_TOKEN'] });
    expect(take(mode, { GH_TOKEN: 'a' }, github).served).toEqual({ GH_TOKEN: 'a' });
    expect(take(mode, { GH_TOKEN: 'a', GITHUB_TOKEN: 'b' }, github).served).toEqual({
      GH_TOKEN: 'a',
      GITHUB_TOKEN: 'b',
    });
  });
  it('claims no name for a missing credential that is not required', () => {
    expect(take(mode, {}, profile({}))).toEqual({ served: {}, refused: {} });
    expect(
      take(
        mode,
        { GITLAB_TOKEN: { fault: 'key-missing' }, 'api-token': { fault: 'key-missing' } },
        profile({}),
      ),
    ).toEqual({ served: {}, refused: {} });
  });
  it('refuses a missing required credential under its first env_var', () => {
    expect(take(mode, {}, profile({ required: true, envVars: ['FIRST', 'SECOND'] }))).toEqual({
      served: {},
      refused: { FIRST: 'key-missing!' },
    });
  });
  it('refuses a key that exists but could not be read', () => {
    expect(take(mode, { GITLAB_TOKEN: { fault: 'symlink' } }, profile({})).refused).toEqual({
      GITLAB_TOKEN: 'symlink',
    });
    expect(take(mode, { 'api-token': { fault: 'unreadable' } }, profile({ required: true })).refused).toEqual(
      {
        GITLAB_TOKEN: 'unreadable!',
      },
    );
  });

  describe('a required credential with alternatives', () => {
    const github = profile({ envVars: ['GITHUB_TOKEN', 'GH_TOKEN'], required: true });
    it.each([
      ['both are good', { GITHUB_TOKEN: 'a', GH_TOKEN: 'b' }, {}],
      ['only the first exists', { GITHUB_TOKEN: 'a' }, {}],
      ['only the second exists', { GH_TOKEN: 'b' }, {}],
      ['the first is bad', { GITHUB_TOKEN: '', GH_TOKEN: 'b' }, { GITHUB_TOKEN: 'empty' }],
      ['the second is bad', { GITHUB_TOKEN: 'a', GH_TOKEN: '' }, { GH_TOKEN: 'empty' }],
    ])('is met where %s', (_, keys, refused) => {
      expect(take(mode, keys, github).refused).toEqual(refused);
    });
    it.each([
      ['both are bad', { GITHUB_TOKEN: '', GH_TOKEN: '' }, { GITHUB_TOKEN: 'empty!', GH_TOKEN: 'empty' }],
      ['the only existing one is bad', { GH_TOKEN: '' }, { GH_TOKEN: 'empty!' }],
      ['neither exists', {}, { GITHUB_TOKEN: 'key-missing!' }],
    ])('is not met where %s', (_, keys, refused) => {
      expect(take(mode, keys, github).refused).toEqual(refused);
    });
    it('is not satisfied by a credential of the same name from another provider', () => {
      const mine = provider({ name: 'mine', from: [bulk(mode)], ...github });
      const other = provider({ name: 'other', credentials: [credential({ key: 'GH_TOKEN' })] });
      const resolution = resolve(
        config([mine, other]),
        reads(generation({ GITHUB_TOKEN: '', GH_TOKEN: 'x', token: 'y' })),
        NOW,
      );
      expect(resolution.refusals).toMatchObject([
        { provider: 'mine', key: 'GH_TOKEN', reason: 'claimed-twice', required: false },
        { provider: 'mine', key: 'GITHUB_TOKEN', reason: 'empty', required: true },
      ]);
    });
  });

  it('omits a credential that declares no env_var', () => {
    expect(take(mode, { 'api-token': 'a' }, profile({ envVars: [], required: true }))).toEqual({
      served: {},
      refused: {},
    });
  });
  it('refuses each declared credential if the Secret cannot be read', () => {
    const given = provider({
      from: [bulk(mode)],
      ...profile({}, { name: 'user', envVars: ['USER_NAME'], required: true }, { name: 'x', envVars: [] }),
    });
    for (const read of [reads(faulty('unstable')), new Map()]) {
      const reason = read.size === 0 ? 'secret-missing' : 'unstable';
      expect(outcome(resolve(config([given]), read, NOW))).toEqual({
        served: {},
        refused: { GITLAB_TOKEN: reason, USER_NAME: `${reason}!` },
      });
    }
  });
  it('treats a name that cannot be a file name as a missing key', () => {
    expect(take(mode, { '../token': { fault: 'symlink' } }, profile({ name: '../token' })).refused).toEqual({
      GITLAB_TOKEN: 'symlink',
    });
  });
});

describe('two providers that claim one name', () => {
  const names = (...given: Provider[]) =>
    resolve(config(given), reads(generation({ TOKEN: 'bulk', token: 'explicit' })), NOW);
  const explicit = (name: string) => provider({ name, credentials: [credential()] });
  const inBulk = (name: string) => provider({ name, from: [bulk()] });

  it('both lose it if both take it in bulk', () => {
    const { credentials, refusals } = names(inBulk('a'), inBulk('b'));
    expect(credentials).toEqual([]);
    expect(refusals.map(({ provider, key, reason }) => `${provider} ${key} ${reason}`)).toEqual([
      'a TOKEN claimed-twice',
      'b TOKEN claimed-twice',
      'a token claimed-twice',
      'b token claimed-twice',
    ]);
  });
  it.each([
    ['first', () => names(explicit('a'), inBulk('b'))],
    ['last', () => names(inBulk('b'), explicit('a'))],
  ])('leave it to the explicit one, be it %s', (_, resolution) => {
    const { credentials, refusals } = resolution();
    expect(credentials.map(({ provider, key, value }) => [provider, key, value.reveal().toString()])).toEqual(
      [
        ['a', 'TOKEN', 'explicit'],
        ['b', 'token', 'explicit'],
      ],
    );
    expect(refusals).toMatchObject([{ provider: 'b', key: 'TOKEN', reason: 'claimed-twice' }]);
  });
  it('both lose it if both name it explicitly', () => {
    expect(names(explicit('a'), explicit('b')).refusals).toMatchObject([
      { provider: 'a', reason: 'claimed-twice' },
      { provider: 'b', reason: 'claimed-twice' },
    ]);
  });
  it('do not conflict over two Secrets that cannot be read', () => {
    const { refusals } = resolve(config([inBulk('a'), inBulk('b')]), new Map(), NOW);
    expect(refusals).toMatchObject([
      { provider: 'a', key: '*', reason: 'secret-missing' },
      { provider: 'b', key: '*', reason: 'secret-missing' },
    ]);
  });
});
