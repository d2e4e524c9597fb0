/** `serve` and its boundary: what it does where the boundary is not proven, and where it breaks later. Real pods. */
import { describe, expect, it } from 'vitest';
import { cli } from '../support/cli.ts';
import { describeAsRoot } from '../support/root.ts';
import { Workspace } from '../support/workspace.ts';
import {
  AGENT_UID,
  ENTERING,
  ENTERING_IN_SUCCESSION,
  GOOD_POD,
  type PodSpec,
  RESOLVER_UID,
  rootWith,
  runPod,
  unprivileged,
} from './pod.ts';

interface Line {
  readonly class_uid: number;
  readonly time: number;
  readonly message: string;
  readonly unmapped: {
    readonly outcome?: string;
    readonly reason?: string;
    readonly finding?: string;
    readonly severity?: string;
    readonly exceptions?: readonly string[];
  };
}

const audit = (stdout: string) =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);

/** Bash: whether the resolver listens. */
const BOUND = '[ -S socket-volume/own/resolver.sock ]';

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
    expect(stderr).toMatch(/^error: .* \[self-uid\]$/m);
    expect(stderr).toContain('fix: securityContext.seccompProfile: {type: RuntimeDefault}');
    expect(stderr).toContain(
      'the isolation boundary is not proven; nothing is served (on a laptop: serve --relaxed)',
    );
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
          onceTrue: BOUND,
          afterSeconds: 0,
        },
        {
          identity: unprivileged(RESOLVER_UID),
          volumes: 'socket-read-only',
          onceTrue: BOUND,
          afterSeconds: 8,
        },
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

/** Bash: the files that show the resolver's command line, once it runs under its own flags. Matches no other, itself least. */
const RESOLVER = 'grep -ls -e "[-]-allow-addons" /proc/[0-9]*/cmdline';
const END_RESOLVER = `for file in $(${RESOLVER}); do kill $(echo $file | tr -dc 0-9); done`;

/** Bash: whether it has made itself non-dumpable, after which it takes its first look. */
const HARDENED = `stat -c %u $(${RESOLVER}) 2> /dev/null | grep -qx 0`;

/** A pod into which a container runtime, which is root and trusted, goes by this script. */
function entered(script: string, ...neighbours: PodSpec['neighbours']): PodSpec {
  return {
    ...GOOD_POD,
    processNamespace: 'shared',
    neighbours: [
      { identity: unprivileged(AGENT_UID) },
      { identity: '--no-new-privs', afterSeconds: 0, command: `bash -c '${script}'` },
      ...neighbours,
    ],
    config: 'boundary: {trusted: [{uid: 0}]}',
    program: SERVE,
  };
}

describeAsRoot('serve in a pod into which an exec goes', () => {
  const GONE = /holds SYS_PTRACE.*; gone at the second check/;

  it('while it proves its boundary looks again, and serves once the process is gone', async () => {
    const { code, stdout, stderr } = await runPod(
      'serve-entered',
      entered(
        `setpriv ${ENTERING} sleep 60 & until ${HARDENED}; do sleep 0.1; done; sleep 1; kill $!; sleep 4; ${END_RESOLVER}; sleep 60`,
      ),
    );
    expect(code, stdout + stderr).toBe(0);
    const lines = audit(stdout);
    const passed = lines.findIndex(({ unmapped }) => unmapped.finding === 'process-capabilities');
    const started = lines.findIndex(({ message }) => message === 'resolver started');
    expect(started, stdout + stderr).toBeGreaterThan(passed);
    expect(lines[passed]).toMatchObject({
      message: expect.stringMatching(GONE),
      unmapped: { severity: 'warn', outcome: 'fail' },
    });
    expect(stderr).toContain(
      'a short-lived process violated the isolation boundary and was gone at the second check',
    );
    expect(stderr).not.toContain('nothing is served');
  });

  it('and is asked to end before it has looked again ends at once, and has served nothing', async () => {
    // The process goes soon after the signal is sent: a resolver that goes on checking would find nothing wrong, and serve.
    const { code, stdout, stderr } = await runPod(
      'serve-entered-ends',
      entered(
        `setpriv ${ENTERING} sleep 60 & until ${HARDENED}; do sleep 0.1; done; sleep 0.5; ${END_RESOLVER}; sleep 1; kill $!; sleep 60`,
      ),
    );
    expect(code, stdout + stderr).toBe(1);
    expect(audit(stdout).map(({ unmapped }) => unmapped.finding)).toEqual([
      'process-capabilities',
      'config-exceptions',
    ]);
    expect(stderr).toContain('the isolation boundary is not proven; nothing is served');
  });

  it('from before the start on, another process in each round, serves nothing', async () => {
    const { code, stdout, stderr } = await runPod('serve-forks', entered(ENTERING_IN_SUCCESSION));
    expect(code, stdout + stderr).toBe(1);
    const lines = audit(stdout);
    expect(lines.map(({ unmapped }) => unmapped.finding)).toEqual([
      'process-capabilities',
      'config-exceptions',
    ]);
    expect(lines[0]).toMatchObject({ unmapped: { severity: 'enforce', outcome: 'fail' } });
    expect(stderr).toContain('the isolation boundary is not proven; nothing is served');
  });

  it('while it serves tells of the process, and goes on', async () => {
    const { code, stdout, stderr } = await runPod(
      'serve-passed',
      entered(
        `until [ -e bound ]; do sleep 0.1; done; for _ in $(seq 60); do setpriv ${ENTERING} sleep 0.5 & sleep 0.2; done; ${END_RESOLVER}; sleep 60`,
        {
          // The supervisor. Its call is the first of a UID, for which the boundary is looked at.
          identity: rootWith('dac_override'),
          command:
            "bash -c 'until [ -S socket-volume/own/resolver.sock ]; do sleep 0.1; done; touch bound; sleep 0.5; exec ./node app/src/main.ts watch --socket socket-volume/own/resolver.sock'",
          volumes: 'socket-read-only',
          afterSeconds: 0,
        },
      ),
    );
    expect(code, stdout + stderr).toBe(0);
    const lines = audit(stdout);
    const served = lines.findIndex(({ unmapped }) => unmapped.outcome === 'served');
    const passed = lines.filter(
      ({ unmapped }) => unmapped.finding === 'process-capabilities' && unmapped.outcome !== 'pass',
    );
    expect(served, stdout + stderr).toBeGreaterThanOrEqual(0);
    expect(passed, stdout + stderr).not.toEqual([]);
    for (const line of passed) {
      expect(line).toMatchObject({
        message: expect.stringMatching(GONE),
        unmapped: { severity: 'warn', outcome: 'fail' },
      });
    }
    expect(stderr).toContain(
      'a short-lived process violated the isolation boundary and was gone at the second check',
    );
    expect(lines.filter(({ unmapped }) => unmapped.reason === 'boundary-broken')).toEqual([]);
  });
});

describeAsRoot('serve under a truthful gVisor, played by what it shows and lacks', () => {
  it('serves a supervisor that it knows by PID, start time and UID', async () => {
    const { code, stdout, stderr } = await runPod('serve-gvisor', {
      ...GOOD_POD,
      runtime: 'gvisor',
      processNamespace: 'shared',
      neighbours: [
        { identity: unprivileged(AGENT_UID) },
        {
          // Root that may reach the socket: the caller of the configuration.
          identity: rootWith('dac_override', 'kill'),
          command: `bash -c './node app/src/main.ts watch --count 1 --socket socket-volume/own/resolver.sock > /dev/null; ${END_RESOLVER}; sleep 60'`,
          volumes: 'socket-read-only',
          onceTrue: BOUND,
          afterSeconds: 1,
        },
      ],
      config: 'boundary: {trusted: [{uid: 0}]}',
      program: SERVE,
    });
    expect(code, stdout + stderr).toBe(0);
    const served = audit(stdout).filter(({ unmapped }) => unmapped.outcome === 'served');
    expect(served, stdout + stderr).toHaveLength(1);
    expect(stderr).toMatch(/the isolation boundary is proven, with \d+ exceptions/);
    expect(stderr).toContain('self-seccomp: gVisor: system calls end in its own kernel');
    const excepted = audit(stdout).filter(({ unmapped }) => unmapped.exceptions !== undefined);
    expect(excepted.map(({ unmapped }) => unmapped.finding)).toEqual(
      expect.arrayContaining(['self-seccomp', 'mount-tmpfs', 'process-secret-mounts']),
    );
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
