/** `serve` and its boundary: what it does where the boundary is not proven, and where it breaks later. Real pods. */
import { describe, expect, it } from 'vitest';
import { cli } from '../support/cli.ts';
import { describeAsRoot } from '../support/root.ts';
import { Workspace } from '../support/workspace.ts';
import { AGENT_UID, GOOD_POD, RESOLVER_UID, rootWith, runPod, unprivileged } from './pod.ts';

interface Line {
  readonly class_uid: number;
  readonly time: number;
  readonly message: string;
  readonly unmapped: { readonly outcome?: string; readonly reason?: string; readonly finding?: string };
}

const audit = (stdout: string) =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);

const SERVE = 'app/src/main.ts serve --config pod/etc/config.yaml';

describeAsRoot('serve in a pod', () => {
  it('whose boundary is broken ends with 1, a table on stderr, a finding each, and has served nothing', async () => {
    const { code, stdout, stderr } = await runPod('serve-broken', {
      ...GOOD_POD,
      identity: unprivileged(AGENT_UID),
      seccomp: 'none',
      program: SERVE,
    });
    expect(code).toBe(1);
    expect(stderr).toContain('FAIL  self-uid');
    expect(stderr).toContain('write: securityContext.seccompProfile: {type: RuntimeDefault}');
    expect(stderr).toContain('the isolation boundary is not proven; nothing is served');
    const lines = audit(stdout);
    expect(
      lines.filter(({ class_uid }) => class_uid === 2004).map(({ unmapped }) => unmapped.finding),
    ).toEqual(expect.arrayContaining(['self-uid', 'self-seccomp']));
    // No credential was so much as loaded.
    expect(lines.filter(({ class_uid }) => class_uid !== 2004)).toEqual([]);
  });

  it('serves nothing beside an agent that could become root by a setuid program', async () => {
    const { code, stdout, stderr } = await runPod('serve-escalation', {
      ...GOOD_POD,
      processNamespace: 'shared',
      neighbours: [{ identity: `--reuid ${AGENT_UID} --regid ${AGENT_UID} --clear-groups` }],
      program: SERVE,
    });
    expect(code, stderr).toBe(1);
    const findings = audit(stdout).filter(({ class_uid }) => class_uid === 2004);
    expect(findings.map(({ unmapped }) => unmapped.finding)).toContain('process-escalation');
    expect(stderr).toContain('allowPrivilegeEscalation: false');
  });

  it('is served while the boundary holds, and not from the moment that a process with its UID shows up', async () => {
    const { code, stdout, stderr } = await runPod('serve-drift', {
      ...GOOD_POD,
      processNamespace: 'shared',
      neighbours: [
        { identity: unprivileged(AGENT_UID) },
        {
          // The supervisor: root that reaches the socket, as OpenShell's, and is named as trusted.
          identity: rootWith('dac_override'),
          command: './node app/src/main.ts watch --socket socket-volume/own/resolver.sock',
          volumes: 'socket-read-only',
          afterSeconds: 0,
        },
        { identity: unprivileged(RESOLVER_UID), afterSeconds: 8 },
      ],
      config: 'boundary: {trusted: [{uid: 0}]}',
      program: SERVE,
    });
    expect(code, stderr).toBe(1);
    const lines = audit(stdout);
    const started = lines.findIndex(({ message }) => message === 'resolver started');
    const served = lines.findIndex(({ unmapped }) => unmapped.outcome === 'served');
    const broken = lines.findIndex(({ unmapped }) => unmapped.finding === 'process-same-uid');
    const ended = lines.findIndex(({ unmapped }) => unmapped.reason === 'boundary-broken');
    expect(started, stdout + stderr).toBeGreaterThanOrEqual(0);
    expect(served, stdout + stderr).toBeGreaterThan(started);
    expect(broken).toBeGreaterThan(served);
    // The supervisor's stream ended with it, and nothing was served after.
    expect(lines[ended]).toMatchObject({ message: 'WatchProviderEnvironment: denied' });
    expect(lines.slice(broken).filter(({ unmapped }) => unmapped.outcome === 'served')).toEqual([]);
    expect(lines.at(-1)).toMatchObject({ message: 'resolver stopped' });
    expect((lines[broken]?.time ?? Number.NaN) - (lines[started]?.time ?? Number.NaN)).toBeLessThan(
      8_000 + 15_000,
    );
    expect(stderr).toContain('the isolation boundary is broken; nothing is served from now on');
  });
});

describe('--relaxed', () => {
  it('is refused where a Kubernetes service environment is seen', async () => {
    using workspace = new Workspace();
    const { code, stderr } = await cli(['serve', '--relaxed', '--config', workspace.configFile], {
      env: { KUBERNETES_SERVICE_HOST: '10.0.0.1' },
    });
    expect(code).toBe(1);
    expect(stderr).toContain('--relaxed');
  });
});
