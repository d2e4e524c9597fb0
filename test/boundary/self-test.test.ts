import { describe, expect, it } from 'vitest';
import { ATTACKS } from '../../src/boundary/catalogue.ts';
import { describeAsRoot } from '../support/root.ts';
import { ARRANGEMENTS } from './self-test-arrangements.ts';
import { GOOD_POD } from './self-test-pod-spec.ts';
import { attackIn, reportOf, runPod } from './self-test-support.ts';

const JSON_OUTPUT = ['--output=json'];

describe('table of arrangements', () => {
  it('has a pod for each attack, and none for an attack that does not exist', () => {
    expect(Object.keys(ARRANGEMENTS).toSorted()).toEqual(ATTACKS.map(({ id }) => id).toSorted());
  });
});

describeAsRoot('self-test in a pod in which every fence stands', () => {
  it('finds nothing, says why each attack failed, and leaves the socket as it was', async () => {
    const result = await runPod({ ...GOOD_POD, probeArguments: JSON_OUTPUT });
    const report = reportOf(result);
    const findings = report.attacks.filter(({ outcome }) => outcome === 'broken' || outcome === 'unclear');
    expect(findings).toEqual([]);
    expect(result.exitCode).toBe(0);
    expect(report.passed).toBe(true);
    expect(report.agent).toMatchObject({ uid: 1000, gid: 1000, capabilities: '0000000000000000' });
    const absent = report.attacks.filter(({ outcome }) => outcome === 'not-applicable').map(({ id }) => id);
    expect(absent).toEqual(['abstract-sockets', 'other-sockets']);
    expect(result.socketIntact).toBe(true);
    expect(result.leftBehind).toEqual([]);
    expect(report.durationMs).toBeLessThan(10_000);
    const calls = [
      '/secretresolver.v1.CredentialResolver/GetProviderEnvironment',
      '/secretresolver.v1.CredentialResolver/WatchProviderEnvironment',
      '/secretresolver.v1.CredentialResolver/ListCredentials',
      '/secretresolver.v1.CredentialResolver/GetStatus',
      '/openshell.v1.OpenShell/GetSandboxProviderEnvironment',
      '/openshell.credentials.v1.CredentialDriver/GetCapabilities',
      '/openshell.credentials.v1.CredentialDriver/StoreCredential',
      '/openshell.credentials.v1.CredentialDriver/DeleteCredential',
      '/openshell.credentials.v1.CredentialDriver/ResolveCredentials',
      '/openshell.credentials.v1.CredentialDriver/ListCredentials',
      '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
      '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets',
    ];
    expect(attackIn(report, 'socket-rpcs').tries).toEqual(
      calls.map((target) => ({ target, answer: 'connection closed before any byte', verdict: 'held' })),
    );
  });
});

describeAsRoot('self-test in a broken pod', () => {
  it.for(ATTACKS.map(({ id }) => id))('%s succeeds, and is reported', async (id) => {
    const arrangement = ARRANGEMENTS[id];
    if (arrangement === undefined) throw new Error(`no arrangement for ${id}`);
    const { pod, says } = arrangement;
    const result = await runPod({ ...pod, probeArguments: [...JSON_OUTPUT, `--only=${id}`] });
    const report = reportOf(result);
    const attack = attackIn(report, id);
    expect(attack.outcome, JSON.stringify(attack)).toBe('broken');
    const found = attack.tries
      .filter(({ verdict }) => verdict === 'broken')
      .map(({ target, answer }) => `${target}: ${answer}`);
    expect(found).toContainEqual(expect.stringMatching(says));
    expect(result.exitCode).toBe(1);
    expect(result.leftBehind).toEqual([]);
    // Whatever an attack moved is back in its place; the listener that the flood choked is still choking.
    if (id !== 'backlog') expect(result.socketIntact).toBe(true);
  });
});
