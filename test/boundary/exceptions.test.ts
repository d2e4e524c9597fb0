/** A verdict says what it rests on: what nobody could look at is unknown, and what was waived is named wherever it is shown. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/boundary/finding.ts';
import { DANGEROUS_CAPABILITIES } from '../../src/domain/kubernetes.ts';
import { cli, startServe } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { describeAsRoot } from '../support/root.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { GOOD_POD, rootWith, runPod } from './pod.ts';

interface Report {
  readonly state: string;
  readonly exceptions: readonly string[];
  readonly findings: readonly Finding[];
}

const PLAIN_FOLDER = { ...GOOD_POD, mountSecret: 'cp -a "$SOURCE"/. "$TARGET"/' };
const OF_THE_MOUNT = ['mount-point', 'mount-tmpfs', 'mount-read-only', 'mount-sub-path'];

describeAsRoot('a Secret in a plain folder', () => {
  it('is not proven by waiving that it is not a mount', async () => {
    const { stdout, code } = await runPod('waived-mount-point', {
      ...PLAIN_FOLDER,
      config: 'boundary: {warn: [mount-point]}',
    });
    const { state, findings } = JSON.parse(stdout) as Report;
    expect([state, code]).toEqual(['broken', 1]);
    const unknown = findings.filter(({ outcome }) => outcome === 'unknown').map(({ id }) => id);
    expect(unknown.sort()).toEqual(OF_THE_MOUNT.slice(1).sort());
  });

  it('is proven with as many exceptions as checks were waived', async () => {
    const config = `boundary: {warn: [${OF_THE_MOUNT.join(', ')}]}`;
    const { stdout, code } = await runPod('waived-all', { ...PLAIN_FOLDER, config });
    const report = JSON.parse(stdout) as Report;
    expect([report.state, code]).toEqual(['proven', 0]);
    expect([...report.exceptions].sort()).toEqual(
      OF_THE_MOUNT.map((id) => `${id}: waived by boundary.warn`).sort(),
    );
  });
});

describeAsRoot('a root neighbour in a shared PID namespace', () => {
  it.each([...DANGEROUS_CAPABILITIES.keys()])('that holds %s breaks the boundary', async (name) => {
    const { stdout } = await runPod(`neighbour-${name.toLowerCase()}`, {
      ...GOOD_POD,
      processNamespace: 'shared',
      // Where a test's own bounding set lacks one, a user namespace has it.
      userNamespace: true,
      neighbours: [{ identity: rootWith(name.toLowerCase()) }],
    });
    const { state, findings } = JSON.parse(stdout) as Report;
    expect(state).toBe('broken');
    expect(findings.find(({ id }) => id === 'process-capabilities')).toMatchObject({
      outcome: 'fail',
      evidence: expect.stringMatching(new RegExp(`UID 0\\) holds ${name}$`)),
    });
  });

  it('that is trusted is an exception', async () => {
    const { stdout } = await runPod('neighbour-trusted', {
      ...GOOD_POD,
      processNamespace: 'shared',
      neighbours: [{ identity: rootWith('sys_ptrace') }, { identity: rootWith('kill') }],
      config: 'boundary: {trusted: [{uid: 0}]}',
    });
    const { state, exceptions } = JSON.parse(stdout) as Report;
    expect(state).toBe('proven');
    expect(exceptions).toEqual(['process-capabilities: UID 0 is trusted by boundary.trusted']);
  });
});

describe('a proven boundary with exceptions', () => {
  let workspace: Workspace;
  beforeEach(() => {
    workspace = new Workspace();
    workspace.writeBulkProvider('gitlab', 'gitlab');
    workspace.secret('gitlab').write({ TOKEN: newSecret() });
  });
  afterEach(() => workspace[Symbol.dispose]());

  const check = (...args: string[]) => cli(['check', '--config', workspace.configFile, ...args]);

  it('names them in check, serve, log, audit, status and metric', async () => {
    const port = await freePort();
    const metrics = { listen: `127.0.0.1:${port}` };
    workspace.writeConfig({ metrics });
    const { findings } = JSON.parse((await check('--output', 'json')).stdout) as Report;
    const warn = findings
      .filter(({ severity, outcome }) => severity === 'enforce' && outcome !== 'pass')
      .map(({ id }) => id);
    expect(warn.length).toBeGreaterThan(1);
    workspace.writeConfig({ metrics, boundary: { warn } });
    const names = warn.map((id) => `${id}: waived by boundary.warn`);
    const verdict = `the isolation boundary is proven, with ${warn.length} exceptions`;

    const table = await check();
    expect(table.code).toBe(0);
    expect(table.stdout).toContain(`${verdict} (${findings.length} checks)\n`);
    const html = (await check('--output', 'html')).stdout;
    expect(html).toContain(`${verdict}. `);
    expect(html).toContain(`<h2>Exceptions</h2>\n<ul><li>${names[0]}</li>`);
    for (const name of names) expect(table.stdout).toContain(`exception: ${name}\n`);

    await using serve = await startServe(workspace.configFile);
    const proven = serve.stderr.split('\n').find((line) => line.includes(verdict)) ?? '';
    expect(JSON.parse(proven)).toMatchObject({ level: 'warn', msg: verdict, exceptions: names });
    const audited = serve.stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
      .filter(({ unmapped }) => unmapped.exceptions !== undefined);
    expect(audited.map(({ unmapped }) => unmapped.finding).sort()).toEqual([...warn].sort());

    const status = ['status', '--socket', workspace.socket];
    expect((await cli(status)).stdout).toContain(`boundary: proven, with ${warn.length} exceptions\n`);
    expect(JSON.parse((await cli([...status, '-o', 'json'])).stdout).boundary.exceptions).toEqual(names);
    const scraped = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(scraped).toContain(`\nsecret_resolver_boundary_exceptions ${warn.length}\n`);
    expect(scraped).toContain('\nsecret_resolver_boundary_proven 1\n');
  });
});
