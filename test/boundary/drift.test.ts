import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DRIFT_INTERVAL_MS, watchDrift } from '../../src/boundary/drift.ts';
import type { Finding } from '../../src/boundary/finding.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/consumers/index.ts';
import { withDescriptors } from '../support/descriptor-shortage.ts';
import { describeAsRoot } from '../support/root.ts';
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
    program: `app/test/boundary/fixtures/drift-child.ts pod/etc/config.yaml ${mode}`,
  };
}

describeAsRoot('a process with our UID in another container', () => {
  it('is noticed by the timer within 15 seconds', async () => {
    expect(DRIFT_INTERVAL_MS).toBe(15_000);
    const { stdout, stderr } = await runPod('drift-timer', intruded('timer'));
    expect(stdout, stderr).toMatch(/^\{/);
    const { ids, afterMs } = JSON.parse(stdout) as { ids: string[]; afterMs: number };
    expect(ids).toEqual(['process-same-uid']);
    expect(afterMs).toBeLessThan(15_000);
  });

  it('is noticed at once when asked', async () => {
    const { stdout, stderr } = await runPod('drift-now', intruded('now'));
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
  ])('that is gone within two seconds is told of, and breaks nothing: %s', async (_, script) => {
    const { stdout, stderr } = await runPod('drift-passed', entered(script));
    expect(stdout, stderr).toMatch(/^\{/);
    expect(JSON.parse(stdout)).toMatchObject({ ids: [], passed: ['process-capabilities'] });
  });

  it('that is still there breaks the boundary', async () => {
    const { stdout, stderr } = await runPod('drift-stayed', entered(`setpriv ${ENTERING} sleep 60`));
    expect(stdout, stderr).toMatch(/^\{/);
    const { ids, afterMs } = JSON.parse(stdout) as { ids: string[]; afterMs: number };
    expect(ids).toEqual(['process-capabilities']);
    expect(afterMs).toBeGreaterThan(2_000);
    expect(afterMs).toBeLessThan(5_000);
  });
});

describeAsRoot('a program that forks in time to be another process at each look', () => {
  it('breaks the boundary with the fourth round', async () => {
    const { stdout, stderr } = await runPod('drift-forks', entered(ENTERING_IN_SUCCESSION, 'on'));
    expect(stdout, stderr).toMatch(/^\{/);
    expect(JSON.parse(stdout)).toMatchObject({ ids: ['process-capabilities'], passes: 4 });
  });
});

// The test's own process is no resolver: its boundary is broken, for real, from the first round on.
describe('watchDrift', () => {
  let folder: string;
  let config: Config;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'secret-resolver-drift-'));
    const file = join(folder, 'config.yaml');
    mkdirSync(join(folder, 'providers'));
    writeFileSync(
      file,
      `sandbox: {id: a, name: b, namespace: c}
providersDir: ${folder}/providers
socket: {path: ${folder}/own/resolver.sock}
`,
    );
    config = loadConfig(file, {});
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function watch(options: { relaxed?: boolean; signal?: AbortSignal }) {
    const broken: (readonly Finding[])[] = [];
    let rounds = 0;
    const controller = new AbortController();
    const drift = watchDrift({
      config: () => config,
      gatherOptions: () => ({}),
      signal: options.signal ?? controller.signal,
      relaxed: options.relaxed ?? false,
      onFindings: () => {
        rounds++;
      },
      onBroken: (findings) => broken.push(findings),
    });
    return { drift, broken, rounds: () => rounds, end: () => controller.abort() };
  }

  it('reports once, then takes no more facts', async () => {
    const { drift, broken, rounds, end } = watch({});
    await Promise.all([drift.checkNow(), drift.checkNow(), drift.checkNow()]);
    await drift.checkNow();
    expect(broken).toHaveLength(1);
    expect(broken[0]?.map(({ id }) => id)).toContain('self-dumpable');
    expect(broken[0]?.every(({ severity }) => severity === 'enforce')).toBe(true);
    expect(rounds()).toBe(1);
    end();
  });

  it('goes on without a report when relaxed, and shares a round among those who ask meanwhile', async () => {
    const { drift, broken, rounds, end } = watch({ relaxed: true });
    await Promise.all([drift.checkNow(), drift.checkNow(), drift.checkNow(), drift.checkNow()]);
    expect(rounds()).toBe(2);
    expect(broken).toHaveLength(0);
    end();
  });

  it('does nothing once it is ended', async () => {
    const { drift, broken, rounds } = watch({ signal: AbortSignal.abort() });
    await drift.checkNow();
    expect([rounds(), broken.length]).toEqual([0, 0]);
  });

  it.each(['passes', 'lasts'])(
    'a shortage of descriptors that %s is told from a broken boundary',
    (story) => {
      const child = join(import.meta.dirname, 'fixtures', 'drift-shortage-child.ts');
      const { early, broken } = JSON.parse(
        execFileSync('sh', withDescriptors(200, process.execPath, child, config.file, story), {
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
    },
  );
});
