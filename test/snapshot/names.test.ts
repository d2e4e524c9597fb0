import { expect, it } from 'vitest';
import { nameFault } from '../../src/snapshot/names.ts';

it.each([
  'A',
  '_',
  'GITLAB_TOKEN',
  'gitlab_token',
  'constructor',
  'toString',
  'hasOwnProperty',
  'prototype',
  'v_1',
  'v1',
  's_1',
  `s${'a'.repeat(63)}_X`,
  `s${'A'.repeat(64)}_X`,
  'LDAP_PASSWORD',
  'GIT_TOKEN',
  'GITHUB_TOKEN',
  'NPM_TOKEN',
  'NODE_AUTH_TOKEN',
  'CARGO_REGISTRY_TOKEN',
  'UV_PUBLISH_TOKEN',
  'UV_INDEX_INTERNAL_PASSWORD',
  'PYTHON_API_KEY',
  'PROXY_PASSWORD',
  'http_proxy_user',
  'SSL_CERT',
  'PAGERDUTY_TOKEN',
  'PATHS',
  'A'.repeat(256),
])('takes %s', (name) => {
  expect(nameFault(name)).toBeUndefined();
});

it.each([
  '',
  '1A',
  'A-B',
  'A.B',
  'A B',
  'A=B',
  'A\n',
  'A\0',
  'Ä',
  '\u212a', // KELVIN SIGN: a regular expression that ignores case matches it as K
  '*',
  '../A',
  'db/password',
  'A'.repeat(257),
])('refuses %j as no environment name', (name) => {
  expect(nameFault(name)).toBe('illegal-name');
});

it.each([
  'v1_A',
  'v18446744073709551616_',
  `s${'0'.repeat(64)}_A`,
  '__proto__',
  'PATH',
  'LD_PRELOAD',
  'DYLD_INSERT_LIBRARIES',
  'NODE_OPTIONS',
  'BASH_ENV',
  'BASH_FUNC_x',
  ...['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'no_proxy'],
  ...['Https_Proxy', 'socks5_proxy', 'FTP_PROXY', 'YARN_HTTPS_PROXY', 'npm_config_https_proxy'],
  ...[
    'REQUESTS_CA_BUNDLE',
    'CURL_CA_BUNDLE',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'SSLKEYLOGFILE',
    'GIT_SSL_NO_VERIFY',
  ],
  ...['GIT_SSH_COMMAND', 'GIT_ASKPASS', 'GIT_EXEC_PATH', 'GIT_PROXY_COMMAND', 'SSH_AUTH_SOCK'],
  ...[
    'NPM_CONFIG_REGISTRY',
    'npm_config_cafile',
    'PIP_INDEX_URL',
    'UV_INDEX_URL',
    'GOPROXY',
    'PYTHONBREAKPOINT',
  ],
  'GIT_CONFIG_COUNT',
  'OPENSHELL_ENDPOINT',
  'SECRET_RESOLVER_CONFIG',
])('refuses %s as reserved', (name) => {
  expect(nameFault(name)).toBe('reserved-name');
});
