/** Profiles with the ids and the YAML format of OpenShell's built-in ones, as a platform would mount them. */
import { describe, expect, it } from 'vitest';
import { loadWithProfiles } from './folder.ts';

interface BuiltIn {
  readonly yaml: string;
  readonly variables: readonly string[];
  readonly endpoints: readonly string[];
}

const rest = 'protocol: rest, access: read-write, enforcement: enforce';

const BUILT_IN: Readonly<Record<string, BuiltIn>> = {
  aws: {
    yaml: `
id: aws
display_name: AWS
category: other
credentials:
  - name: access_key_id
    env_vars: [AWS_ACCESS_KEY_ID]
    required: true
    refresh:
      strategy: aws_sts_assume_role
      refresh_before_seconds: 300
      additional_outputs: [{output: secret_access_key, credential: secret_access_key}]
      material: [{name: role_arn, required: true, secret: false}]
  - {name: secret_access_key, env_vars: [AWS_SECRET_ACCESS_KEY], required: true}
  - {name: session_token, env_vars: [AWS_SESSION_TOKEN], required: true}
`,
    variables: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'],
    endpoints: [],
  },
  'aws-s3': {
    yaml: `
id: aws-s3
credentials:
  - {name: access_key_id, env_vars: [AWS_ACCESS_KEY_ID], required: true}
endpoints:
  - {host: "*.s3.amazonaws.com", port: 443, ${rest}, credential_signing: sigv4, signing_service: s3}
  - {host: "s3.*.amazonaws.com", ports: [443], ${rest}, credential_signing: sigv4}
  - {host: "*.s3.dualstack.*.amazonaws.com", port: 443, ports: [], ${rest}}
binaries: [/usr/local/bin/aws, "/sandbox/.uv/python/**"]
`,
    variables: ['AWS_ACCESS_KEY_ID'],
    endpoints: ['*.s3.amazonaws.com:443', 's3.*.amazonaws.com:443', '*.s3.dualstack.*.amazonaws.com:443'],
  },
  'aws-bedrock': {
    yaml: `
id: aws-bedrock
description: |
  Models behind a bridge.
  The profile grants no egress.
inference_capable: true
credentials:
  - {name: aws_access_key_id, env_vars: [AWS_ACCESS_KEY_ID], required: false}
  - {name: aws_region, env_vars: [AWS_REGION, AWS_DEFAULT_REGION], required: false}
discovery: {credentials: []}
endpoints: []
binaries: []
`,
    variables: ['AWS_ACCESS_KEY_ID', 'AWS_REGION', 'AWS_DEFAULT_REGION'],
    endpoints: [],
  },
  'claude-code': {
    yaml: `
id: claude-code
category: agent
credentials:
  - {name: api_key, env_vars: [ANTHROPIC_API_KEY, CLAUDE_API_KEY], required: true, auth_style: header, header_name: x-api-key}
endpoints:
  - {host: api.anthropic.com, port: 443, ${rest}}
`,
    variables: ['ANTHROPIC_API_KEY', 'CLAUDE_API_KEY'],
    endpoints: ['api.anthropic.com:443'],
  },
  codex: {
    yaml: `
id: codex
credentials:
  - {name: access_token, env_vars: [CODEX_AUTH_ACCESS_TOKEN], required: true}
  - {name: id_token, env_vars: [CODEX_AUTH_ID_TOKEN]}
discovery: {credentials: [access_token, id_token]}
endpoints:
  - {host: api.openai.com, port: 443, ${rest}}
  - {host: auth.openai.com, port: 443, ${rest}}
  - {host: chatgpt.com, port: 443, ${rest}}
binaries: [/usr/bin/codex]
`,
    variables: ['CODEX_AUTH_ACCESS_TOKEN', 'CODEX_AUTH_ID_TOKEN'],
    endpoints: ['api.openai.com:443', 'auth.openai.com:443', 'chatgpt.com:443'],
  },
  copilot: {
    yaml: `
id: copilot
credentials:
  - {name: api_token, env_vars: [COPILOT_GITHUB_TOKEN, GH_TOKEN, GITHUB_TOKEN], required: true, auth_style: bearer, header_name: authorization}
endpoints:
  - {host: api.githubcopilot.com, port: 443, ${rest}}
  - {host: default.exp-tas.com, port: 443, allow_uninspected_credentials: true}
`,
    variables: ['COPILOT_GITHUB_TOKEN', 'GH_TOKEN', 'GITHUB_TOKEN'],
    endpoints: ['api.githubcopilot.com:443', 'default.exp-tas.com:443'],
  },
  cursor: {
    yaml: `
id: cursor
endpoints:
  - {host: api2.cursor.sh, port: 443}
  - {host: cursor.blob.core.windows.net, port: 443}
`,
    variables: [],
    endpoints: ['api2.cursor.sh:443', 'cursor.blob.core.windows.net:443'],
  },
  deepinfra: {
    yaml: `
id: deepinfra
credentials:
  - {name: api_key, env_vars: [DEEPINFRA_API_KEY], required: true, auth_style: bearer, header_name: authorization}
endpoints: [{host: api.deepinfra.com, port: 443, ${rest}}]
`,
    variables: ['DEEPINFRA_API_KEY'],
    endpoints: ['api.deepinfra.com:443'],
  },
  github: {
    yaml: `
id: github
credentials:
  - {name: api_token, env_vars: [GITHUB_TOKEN, GH_TOKEN], required: true, auth_style: bearer, header_name: authorization}
endpoints:
  - {host: api.github.com, port: 443, protocol: rest, access: read-only}
  - {host: api.github.com, port: 443, path: /graphql, protocol: graphql}
  - host: github.com
    port: 443
    rules:
      - allow: {method: GET, path: "**"}
      - allow: {method: POST, path: "/**/git-upload-pack"}
`,
    variables: ['GITHUB_TOKEN', 'GH_TOKEN'],
    endpoints: ['api.github.com:443', 'api.github.com:443/graphql', 'github.com:443'],
  },
  'google-cloud': {
    yaml: `
id: google-cloud
inference_capable: false
credentials:
  - name: adc_token
    env_vars: [GCP_ADC_ACCESS_TOKEN]
    refresh: {strategy: oauth2_refresh_token, token_url: https://oauth2.googleapis.com/token}
discovery: {credentials: [adc_token]}
`,
    variables: ['GCP_ADC_ACCESS_TOKEN'],
    endpoints: [],
  },
  'google-vertex-ai': {
    yaml: `
id: google-vertex-ai
credentials:
  - {name: gcloud_adc_token, env_vars: [GOOGLE_VERTEX_AI_TOKEN, VERTEX_AI_TOKEN], required: false}
endpoints:
  - {host: "*-aiplatform.googleapis.com", port: 443, ${rest}}
  - {host: aiplatform.googleapis.com, port: 443, ${rest}}
`,
    variables: ['GOOGLE_VERTEX_AI_TOKEN', 'VERTEX_AI_TOKEN'],
    endpoints: ['*-aiplatform.googleapis.com:443', 'aiplatform.googleapis.com:443'],
  },
  nvidia: {
    yaml: `
id: nvidia
credentials:
  - {name: api_key, env_vars: [NVIDIA_API_KEY], required: true, auth_style: bearer, header_name: authorization}
endpoints:
  - {host: integrate.api.nvidia.com, port: 443, ${rest}}
`,
    variables: ['NVIDIA_API_KEY'],
    endpoints: ['integrate.api.nvidia.com:443'],
  },
  pypi: {
    yaml: `
id: pypi
category: data
endpoints:
  - {host: pypi.org, port: 443}
  - {host: files.pythonhosted.org, ports: [443, 80]}
`,
    variables: [],
    endpoints: ['pypi.org:443', 'files.pythonhosted.org:443', 'files.pythonhosted.org:80'],
  },
};

describe('profiles that OpenShell has built in', () => {
  const loaded = loadWithProfiles(new Map(Object.entries(BUILT_IN).map(([id, { yaml }]) => [id, yaml])));

  it.each(Object.entries(BUILT_IN))('%s loads and yields its endpoints', (id, { variables, endpoints }) => {
    const provider = loaded.get(id);
    expect(provider?.profileCredentials.flatMap(({ envVars }) => envVars)).toEqual(variables);
    expect(provider?.endpoints.map(({ host, port, path }) => `${host}:${port}${path}`)).toEqual(endpoints);
  });

  it('github: keeps the order of alternatives and the required flag', () => {
    expect(loaded.get('github')?.profileCredentials).toEqual([
      { name: 'api_token', envVars: ['GITHUB_TOKEN', 'GH_TOKEN'], required: true },
    ]);
  });
});
