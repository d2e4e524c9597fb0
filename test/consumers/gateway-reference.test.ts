/** References of a gateway's users, and who may use which. */
import { describe, expect, it } from 'vitest';
import { parseReference, permitted } from '../../src/consumers/gateway-driver/gateway-reference.ts';
import { newSecret } from '../support/secrets.ts';

const parse = (text: string) => parseReference(Buffer.from(text));

describe('a reference', () => {
  it.each<[string, object]>([
    ['k8s-secret://tenant/gitlab/token', { namespace: 'tenant', name: 'gitlab', key: 'token' }],
    ['k8s-secret://t-1/a.b-c/db/password', { namespace: 't-1', name: 'a.b-c', key: 'db/password' }],
    ['k8s-secret://t/n/GITLAB_TOKEN', { namespace: 't', name: 'n', key: 'GITLAB_TOKEN' }],
    ['secret-resolver://gitlab', { named: 'gitlab' }],
    ['secret-resolver://team.GitLab_1', { named: 'team.GitLab_1' }],
  ])('%s is read', (text, reference) => {
    expect(parse(text)).toEqual(reference);
  });

  it.each([
    '',
    newSecret('glpat'),
    'k8s-secret://',
    'k8s-secret://tenant',
    'k8s-secret://tenant/gitlab',
    'k8s-secret://tenant/gitlab/',
    'k8s-secret:///gitlab/token',
    'k8s-secret://tenant//token',
    'K8S-SECRET://tenant/gitlab/token',
    'k8s-secret:/tenant/gitlab/token',
    ' k8s-secret://tenant/gitlab/token',
    'k8s-secret://tenant/gitlab/token\n',
    'k8s-secret://tenant/gitlab/to ken',
    'k8s-secret://tenant/gitlab/../../other/token',
    'k8s-secret://tenant/gitlab/..',
    'k8s-secret://tenant/gitlab/..data/token',
    'k8s-secret://tenant/../token',
    'k8s-secret://Tenant/gitlab/token',
    'k8s-secret://tenant/*/token',
    'k8s-secret://tenant/gitlab/token?x',
    'k8s-secret://tenant/gitlab/tök',
    'k8s-secret://tenant/gitlab/a\0b',
    'secret-resolver://',
    'secret-resolver://a/b',
    'secret-resolver://.a',
    'secret-resolver://a\n',
    'secret-resolver:a',
    `secret-resolver://${'a'.repeat(129)}`,
    `k8s-secret://tenant/gitlab/${'a'.repeat(254)}`,
    `k8s-secret://tenant/gitlab/${'a/'.repeat(2_000)}b`,
  ])('%j is none', (text) => {
    expect(parse(text)).toBeUndefined();
  });
});

describe('a workspace', () => {
  const workspaces = [
    {
      name: 'a',
      secrets: [{ namespace: 'tenant', name: 'gitlab', keys: ['token', 'user-*'] }],
      names: new Map([['npm', { namespace: 'tenant', name: 'npm', key: 'token' }]]),
    },
    { name: 'b', secrets: [{ namespace: 'tenant', name: 'npm', keys: ['*'] }], names: new Map() },
    { name: 'c', secrets: [], names: new Map() },
  ];
  const everything = [{ namespace: 'tenant', name: '*', keys: ['*'] }];
  const may = (workspace: string, text: string, allow = everything) => {
    const [namespace = '', name = '', key = ''] = text.split('/');
    return permitted(workspaces, allow, workspace, { namespace, name, key }) !== undefined;
  };

  it.each<[string, string, boolean]>([
    ['a', 'tenant/gitlab/token', true],
    ['a', 'tenant/gitlab/user-1', true],
    ['a', 'tenant/gitlab/other', false],
    ['a', 'tenant/npm/token', false],
    ['a', 'other/gitlab/token', false],
    ['b', 'tenant/npm/anything', true],
    ['c', 'tenant/npm/token', false],
    ['d', 'tenant/npm/token', false],
    ['', 'tenant/npm/token', false],
  ])('%s may refer to %s: %s', (workspace, reference, allowed) => {
    expect(may(workspace, reference)).toBe(allowed);
  });

  it('may refer to nothing that references.allow leaves out', () => {
    expect(may('a', 'tenant/gitlab/token', [])).toBe(false);
    expect(may('a', 'tenant/gitlab/token', [{ namespace: 'tenant', name: 'gitlab', keys: ['x'] }])).toBe(
      false,
    );
  });

  it('means by a name what the operator maps it to, and only in that workspace', () => {
    const npm = { namespace: 'tenant', name: 'npm', key: 'token' };
    expect(permitted(workspaces, everything, 'a', { named: 'npm' })).toEqual(npm);
    expect(permitted(workspaces, everything, 'b', { named: 'npm' })).toBeUndefined();
    expect(permitted(workspaces, everything, 'a', { named: 'other' })).toBeUndefined();
    expect(permitted(workspaces, [], 'a', { named: 'npm' })).toBeUndefined();
  });
});
