import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lintProfile } from '../../src/config/profile/lint.ts';
import { parseYaml } from '../../src/config/yaml-source.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { ConfigError } from '../../src/domain/errors.ts';
import { cli } from '../support/cli.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';
import { ENVIRONMENT, MISTAKES, SYNTAX } from './examples.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => workspace[Symbol.dispose]());

/** The message of the error that loading ends with, without the folder. */
function complaint(file = workspace.configFile): string {
  try {
    loadConfig(file, ENVIRONMENT);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).exitCode).toBe(2);
    return (error as ConfigError).message.replaceAll(`${workspace.root}/`, '');
  }
  return 'no complaint';
}

/** Puts a text in the place of the configuration; folders that it does not name come behind it. */
function writeConfigText(text: string): void {
  writeFileSync(
    workspace.configFile,
    `${text}providersDir: ${workspace.root}/providers\nprofilesDir: ${workspace.root}/profiles\n`,
  );
}

describe('a mistake is told with file, line, column, field and what to write', () => {
  test.each(MISTAKES)('$kind: $name', ({ kind, text, expected }) => {
    if (kind === 'config') writeConfigText(text);
    else {
      writeFileSync(join(workspace.root, `${kind}s`, 'p.yaml'), text);
      if (!text.includes('gitlab')) workspace.writeProfile('known.yaml', { id: 'known' });
    }
    expect(complaint().split('\n')).toEqual(expected);
  });
});

describe('what is no YAML, or YAML that is no configuration', () => {
  test.each(SYNTAX)('%s', (_name, text, expected) => {
    writeFileSync(workspace.configFile, text);
    expect(complaint()).toBe(`config.yaml${expected}`);
  });

  test.each(SYNTAX.filter(([name]) => name !== 'two documents' && name !== 'text alone'))(
    'the same in a provider file: %s',
    (_name, text, expected) => {
      writeFileSync(join(workspace.root, 'providers', 'p.yaml'), text);
      expect(complaint()).toContain(`providers/p.yaml${expected}`);
    },
  );
});

test('brackets without end are told as levels, and many names do not take the square of their time', () => {
  writeFileSync(workspace.configFile, '['.repeat(20_000));
  expect(complaint()).toContain(': is nested too deeply (write fewer levels, or close every [ and {)');
  const names = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1\n`).join('');
  const before = process.cpuUsage();
  parseYaml('names.yaml', names);
  const { user } = process.cpuUsage(before);
  // Milliseconds of CPU: a second where each is looked up, half a minute where each is compared with all before it.
  expect(user / 1_000).toBeLessThan(8_000);
});

test('as many complaints as names do not take the square of their time', () => {
  const names = Array.from({ length: 60_000 }, (_, index) => `k${index}: 1\n`).join('');
  const [profile] = parseYaml('names.yaml', `id: a\ndisplay_name: A\n${names}`);
  const before = process.cpuUsage();
  expect(profile && lintProfile(profile).findings.length).toBe(60_000);
  const { user } = process.cpuUsage(before);
  // Milliseconds of CPU: a second where each place is looked up, minutes where it is searched for.
  expect(user / 1_000).toBeLessThan(8_000);
});

describe('files and folders', () => {
  test('a configuration that is not there', () => {
    expect(complaint(join(workspace.root, 'none.yaml'))).toBe(
      'none.yaml: cannot be read: ENOENT (check the path, and that this user may read it)',
    );
  });

  test('a folder as the configuration', () => {
    expect(complaint(join(workspace.root, 'providers'))).toBe(
      'providers: cannot be read: EISDIR (check the path, and that this user may read it)',
    );
  });

  test('folders that are not there', () => {
    rmSync(join(workspace.root, 'providers'), { recursive: true });
    rmSync(join(workspace.root, 'profiles'), { recursive: true });
    expect(complaint().split('\n')).toEqual([
      'config.yaml:7:1: profilesDir: the folder cannot be read: ENOENT (mount the folder, or set the field to where it is)',
      'config.yaml:6:1: providersDir: the folder cannot be read: ENOENT (mount the folder, or set the field to where it is)',
    ]);
  });

  test('a provider file whose link leads nowhere does not hide the mistakes of the next', () => {
    symlinkSync('nowhere', join(workspace.root, 'providers', 'a.yaml'));
    mkdirSync(join(workspace.root, 'providers', 'b.yaml'));
    writeFileSync(join(workspace.root, 'providers', 'c.yaml'), 'provider: 7\n');
    expect(complaint().split('\n')).toEqual([
      'providers/a.yaml: cannot be read: ENOENT (check the path, and that this user may read it)',
      'providers/b.yaml: cannot be read: EISDIR (check the path, and that this user may read it)',
      'providers/c.yaml:1:1: provider: has the wrong type, expected a map of fields (write {name, type, credentials, credentialsFrom, endpoints})',
    ]);
  });

  test('a folder that may not be read', async () => {
    // In a child: root, which may run this, reads everything.
    chmodSync(join(workspace.root, 'providers'), 0o000);
    const asRoot = process.getuid?.() === 0;
    const { code, stdout } = await cli(
      ['config', 'validate', workspace.configFile],
      asRoot ? { uid: 1500, gid: 1500 } : {},
    );
    chmodSync(join(workspace.root, 'providers'), 0o755);
    expect(code).toBe(2);
    expect(stdout).toContain(
      `${workspace.configFile}:6:1: error: providersDir: the folder cannot be read: EACCES [secret-resolver]\n    fix: mount the folder, or set the field to where it is\n`,
    );
  });
});

describe('between files', () => {
  const bulk = { source: { type: 'kubernetesSecret', name: 'x' } };
  const explicit = { source: { type: 'kubernetesSecret', name: 'x', key: 'y' } };

  test('two providers of one name', () => {
    workspace.writeProvider('a.yaml', { name: 'same', type: 'custom', credentials: { A: explicit } });
    workspace.writeProvider('b.yaml', { name: 'same', type: 'custom', credentials: { B: explicit } });
    expect(complaint()).toBe(
      'providers/b.yaml:2:3: provider.name: same is the name of a provider in providers/a.yaml too (give each provider a name of its own)',
    );
  });

  test('two providers that claim one key are both named', () => {
    workspace.writeProvider('a.yaml', { name: 'one', type: 'custom', credentials: { TOKEN: explicit } });
    workspace.writeProvider('b.yaml', { name: 'two', type: 'custom', credentials: { TOKEN: explicit } });
    expect(complaint()).toBe(
      'providers/b.yaml:5:5: provider.credentials.TOKEN: TOKEN is claimed by provider one (providers/a.yaml) and by provider two (keep it in one of the two)',
    );
  });

  test('a claim by profile, by rename and by hand are claims alike', () => {
    workspace.writeProfile('known.yaml', { id: 'known', credentials: [{ name: 'k', env_vars: ['TOKEN'] }] });
    const providers = [
      { name: 'a', type: 'known', credentialsFrom: [{ ...bulk, mode: 'providerProfileKeys' }] },
      { name: 'b', type: 'custom', credentialsFrom: [{ ...bulk, mode: 'allKeys', rename: { x: 'TOKEN' } }] },
      { name: 'c', type: 'custom', credentials: { TOKEN: explicit } },
    ];
    for (const provider of providers) workspace.writeProvider(`${provider.name}.yaml`, provider);
    expect(complaint().split('\n')).toEqual([
      'providers/b.yaml:9:7: provider.credentialsFrom[0].rename: TOKEN is claimed by provider a (providers/a.yaml) and by provider b (keep it in one of the two)',
      'providers/c.yaml:5:5: provider.credentials.TOKEN: TOKEN is claimed by provider a (providers/a.yaml) and by provider c (keep it in one of the two)',
    ]);
  });

  test('two profiles of one id', () => {
    workspace.writeProfile('a.yaml', { id: 'same' });
    workspace.writeProfile('b.yaml', { id: 'same' });
    expect(complaint()).toBe(
      'profiles/b.yaml:1:1: id: is the id of another profile too (give each profile an id of its own)',
    );
  });

  test('mistakes of several files come together', () => {
    workspace.writeConfig({ agent: { uid: 4 }, callers: [{ name: 'a', uid: 4, providers: [] }] });
    workspace.writeProfile('x.yaml', { id: 'X' });
    workspace.writeProvider('x.yaml', { name: 'a b', type: 'custom', endpoints: ENDPOINTS, credentials: {} });
    expect(
      complaint()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(['profiles/x.yaml:1:1:', 'providers/x.yaml:2:3:', 'config.yaml:13:5:']);
  });

  test('a file with thousands of mistakes makes a short message', () => {
    const wrong = Array.from({ length: 3_000 }, (_, index) => `f${index}: 1`).join('\n');
    writeFileSync(workspace.configFile, `${wrong}\n`);
    const lines = complaint().split('\n');
    expect(lines).toHaveLength(101);
    expect(lines[100]).toBe('… and 2900 more');
  });
});

describe('the sandbox', () => {
  test('each part that is set nowhere is named, with its variable', () => {
    workspace.writeConfig({ sandbox: { name: 'here' } });
    expect(() => loadConfig(workspace.configFile, { SECRET_RESOLVER_SANDBOX_ID: '' })).toThrow(
      new RegExp(
        `^${workspace.configFile}:1:1: sandbox\\.id: is not set \\(write it here, or set SECRET_RESOLVER_SANDBOX_ID from the downward API\\)\n` +
          `${workspace.configFile}:1:1: sandbox\\.namespace: is not set \\(write it here, or set SECRET_RESOLVER_SANDBOX_NAMESPACE from the downward API\\)$`,
      ),
    );
  });

  test.each(['../etc', 'Upper', 'a/b', 'x'.repeat(64)])(
    'a namespace %s from the environment is refused',
    (value) => {
      workspace.writeConfig({ sandbox: { id: 'i', name: 'n' } });
      expect(() => loadConfig(workspace.configFile, { SECRET_RESOLVER_SANDBOX_NAMESPACE: value })).toThrow(
        /sandbox\.namespace: SECRET_RESOLVER_SANDBOX_NAMESPACE is not a Kubernetes namespace \(/,
      );
    },
  );

  test('the namespace of the file wins over the environment', () => {
    expect(
      loadConfig(workspace.configFile, { SECRET_RESOLVER_SANDBOX_NAMESPACE: 'other' }).sandbox.namespace,
    ).toBe(NAMESPACE);
  });
});
