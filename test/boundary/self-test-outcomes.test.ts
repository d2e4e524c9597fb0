/** What the self-test says where the boundary is neither as it should be nor wide open. */
import { expect, it } from 'vitest';
import { selfTestCalls } from '../../src/consumers/index.ts';
import { describeAsRoot } from '../support/root.ts';
import { AGENT_UID, podWith, RESOLVER_UID, SECRET_MOUNT } from './self-test-pod-spec.ts';
import { attackIn, reportOf, runPod } from './self-test-support.ts';

/** Of all consumers. */
const EVERY_CALL = selfTestCalls('');

function only(...ids: readonly string[]): string[] {
  return ['--output=json', ...ids.map((id) => `--only=${id}`)];
}

describeAsRoot('self-test: refusals at the wrong fence', () => {
  it('calls it unclear where the Secret is mounted for the agent and only its modes keep it shut', async () => {
    const pod = podWith({
      agent: { secretMountedAt: SECRET_MOUNT },
      secretMode: 0o400,
      probeArguments: only('secret-paths', 'secret-volumes'),
    });
    const result = await runPod(pod);
    expect(attackIn(reportOf(result), 'secret-paths')).toMatchObject({ outcome: 'unclear' });
    expect(attackIn(reportOf(result), 'secret-paths').tries).toContainEqual({
      target: SECRET_MOUNT,
      answer: 'EACCES',
      verdict: 'unclear',
    });
    expect(result.exitCode).toBe(1);
  });

  it('calls it unclear where calls are refused only after they were read', async () => {
    const pod = podWith({
      victim: { admits: [0, AGENT_UID], denies: true },
      probeArguments: only('socket-rpcs'),
    });
    const attack = attackIn(reportOf(await runPod(pod)), 'socket-rpcs');
    expect(attack.outcome).toBe('unclear');
    expect(attack.reason).toContain('gRPC status PERMISSION_DENIED');
  });

  it('calls it unclear where nobody listens, unless told to be lenient', async () => {
    const dead = podWith({
      listener: 'dead',
      probeArguments: only('socket-connect', 'socket-rpcs', 'backlog'),
    });
    const strict = await runPod(dead);
    const outcomes = reportOf(strict).attacks.map(({ outcome, reason }) => [
      outcome,
      reason.includes('ECONNREFUSED'),
    ]);
    expect(outcomes).toEqual(Array(3).fill(['unclear', true]));
    expect(strict.exitCode).toBe(1);
    const lenient = await runPod({ ...dead, probeArguments: [...dead.probeArguments, '--lenient'] });
    expect(lenient.exitCode).toBe(0);
  });

  it('calls it unclear where somebody else than the resolver listens', async () => {
    const pod = podWith({
      probeArguments: [...only('socket-connect'), `--resolver-uid=${RESOLVER_UID + 1}`],
    });
    const attack = attackIn(reportOf(await runPod(pod)), 'socket-connect');
    expect(attack.outcome).toBe('unclear');
    expect(attack.reason).toContain(
      `uid ${RESOLVER_UID} listens, and the resolver has uid ${RESOLVER_UID + 1}`,
    );
  });
});

describeAsRoot('self-test: a shared UID', () => {
  const shared = { uid: AGENT_UID, dumpable: false };
  it('reports the signal that a non-dumpable resolver of our UID would get, and that its memory is shut', async () => {
    const pod = podWith({
      victim: shared,
      socketFolder: { uid: AGENT_UID },
      probeArguments: only('signals', 'process-memory', 'ptrace', 'process-vm-readv', 'socket-connect'),
    });
    const report = reportOf(await runPod(pod));
    const outcomes = Object.fromEntries(report.attacks.map(({ id, outcome }) => [id, outcome]));
    expect(outcomes).toEqual({
      signals: 'broken',
      'process-memory': 'held',
      ptrace: 'held',
      'process-vm-readv': 'held',
      'socket-connect': 'broken',
    });
    expect(attackIn(report, 'socket-connect').reason).toContain(`uid ${AGENT_UID} listens, and that is ours`);
  });

  it('ends the resolver only when real signals were asked for', async () => {
    const pod = podWith({
      victim: shared,
      socketFolder: { uid: AGENT_UID },
      probeArguments: only('signals'),
    });
    expect((await runPod(pod)).socketIntact).toBe(true);
    const real = await runPod({ ...pod, probeArguments: [...pod.probeArguments, '--signals'] });
    expect(attackIn(reportOf(real), 'signals').reason).toContain('SIGUSR1 and SIGTERM delivered');
    expect(real.socketIntact).toBe(false);
  });
});

describeAsRoot('self-test: nothing to attack', () => {
  it('passes over processes that it cannot see, in a PID namespace of its own', async () => {
    const pod = podWith({
      agent: { ownPidNamespace: true },
      probeArguments: only('process-memory', 'signals', 'command-line-search', 'socket-rpcs'),
    });
    const result = await runPod(pod);
    expect(reportOf(result).attacks.map(({ outcome }) => outcome)).toEqual([
      'not-applicable',
      'not-applicable',
      'held',
      'not-applicable',
    ]);
    expect(result.exitCode).toBe(0);
  });

  it('passes over a socket that is not there, and says so', async () => {
    const pod = podWith({
      listener: 'none',
      probeArguments: only('socket-connect', 'socket-unlink', 'backlog'),
    });
    const result = await runPod(pod);
    for (const { outcome, reason } of reportOf(result).attacks) {
      expect([outcome, reason]).toEqual(['not-applicable', expect.stringContaining('(ENOENT)')]);
    }
    // Nothing was attacked: that is no success.
    expect(result.exitCode).toBe(1);
  });
});

describeAsRoot('self-test: what the operator accepts', () => {
  it('shows an accepted attack and does not count it', async () => {
    const pod = podWith({
      agent: { serviceAccountToken: true },
      probeArguments: ['--output=json', '--accept=service-account-token'],
    });
    const result = await runPod(pod);
    expect(attackIn(reportOf(result), 'service-account-token')).toMatchObject({
      outcome: 'broken',
      accepted: true,
    });
    expect(reportOf(result).attacks.filter(({ outcome }) => outcome === 'broken')).toHaveLength(1);
    expect(result.exitCode).toBe(0);
  });

  it('leaves a mount alone that the agent is meant to read', async () => {
    const pod = podWith({
      agent: { secretMountedAt: '/etc/podinfo' },
      probeArguments: ['--output=json', '--allow-mount=/etc/podinfo'],
    });
    expect((await runPod(pod)).exitCode).toBe(0);
  });
});

describeAsRoot('self-test against the real resolver', () => {
  it('finds nothing, and the supervisor is served all the time', async () => {
    const pod = podWith({
      listener: 'serve',
      probeArguments: ['--output=json', `--resolver-uid=${RESOLVER_UID}`],
    });
    const result = await runPod(pod);
    const report = reportOf(result);
    expect(report.attacks.filter(({ outcome }) => outcome === 'broken' || outcome === 'unclear')).toEqual([]);
    expect(result.exitCode).toBe(0);
    expect(attackIn(report, 'socket-rpcs').reason).toBe(
      `connection closed before any byte ×${EVERY_CALL.length}`,
    );
    expect(result.socketIntact).toBe(true);
    expect(result.supervisorServed).toBe(true);
    expect(result.leftBehind).toEqual([]);
  });
});
