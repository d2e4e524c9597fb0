/** What a supervisor's author gets from the package's one entry, used as its documentation shows. */
import { describe, expect, it } from 'vitest';
import {
  agentEnvironment,
  formatPlaceholder,
  PlaceholderResolver,
  type ProviderEnvironment,
  parsePlaceholder,
  redactPlaceholders,
  redactTarget,
  SecretValue,
  statusOf,
} from '../../src/client/index.ts';
import { newSecret } from '../support/secrets.ts';

const HANDLE = 'ab'.repeat(32);

function environment(value: string): ProviderEnvironment {
  return {
    revision: 7n,
    sandbox: { id: 'sandbox-0001', name: 'nvbugs', namespace: 'tenant' },
    credentials: new Map([
      [
        'GITLAB_TOKEN',
        {
          key: 'GITLAB_TOKEN',
          provider: 'gitlab',
          value: SecretValue.from(Buffer.from(value)),
          handle: HANDLE,
          identity: 'gitlab:GITLAB_TOKEN',
          endpoints: [{ host: 'gitlab.example.com', port: 443, path: '' }],
          expiresAtMs: undefined,
        },
      ],
    ]),
    refusals: [],
  };
}

describe('the public entry', () => {
  const value = newSecret();
  const placeholders = new PlaceholderResolver();
  placeholders.update(environment(value));
  const { GITLAB_TOKEN: placeholder = '' } = agentEnvironment(environment(value));
  const request = {
    method: 'GET',
    host: 'gitlab.example.com',
    port: 443,
    tls: true,
    target: `/api?private_token=${placeholder}`,
    headers: [['authorization', `Bearer ${placeholder}`]] as const,
    body: undefined,
    rewriteBody: false,
  };

  it('turns the placeholder of the agent into a value on the way out, and shows neither to the log', () => {
    const rewriting = placeholders.rewriteRequest(request, Date.now());
    if (rewriting.kind === 'refused') throw new Error(rewriting.detail);
    expect(rewriting.value.headers).toEqual([['authorization', `Bearer ${value}`]]);
    expect(rewriting.value.target).toBe(`/api?private_token=${value}`);
    expect(rewriting.redacted).toBe('GET gitlab.example.com:443/api?[QUERY]');
  });

  it('refuses another destination with the status that OpenShell answers', () => {
    const rewriting = placeholders.rewriteRequest({ ...request, host: 'evil.example.com' }, Date.now());
    if (rewriting.kind !== 'refused') throw new Error('it was rewritten');
    expect([rewriting.reason, statusOf(rewriting.reason)]).toEqual(['credential_endpoint_mismatch', 403]);
  });

  it('parses, formats and redacts placeholders', () => {
    expect(parsePlaceholder(placeholder)).toEqual({ form: 'handle', key: 'GITLAB_TOKEN', handle: HANDLE });
    expect(formatPlaceholder({ form: 'handle', key: 'GITLAB_TOKEN', handle: HANDLE })).toBe(placeholder);
    expect(redactPlaceholders(`token ${placeholder}.`)).toBe('token [CREDENTIAL].');
    expect(redactTarget(`/x/${placeholder}?a=b`)).toBe('/x/[CREDENTIAL]?[QUERY]');
  });
});
