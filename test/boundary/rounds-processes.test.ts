/** The rounds beside real processes, in real namespaces. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withDescriptors } from '../support/descriptor-shortage.ts';
import { describeAsRoot } from '../support/root.ts';
import { Workspace } from '../support/workspace.ts';
import {
  AGENT_UID,
  ENTERING,
  ENTERING_IN_SUCCESSION,
  GOOD_POD,
  type PodSpec,
  RESOLVER_UID,
  runPod,
  unprivileged,
} from './pod.ts';

/** The name that the resolver's program takes once it has proven its boundary, on whatever machine. */
const PROVEN = 'grep -qsx proven /proc/[0-9]*/comm';

/** A pod in which, a second after the boundary was proven, another container starts a process with the resolver's UID. */
function intruded(mode: 'timer' | 'now' | 'on'): PodSpec {
  return {
    ...GOOD_POD,
    processNamespace: 'shared',
    neighbours: [
      { identity: unprivileged(AGENT_UID) },
      { identity: unprivileged(RESOLVER_UID), afterSeconds: 1, onceTrue: PROVEN },
    ],
    // The intruder's container is set up by root.
    config: 'boundary: {trusted: [{uid: 0}]}',
    program: `app/test/boundary/fixtures/rounds-child.ts pod/etc/config.yaml ${mode}`,
  };
}

describeAsRoot('a process with our UID in another container', () => {
  it('is noticed by the timer within 15 seconds', async () => {
    const { stdout, stderr } = await runPod('rounds-timer', intruded('timer'));
    expect(stdout, stderr).toMatch(/^\{/);
    const { ids, afterMs } = JSON.parse(stdout) as { ids: string[]; afterMs: number };
    expect(ids).toEqual(['process-same-uid']);
    expect(afterMs).toBeLessThan(15_000);
  });

  it('is noticed at once when asked', async () => {
    const { stdout, stderr } = await runPod('rounds-now', intruded('now'));
    expect(stdout, stderr).toMatch(/^\{/);
    const { ids, rounds, afterMs } = JSON.parse(stdout) as { ids: string[]; rounds: number; afterMs: number };
    expect(ids).toEqual(['process-same-uid']);
    expect(rounds).toBeGreaterThan(1);
    expect(afterMs).toBeLessThan(3_000);
  });
});

/** A pod in which, a second after the boundary was proven, root, which is trusted, goes on with a script. */
function entered(script: string, mode: 'now' | 'on' = 'now'): PodSpec {
  return {
    ...intruded(mode),
    neighbours: [
      { identity: unprivileged(AGENT_UID) },
      {
        identity: '--no-new-privs',
        afterSeconds: 1,
        onceTrue: PROVEN,
        command: `bash -c '${script}'`,
      },
    ],
  };
}

describeAsRoot("a process with the capabilities of the container runtime's own", () => {
  it.each([
    ['one', `setpriv ${ENTERING} sleep 0.7; sleep 60`],
    ['one after the other', ENTERING_IN_SUCCESSION],
  ])('that is gone within two seconds is logged, and breaks nothing: %s', async (_, script) => {
    const { stdout, stderr } = await runPod('rounds-passed', entered(script));
    expect(stdout, stderr).toMatch(/^\{/);
    expect(JSON.parse(stdout)).toMatchObject({ ids: [], passed: ['process-capabilities'] });
  });

  it('that is still there breaks the boundary', async () => {
    const { stdout, stderr } = await runPod('rounds-stayed', entered(`setpriv ${ENTERING} sleep 60`));
    expect(stdout, stderr).toMatch(/^\{/);
    const { ids, afterMs } = JSON.parse(stdout) as { ids: string[]; afterMs: number };
    expect(ids).toEqual(['process-capabilities']);
    expect(afterMs).toBeGreaterThan(2_000);
    expect(afterMs).toBeLessThan(5_000);
  });
});

describeAsRoot('a program that forks so that each check sees another process', () => {
  it('breaks the boundary with the fourth round', async () => {
    const { stdout, stderr } = await runPod('rounds-forks', entered(ENTERING_IN_SUCCESSION, 'on'));
    expect(stdout, stderr).toMatch(/^\{/);
    expect(JSON.parse(stdout)).toMatchObject({ ids: ['process-capabilities'], passes: 4 });
  });
});

// The test's own process is no resolver, so its boundary is broken from the first round on.
describe('a shortage of descriptors', () => {
  it.each(['passes', 'lasts'])('that %s is told from a broken boundary', (story) => {
    using workspace = new Workspace();
    const child = join(import.meta.dirname, 'fixtures', 'rounds-shortage-child.ts');
    const { early, broken } = JSON.parse(
      execFileSync('sh', withDescriptors(200, process.execPath, child, workspace.configFile, story), {
        encoding: 'utf8',
        timeout: 30_000,
      }),
    ) as { early: number; broken: { id: string; evidence: string }[] };
    expect(early).toBe(0);
    if (story === 'lasts') {
      expect(broken).toEqual([{ id: 'process-view', evidence: 'facts could not be taken: EMFILE' }]);
    } else {
      expect(broken.map(({ id }) => id)).toContain('self-dumpable');
      expect(JSON.stringify(broken)).not.toContain('EMFILE');
    }
  });
});
