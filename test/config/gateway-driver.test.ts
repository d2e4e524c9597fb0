/** The credential driver's part of the configuration: what it becomes, and what is refused. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { NAMESPACE, Workspace } from '../support/workspace.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => workspace[Symbol.dispose]());

const SEAL = { name: 'seal', key: 'key' };

function load(gatewayDriver: object) {
  workspace.writeConfig({ gatewayDriver });
  return loadConfig(workspace.configFile, {}).parts.gatewayDriver;
}

describe('gatewayDriver', () => {
  it('allows nobody and nothing unless it is listed', () => {
    expect(load({ handleKey: SEAL, workspaces: [{ name: 'default' }] })).toEqual({
      socket: { path: '/run/secret-resolver/driver/driver.sock', mode: 0o660, gid: undefined },
      callers: [],
      handleKeys: [{ namespace: NAMESPACE, ...SEAL }],
      workspaces: [{ name: 'default', names: new Map(), secrets: [] }],
      required: [],
      mayRead: [{ namespace: NAMESPACE, name: SEAL.name, keys: [SEAL.key] }],
      enabled: false,
    });
  });

  it('takes over what is given; a namespace that is left out is our own', () => {
    expect(
      load({
        socket: { path: '/run/x/y.sock', mode: '0666', gid: 3 },
        callers: [{ name: 'gateway', uid: 7, gid: 8, exe: '/opt/gateway' }],
        handleKey: { namespace: 'ops', name: 'seal', key: 'new', previousKey: 'old' },
        workspaces: [
          {
            name: 'a',
            secrets: [{ name: 'gitlab' }, { namespace: 'tenant-b', name: 'npm', keys: ['token'] }],
            names: { pypi: { name: 'pypi', key: 'token' } },
          },
        ],
      }),
    ).toEqual({
      socket: { path: '/run/x/y.sock', mode: 0o666, gid: 3 },
      callers: [{ name: 'gateway', uid: 7, gid: 8, exe: '/opt/gateway', providers: [] }],
      handleKeys: [
        { namespace: 'ops', name: 'seal', key: 'new' },
        { namespace: 'ops', name: 'seal', key: 'old' },
      ],
      workspaces: [
        {
          name: 'a',
          secrets: [
            { namespace: NAMESPACE, name: 'gitlab', keys: ['*'] },
            { namespace: 'tenant-b', name: 'npm', keys: ['token'] },
          ],
          names: new Map([['pypi', { namespace: NAMESPACE, name: 'pypi', key: 'token' }]]),
        },
      ],
      required: [],
      mayRead: [
        { namespace: NAMESPACE, name: 'gitlab', keys: ['*'] },
        { namespace: 'tenant-b', name: 'npm', keys: ['token'] },
        { namespace: NAMESPACE, name: 'pypi', keys: ['token'] },
        { namespace: 'ops', name: 'seal', keys: ['new'] },
        { namespace: 'ops', name: 'seal', keys: ['old'] },
      ],
      enabled: false,
    });
  });

  it.each<[string, () => object, RegExp]>([
    ['no key to seal handles with', () => ({}), /gatewayDriver\.handleKey: is missing/],
    [
      'a glob for a Secret: each must be mounted, so each has a name',
      () => ({ handleKey: SEAL, workspaces: [{ name: 'a', secrets: [{ name: 'nvbugs-*' }] }] }),
      /workspaces\[0\]\.secrets\[0\]\.name: is not a Kubernetes Secret name/,
    ],
    [
      "the resolver's own socket",
      () => ({ handleKey: SEAL, socket: { path: workspace.socket } }),
      /gatewayDriver\.socket\.path: is the same path as socket\.path \(choose a path of its own\)/,
    ],
    [
      'a workspace twice',
      () => ({ handleKey: SEAL, workspaces: [{ name: 'a' }, { name: 'a' }] }),
      /workspaces\[1\]\.name: a is listed twice/,
    ],
    [
      'the key itself within the reach of a workspace',
      () => ({
        handleKey: SEAL,
        workspaces: [{ name: 'a', secrets: [{ namespace: NAMESPACE, name: 'seal', keys: ['x'] }] }],
      }),
      /workspaces\[0\]\.secrets\[0\]: is the Secret of handleKey/,
    ],
    [
      'a name for the key itself',
      () => ({ handleKey: SEAL, workspaces: [{ name: 'a', names: { seal: { name: 'seal', key: 'key' } } }] }),
      /workspaces\[0\]\.names\.seal: is the Secret of handleKey/,
    ],
    [
      'a name that no user could write',
      () => ({ handleKey: SEAL, workspaces: [{ name: 'a', names: { 'a/b': { name: 'x', key: 'y' } } }] }),
      /workspaces\[0\]\.names\.<name>: the name is not a name/,
    ],
    [
      'the agent for a caller',
      () => ({ handleKey: SEAL, callers: [{ name: 'gateway', uid: 1000 }] }),
      /gatewayDriver\.callers\[0\]\.uid: is the UID of the agent/,
    ],
    [
      'two callers of one name',
      () => ({
        handleKey: SEAL,
        callers: [
          { name: 'gateway', uid: 1 },
          { name: 'gateway', uid: 2 },
        ],
      }),
      /gatewayDriver\.callers\[1\]\.name: is the name of another caller too/,
    ],
  ])('refuses %s', (_, driver, message) => {
    expect(() => load(driver())).toThrow(message);
  });
});
