/** The shipped profiles: they load, pass the linter, and allow a credential only to the right endpoints. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { matchEndpoints } from '../../src/client/placeholder-endpoint.ts';
import { lintProfile } from '../../src/config/profile/lint.ts';
import { parseYaml } from '../../src/config/yaml-source.ts';
import { loadWithProfiles } from './folder.ts';

const FOLDER = join(import.meta.dirname, '../../deploy/profiles');
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));

/** For each profile: a variable, an allowed destination, and a refused one. */
const PLACES: readonly (readonly [id: string, variable: string, goesTo: string, notTo: string])[] = [
  ['anthropic', 'ANTHROPIC_API_KEY', 'api.anthropic.com/v1/messages', 'console.anthropic.com/v1/messages'],
  ['bitbucket', 'BITBUCKET_TOKEN', 'api.bitbucket.org/2.0/user', 'evil.bitbucket.io/2.0/user'],
  ['cloudflare', 'CLOUDFLARE_API_TOKEN', 'api.cloudflare.com/client/v4/zones', 'api.cloudflare.com/x'],
  ['datadog', 'DD_API_KEY', 'api.datadoghq.eu/api/v1/validate', 'datadoghq.eu/api/v1/validate'],
  ['docker-registry', 'DOCKER_PASSWORD', 'auth.docker.io/token', 'registry-1.docker.io/v2/'],
  ['gemini', 'GEMINI_API_KEY', 'generativelanguage.googleapis.com/v1beta/models', 'storage.googleapis.com/x'],
  ['ghcr', 'GHCR_TOKEN', 'ghcr.io/v2/owner/image/manifests/1', 'ghcr.io/other'],
  ['gitlab', 'GITLAB_TOKEN', 'gitlab.com/api/v4/user', 'gitlab.com.example.net/api/v4/user'],
  ['huggingface', 'HF_TOKEN', 'huggingface.co/api/whoami-v2', 'evil.hf.space/api'],
  ['jira', 'JIRA_API_TOKEN', 'site.atlassian.net/rest/api/3/myself', 'site.atlassian.net/wiki/x'],
  ['linear', 'LINEAR_API_KEY', 'api.linear.app/graphql', 'api.linear.app/other'],
  ['mistral', 'MISTRAL_API_KEY', 'api.mistral.ai/v1/models', 'api.mistral.ai/'],
  ['notion', 'NOTION_TOKEN', 'api.notion.com/v1/users', 'www.notion.so/v1/users'],
  ['npm', 'NPM_TOKEN', 'registry.npmjs.org/-/whoami', 'registry.yarnpkg.com/-/whoami'],
  ['openai', 'OPENAI_API_KEY', 'api.openai.com/v1/models', 'chatgpt.com/v1/models'],
  ['sentry', 'SENTRY_AUTH_TOKEN', 'de.sentry.io/api/0/', 'evil.sentry.io/api/0/'],
  ['slack', 'SLACK_BOT_TOKEN', 'slack.com/api/auth.test', 'hooks.slack.com/services/x'],
  [
    'telegram',
    'TELEGRAM_BOT_TOKEN',
    'api.telegram.org/bot[CREDENTIAL]/getMe',
    'api.telegram.org/other/getMe',
  ],
];

describe('profiles in deploy/profiles', () => {
  const profiles = new Map(
    FILES.map((file) => [file.replace(/\.yaml$/, ''), readFileSync(join(FOLDER, file), 'utf8')]),
  );
  const loaded = loadWithProfiles(profiles);

  it('are all covered by the tests below', () => {
    expect(PLACES.map(([id]) => id)).toEqual([...profiles.keys()]);
  });

  it.each([...profiles])('%s: named by its id, and without a finding but for the path', (id, text) => {
    const sources = parseYaml(`${id}.yaml`, text);
    const found = sources.map((source) => lintProfile(source));
    // Telegram wants its token in the path, where OpenShell resolves no handle; through the client library it works.
    const fields =
      id === 'telegram' ? ['credentials[0].auth_style', 'endpoints[0].path', 'endpoints[1].path'] : [];
    expect(found.map((one) => one.id)).toEqual([id]);
    expect(found.flatMap(({ findings }) => findings)).toMatchObject(
      fields.map((field) => ({ severity: 'warning', issue: { field } })),
    );
  });

  it.each(PLACES)('%s: %s goes to %s and not to %s', (id, variable, goesTo, notTo) => {
    const provider = loaded.get(id);
    expect(provider?.profileCredentials.flatMap(({ envVars }) => envVars)).toContain(variable);
    const match = (place: string) => {
      const slash = place.indexOf('/');
      const destination = { host: place.slice(0, slash), port: 443, tls: true, path: place.slice(slash) };
      return matchEndpoints(provider?.endpoints ?? [], destination);
    };
    expect(match(goesTo)).toBe('match');
    expect(match(notTo)).toBe('wrong-endpoint');
  });
});
