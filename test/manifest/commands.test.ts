/** `inject` and `lint` as commands: real processes, files and pipes. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { cli } from '../support/cli.ts';
import { runInProcess } from '../support/in-process.ts';
import { CONFIG_FILE, readInput } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'secret-resolver-manifest-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const INJECT = ['inject', '--config', CONFIG_FILE, '--image', 'registry.example/secret-resolver:0.1.0'];

describe('inject', () => {
  it('goes through a pipe, and lint of the result exits 0', async () => {
    const input = readInput('sandbox.yaml');
    const injected = await cli([...INJECT, '-f', '-'], { input });
    expect(injected).toMatchObject({ code: 0, stderr: '' });
    expect(injected.stdout).toContain('name: secret-resolver-self-test');

    const linted = await cli(['lint', '-f', '-'], { input: injected.stdout });
    expect(linted.code).toBe(0);
    expect(linted.stdout).toContain('checked Sandbox demo: 0 errors, 0 warnings, 2 notes');

    const back = await cli(['inject', '--uninject', '-f', '-'], { input: injected.stdout });
    expect(back).toMatchObject({ code: 0, stdout: input });
  });

  it('refuses a UID that the API server refuses', async () => {
    const refused = await runInProcess(...INJECT, '--uid', '2147483648', '-f', '-');
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('at most 2147483647') });
  });

  it('tells of a provider whose profile is never read', async () => {
    const config = join(folder, 'no-profiles.yaml');
    writeFileSync(config, readFileSync(CONFIG_FILE, 'utf8').replace(/^profilesDir: .*$/m, ''));
    const providers = join(folder, 'typed');
    mkdirSync(providers);
    const source = '{type: kubernetesSecret, name: gitlab, key: token}';
    writeFileSync(
      join(providers, 'p.yaml'),
      `provider: {name: p, type: gitlab, credentials: {TOKEN: {source: ${source}}}}\n`,
    );
    const manifest = join(folder, 'typed.yaml');
    writeFileSync(manifest, readInput('pod.yaml'));
    const flags = ['-f', manifest, '-c', config, '--image', 'i:1', '--providers', providers];
    expect(await runInProcess('inject', ...flags)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        'note: ' +
          `${config}: provider p has the type gitlab, but profilesDir is not set, so no profile is read and each of its credentials is refused`,
      ),
    });
  });

  it('shows a diff and writes nothing', async () => {
    const file = join(folder, 'diff.yaml');
    writeFileSync(file, readInput('pod.yaml'));
    const { code, stdout } = await cli([...INJECT, '-f', file, '--diff']);
    expect(code).toBe(0);
    expect(stdout).toContain(`--- ${file}\n`);
    expect(stdout).toContain('+    - name: secret-resolver\n');
    expect(stdout.match(/^-(?!--).*/gm)).toEqual(['-  labels: {app: agent}   # kept as it is']);
    expect(readFileSync(file, 'utf8')).toBe(readInput('pod.yaml'));
  });

  it('writes in place, and leaves a file alone in which something is wrong', async () => {
    const file = join(folder, 'place.yaml');
    copyFileSync(join(import.meta.dirname, 'input/job.yaml'), file);
    expect((await cli([...INJECT, '-f', file, '--in-place'])).code).toBe(0);
    const once = readFileSync(file, 'utf8');
    expect(once).toContain('name: secret-resolver');
    await cli([...INJECT, '-f', file, '--in-place']);
    expect(readFileSync(file, 'utf8')).toBe(once);

    const broken = `${readInput('job.yaml')}---\n${readInput('job.yaml').replace('name: agent', 'name: a')}`;
    writeFileSync(file, broken);
    const refused = await cli([...INJECT, '-f', file, '--in-place']);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain(`${file}:35:7: spec.template.spec.containers: no agent found`);
    expect(refused.stderr).toContain('--agent');
    expect(readFileSync(file, 'utf8')).toBe(broken);
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  it('refuses with exit 1 what would break the boundary, unless the rule is named', async () => {
    const input = readInput('pod.yaml').replace('spec:\n', 'spec:\n  hostPID: true\n');
    const refused = await cli([...INJECT, '-f', '-'], { input });
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('[host-pid]');
    expect(refused.stderr).toContain('nothing was written');
    expect((await cli([...INJECT, '-f', '-', '--ignore', 'host-pid'], { input })).code).toBe(0);
  });

  it('asks for a namespace where nobody names one', async () => {
    const input = readInput('pod.yaml').replace('  namespace: tenant-a\n', '');
    const refused = await cli([...INJECT, '-f', '-'], { input });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('pass --namespace');
    const given = await cli([...INJECT, '-f', '-', '-n', 'tenant-b'], { input });
    expect(given.stdout).toContain('mountPath: /var/lib/secret-resolver/secrets/tenant-b/gitlab');
  });

  it('picks containers by flags', async () => {
    const input = readInput('job.yaml')
      .replace('name: agent', 'name: a')
      .replace('name: supervisor', 'name: s');
    const { code, stdout } = await cli([...INJECT, '-f', '-', '--agent', 'a', '--supervisor', 's'], {
      input,
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/"agent":"a","supervisors":\["s"\]/);
  });

  it.each([
    [['inject', '-f', '-'], '--config is missing'],
    [['inject', '-f', '-', '--config', CONFIG_FILE], '--image is missing'],
    [['inject', '-f', '/nowhere/x.yaml', '--uninject'], '/nowhere/x.yaml: cannot be read: ENOENT'],
    [[...INJECT, '-f', '-', '--providers', '/nowhere'], '/nowhere: cannot be read: ENOENT'],
    [[...INJECT, '-f', '-', '--ignore', 'host-pdi'], 'there is no rule host-pdi'],
    [['lint'], '--filename is missing'],
  ])('%j: exit 2', async (args, message) => {
    const result = await cli(args, { input: readInput('pod.yaml') });
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain(message);
  });
});

describe('lint', () => {
  it('exits 1 for findings, 0 for those below --fail-on, 2 for what is not YAML', async () => {
    const input =
      'apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: x}\nspec: {target: {deletionPolicy: Delete}}\n';
    expect((await cli(['lint', '-f', '-'], { input })).code).toBe(1);
    expect((await cli(['lint', '-f', '-', '--fail-on', 'error'], { input })).code).toBe(0);
    const broken = await cli(['lint', '-f', '-', '-o', 'sarif'], { input: 'a: [' });
    expect(broken.code).toBe(2);
    expect(broken.stderr).toContain('<stdin>:1:');
    expect(JSON.parse(broken.stdout).runs[0].invocations[0]).toMatchObject({
      executionSuccessful: false,
      toolExecutionNotifications: [{ level: 'error', locations: [{}] }],
    });
  });

  it('lists its rules', async () => {
    const { code, stdout } = await cli(['lint', '--rules']);
    expect(code).toBe(0);
    expect(stdout).toContain('secret-mounted-elsewhere (error): ');
  });
});
