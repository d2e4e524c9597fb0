/** The check of the pod that a new UID causes. The boundary of this machine is no pod's: `--relaxed`. */
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { Boundary } from '../../src/daemon/boundary.ts';
import { Audit } from '../../src/observe/audit/audit.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { Workspace } from '../support/workspace.ts';

it.each(['before', 'after'])('comes at once for a UID that connects %s the rounds begin', async (when) => {
  using workspace = new Workspace();
  const config = loadConfig(workspace.configFile, {});
  const ended = new AbortController();
  const boundary = new Boundary({
    config: () => config,
    hardening: { hadNoNewPrivileges: undefined, failed: [] },
    boundSocket: () => undefined,
    relaxed: true,
    audit: new Audit({ write: () => {}, [Symbol.asyncDispose]: async () => {} }, config.sandbox),
    log: new MemoryLog().log,
    signal: ended.signal,
    env: {},
    stderr: new Writable({ write: (_chunk, _encoding, done) => done() }),
  });
  const checkedAtMs = () => boundary.facts?.checkedAtMs ?? 0;
  try {
    await boundary.prove();
    const before = checkedAtMs();
    if (when === 'after') boundary.keepProving(() => {});
    boundary.checkSoon();
    // Longer than the round waits.
    await sleep(200);
    if (when === 'before') {
      expect(checkedAtMs()).toBe(before);
      boundary.keepProving(() => {});
    }
    // The timer's own round comes after 15 s.
    await vi.waitFor(() => expect(checkedAtMs()).toBeGreaterThan(before), 5_000);
  } finally {
    ended.abort();
  }
});
