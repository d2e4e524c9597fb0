/** The look at the pod that a new UID causes. The boundary of this machine is no pod's: `--relaxed`. */
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { UNHARDENED } from '../../src/boundary/harden.ts';
import { loadConfig } from '../../src/consumers/index.ts';
import { Boundary } from '../../src/daemon/boundary.ts';
import { Audit } from '../../src/observe/audit/audit.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { Workspace } from '../support/workspace.ts';

async function prove(workspace: Workspace) {
  const config = loadConfig(workspace.configFile, {});
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const audit = new Audit({ write: () => {}, [Symbol.asyncDispose]: async () => {} }, config.sandbox);
  const boundary = await Boundary.prove(
    config,
    UNHARDENED,
    { relaxed: true, audit, log: new MemoryLog().log },
    { env: {}, stderr: nowhere, signal: new AbortController().signal },
  );
  return { boundary, config };
}

it.each(['before', 'after'])('comes at once for one who connects %s the watch stands', async (when) => {
  using workspace = new Workspace();
  const { boundary, config } = await prove(workspace);
  const ended = new AbortController();
  const keepProving = () =>
    boundary.keepProving(
      () => config,
      () => undefined,
      ended.signal,
      () => {},
    );
  try {
    const { checkedAtMs } = boundary.facts;
    if (when === 'after') keepProving();
    boundary.checkSoon();
    // Longer than the look waits.
    await sleep(200);
    if (when === 'before') {
      expect(boundary.facts.checkedAtMs).toBe(checkedAtMs);
      keepProving();
    }
    // The timer's own look comes after 15 s.
    await vi.waitFor(() => expect(boundary.facts.checkedAtMs).toBeGreaterThan(checkedAtMs), 5_000);
  } finally {
    ended.abort();
  }
});
