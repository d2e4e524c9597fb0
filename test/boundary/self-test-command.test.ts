import { describe, expect, it } from 'vitest';
import { cli } from '../support/cli.ts';
import { describeAsRoot } from '../support/root.ts';
import { Workspace } from '../support/workspace.ts';

describe('self-test: the command line', () => {
  it.for([
    { args: ['--only', 'nosuch'], says: 'There is no such attack' },
    { args: ['--accept', 'nosuch'], says: 'There is no such attack' },
    { args: ['--socket', 'relative.sock'], says: 'Write an absolute path' },
    { args: ['--secrets-root', 'relative'], says: 'Write an absolute path' },
    { args: ['--resolver-uid', 'root'], says: 'Write a numeric user id' },
    { args: ['--resolver-uid', '4294967295'], says: 'Write a numeric user id' },
    { args: ['--secret', '../../etc/passwd'], says: 'Write <namespace>/<name>' },
    { args: ['--output', 'html'], says: 'Allowed choices' },
  ])('refuses $args', async ({ args, says }) => {
    const { code, stdout, stderr } = await cli(['self-test', ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
    expect(stdout).toBe('');
  });

  it('still answers to probe, which no help shows', async () => {
    const { code, stdout } = await cli(['probe', '--help']);
    expect({ code, usage: stdout.split('\n')[0] }).toEqual({
      code: 0,
      usage: 'Usage: secret-resolver self-test [options]',
    });
    expect((await cli(['--help'])).stdout).not.toMatch(/^ +probe/m);
  });

  it('lists every attack in its help', async () => {
    const { code, stdout } = await cli(['self-test', '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}pidfd-getfd +copy a descriptor with pidfd_getfd$/m);
  });
});

/** Outside of a namespace of its own only attacks that touch nothing but files may be made. */
const HARMLESS = ['--only', 'service-account-token', '--output', 'json'];

describeAsRoot('self-test: who runs it', () => {
  it('does not run as root, against whom no boundary holds', async () => {
    const { code, stdout, stderr } = await cli(['self-test', ...HARMLESS]);
    expect(code).toBe(1);
    expect(stderr).toContain('this is root');
    expect(stdout).toBe('');
  });

  it('takes its paths from a configuration that it can read, as the agent that is named there', async () => {
    using workspace = new Workspace();
    const { code, stdout } = await cli(['self-test', '--config', workspace.configFile, ...HARMLESS], {
      uid: 1000,
      gid: 1000,
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      passed: true,
      agent: { uid: 1000 },
      socketPath: workspace.socket,
      secretsRoot: workspace.secretsRoot,
    });
  });

  it('refuses to attack as anybody but the agent of the configuration', async () => {
    using workspace = new Workspace();
    const { code, stderr } = await cli(['self-test', '--config', workspace.configFile, ...HARMLESS], {
      uid: 1001,
      gid: 1001,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('this is uid 1001');
    expect(stderr).toContain('has 1000');
  });

  it('names a configuration that cannot be read', async () => {
    const { code, stderr } = await cli(['self-test', '--config', '/nonexistent/config.yaml'], {
      uid: 1000,
      gid: 1000,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('/nonexistent/config.yaml: cannot be read: ENOENT');
  });
});
