import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
import { NODE } from '../../test/support/checkout.ts';
import { until } from '../../test/support/cli.ts';
import { Patience, processTimes } from './patience.ts';

const SECOND = 1_000;

it('counts what a process ran and slept, and not how long it stood in line', () => {
  const patience = new Patience({ cpuMs: 0, sleeps: false }, 0);
  expect(patience.look({ cpuMs: 300, sleeps: false }, 5 * SECOND)).toBe(300);
  expect(patience.look({ cpuMs: 400, sleeps: true }, 6 * SECOND)).toBe(1_300);
  // Several threads may run for longer than the clock.
  expect(patience.look({ cpuMs: 2_400, sleeps: true }, 7 * SECOND)).toBe(3_300);
  patience.heard();
  expect(patience.look({ cpuMs: 2_500, sleeps: false }, 8 * SECOND)).toBe(100);
});

it('reads what a process does from the kernel', async () => {
  const busy = spawn(NODE, ['-e', 'for (;;);']);
  // A start may be too short to be counted at all: the kernel counts whole ticks.
  const work =
    'const until = performance.now() + 300; while (performance.now() < until); setInterval(() => {}, 1e6)';
  const idle = spawn(NODE, ['-e', work]);
  const times = (pid = 0) => processTimes(pid) ?? { cpuMs: 0, sleeps: false };
  try {
    await until(() => times(busy.pid).cpuMs > 400, 30 * SECOND);
    expect(times(busy.pid).sleeps).toBe(false);
    await until(() => times(idle.pid).cpuMs > 0 && times(idle.pid).sleeps, 30 * SECOND);
  } finally {
    for (const child of [busy, idle]) child.kill('SIGKILL');
  }
  await until(() => busy.exitCode !== null || busy.signalCode !== null);
  expect(processTimes(busy.pid ?? 0)).toBeUndefined();
});
