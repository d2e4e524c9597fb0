import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeAsRoot } from '../support/root.ts';

describeAsRoot('without inotify instances', () => {
  it('falls back to re-reads, and logs this once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'msr-limit-'));
    try {
      // The limit is per user namespace: this lowers it for this one, not for the machine.
      const script = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$0" "$@"';
      const told = execFileSync(
        'unshare',
        [
          ...['--user', '--map-root-user', 'sh', '-c', script],
          ...[process.execPath, join(import.meta.dirname, 'watch-limit-child.ts'), join(folder, 'volume')],
        ],
        { encoding: 'utf8', timeout: 30_000 },
      );
      expect(JSON.parse(told)).toEqual({
        states: [{ token: 'first' }, { token: 'second' }],
        startMs: expect.toSatisfy((ms: number) => ms < 5_000),
        warnings: [
          expect.objectContaining({
            msg: 'watching the volume failed; falling back to periodic reads',
            volume: 'tenant/credentials',
            err: expect.objectContaining({ code: 'EMFILE' }),
          }),
        ],
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
