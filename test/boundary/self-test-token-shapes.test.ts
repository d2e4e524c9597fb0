import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeFind, findTokens } from '../../src/boundary/attacks/token-shapes.ts';
import { registerSecret } from '../support/secrets.ts';

const hex = (bytes: number) => randomBytes(bytes).toString('hex');
const base64url = (bytes: number) => randomBytes(bytes).toString('base64url');

/** Made at run time, as the leak search asks for; also, no scanner of repositories finds them here. */
const EXAMPLES: Readonly<Record<string, () => string>> = {
  'GitLab token': () => `glpat-${hex(10)}`,
  'GitHub token': () => `ghp_${hex(18)}`,
  'OpenAI or Anthropic key': () => `sk-ant-${hex(20)}`,
  'Slack token': () => `xoxb-${hex(12)}`,
  'AWS access key': () => `AKIA${hex(8).toUpperCase()}`,
  'Google API key': () => `AIza${hex(20).slice(0, 35)}`,
  'NVIDIA key': () => `nvapi-${hex(20)}`,
  'npm token': () => `npm_${hex(18)}`,
  'PyPI token': () => `pypi-${hex(20)}`,
  'Hugging Face token': () => `hf_${hex(17)}`,
  'Vault token': () => `hvs.${hex(15)}`,
  JWT: () => `eyJ${base64url(20)}.${base64url(40)}.${base64url(32)}`,
};

describe('token shapes', () => {
  it.for(Object.keys(EXAMPLES))('finds a %s, and says where and how long, not what', (shape) => {
    const token = registerSecret(EXAMPLES[shape]?.() ?? '');
    const finds = findTokens(`first line\npassword = "${token}"\n`);
    expect(finds).toEqual([{ shape, line: 2, length: token.length }]);
    expect(finds.map(describeFind)).toEqual([`${shape}, ${token.length} characters`]);
  });

  it('finds the beginning of a private key, of whatever kind', () => {
    for (const kind of ['', 'RSA ', 'EC ', 'OPENSSH ', 'ENCRYPTED ']) {
      expect(findTokens(`-----BEGIN ${kind}PRIVATE KEY-----`)).toHaveLength(1);
    }
    expect(findTokens('-----BEGIN CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----')).toEqual([]);
  });

  it('takes no placeholder for a token, in any of its forms', () => {
    const placeholders = [
      'openshell:resolve:env:GITLAB_TOKEN',
      'openshell:resolve:env:v17_GITLAB_TOKEN',
      `openshell:resolve:env:s${hex(32)}_GITLAB_TOKEN`,
      'glpat-OPENSHELL-RESOLVE-ENV-GITLAB_TOKEN',
      'sk-ant-OPENSHELL-RESOLVE-ENV-ANTHROPIC_API_KEY',
    ];
    expect(findTokens(placeholders.join('\n'))).toEqual([]);
  });

  it('takes no prefix for a token that merely is named', () => {
    expect(findTokens('tokens begin with glpat-, ghp_, sk-, xoxb-, AKIA or eyJ')).toEqual([]);
  });

  it('finds a token anywhere in any text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        const token = registerSecret(`glpat-${hex(10)}`);
        const finds = findTokens(`${before} ${token} ${after}`);
        expect(finds.some(({ length }) => length === token.length)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
