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
  'GIT_CONFIG_COUNT',
  'OPENSHELL_ENDPOINT',
  'SECRET_RESOLVER_CONFIG',
])('refuses %s as reserved', (name) => {
  expect(nameFault(name)).toBe('reserved-name');
});
