/** While the image's start-up snapshot is written nothing is asked of the kernel. test/daemon/snapshot starts from one. */
import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

vi.mock('node:v8', async (original) => ({
  ...(await original<typeof import('node:v8')>()),
  startupSnapshot: { isBuildingSnapshot: () => true },
}));

const { getDumpable, NativeError, peerCredentials, setNoNewPrivileges, setNonDumpable } = await import(
  '../../src/native/native.ts'
);

const noNewPrivileges = () => /^NoNewPrivs:\t(.)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];

it('changes nothing of the process, and knows no peer', () => {
  const before = noNewPrivileges();
  setNoNewPrivileges();
  setNonDumpable();
  expect(noNewPrivileges()).toBe(before);
  expect(getDumpable()).toBe(0);
  expect(() => peerCredentials(0)).toThrow(NativeError);
});
