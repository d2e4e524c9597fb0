/** Values that operators choose, by what they are for. Together they set every value of the chart. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const SHA = `sha256:${'0123456789abcdef'.repeat(4)}`;

const OPENAI = {
  provider: {
    name: 'openai',
    type: 'openai',
    credentials: { OPENAI_API_KEY: { source: { type: 'kubernetesSecret', name: 'openai', key: 'token' } } },
  },
};
const MODELS = `provider:
  name: models
  type: custom
  endpoints: [{ host: models.example }]
  credentialsFrom:
    - source: { type: kubernetesSecret, name: team.models-with-a-name-that-is-rather-long }
      mode: allKeys
`;

const NOTHING = {
  component: { enabled: false },
  externalSecrets: { enabled: false },
  networkPolicy: { enabled: false },
  podMonitor: { enabled: false },
  sandboxTemplate: { enabled: false },
};

const OPENAI_PROFILE = readFileSync(join(import.meta.dirname, '../../deploy/profiles/openai.yaml'), 'utf8');

/** The values that docs/helm.md shows. */
const guide = readFileSync(join(import.meta.dirname, '../../docs/helm.md'), 'utf8');
const [POLICIES, AGENTS] = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) =>
  parse(block),
);

export const MATRIX: Readonly<Record<string, object>> = {
  defaults: {},
  'the namespace, too': { namespace: { create: true } },
  'an image by digest, from a private registry': {
    image: {
      repository: 'registry.example/team/secret-resolver',
      digest: SHA,
      pullPolicy: 'IfNotPresent',
      pullSecrets: ['registry'],
    },
    gatewayDriver: { enabled: true },
  },
  'an image by tag': { image: { tag: '9.9.9', pullPolicy: 'Always' } },
  'all policies': { policies: { enabled: true }, ...NOTHING },
  'policies that warn, without injection': {
    policies: {
      enabled: true,
      boundary: { validationActions: ['Warn', 'Audit'] },
      inject: { enabled: false },
    },
  },
  'only injection, for the supervisor pods of OpenShell': {
    policies: {
      enabled: true,
      boundary: { enabled: false },
      reservedSecrets: { enabled: false },
      inject: { openshellSupervisorPods: true },
    },
  },
  'providers and profiles of its own': {
    component: {
      config: { callers: [{ name: 'supervisor', uid: 0, gid: 1000, providers: ['openai', 'models'] }] },
      providers: { 'openai.yaml': OPENAI, 'models.yaml': MODELS },
      profiles: { 'openai.yaml': OPENAI_PROFILE },
      credentials: ['OPENAI_API_KEY'],
      secrets: ['team.models-with-a-name-that-is-rather-long', 'openai'],
    },
    externalSecrets: {
      refreshInterval: '1m30s',
      secretStoreRef: { kind: 'SecretStore', name: 'team' },
      secrets: ['openai', 'team.models-with-a-name-that-is-rather-long'].map((name) => ({
        name,
        data: [{ secretKey: 'token', remoteRef: { key: `team/${name}` } }],
      })),
    },
    sandboxTemplate: { name: 'coder', agentImage: 'a.example/a:2', supervisorImage: 'a.example/s:2' },
  },
  'a configuration for a template of its own': {
    component: {
      config: { agent: { uid: 2000, gid: 2000 }, health: { listen: '0.0.0.0:8087' } },
      injection: { enabled: false },
    },
    sandboxTemplate: { enabled: false },
  },
  'monitoring and a network of its own': {
    dashboard: { enabled: true, labels: { grafana_folder: 'agents' } },
    prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
    podMonitor: { interval: '1m', labels: { release: 'prometheus' } },
    networkPolicy: {
      monitoringNamespace: 'observability',
      extraEgress: [{ to: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }],
    },
  },
  'only the gateway driver': {
    ...NOTHING,
    gatewayDriver: {
      enabled: true,
      config: {
        references: { allow: [{ name: 'team-b', keys: ['token'] }] },
        gatewayDriver: { workspaces: [{ name: 'b', secrets: [{ name: 'team-b', keys: ['token'] }] }] },
      },
      secrets: ['team-b'],
      gateway: { image: 'a.example/gateway:3', serviceAccountName: 'gateway' },
    },
  },
  'a gateway driver for a gateway deployed elsewhere': {
    ...NOTHING,
    gatewayDriver: { enabled: true, gateway: { enabled: false } },
  },
  nothing: NOTHING,
  'all policies but injection, as the guide installs them': POLICIES,
  'agents, as the guide installs them': AGENTS,
};

/** Names of those that configure a resolver. */
export const CONFIGURED = Object.keys(MATRIX).filter(
  (name) => !/only the|elsewhere|nothing|all policies/.test(name),
);
