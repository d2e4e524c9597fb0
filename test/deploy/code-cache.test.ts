/** What is left out of a start-up snapshot, and that node starts from what is left. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keepCodeOf } from '../../deploy/image/code-cache.ts';
import { NODE } from '../support/checkout.ts';

function number(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

const withLength = (bytes: Buffer): Buffer => Buffer.concat([number(bytes.length), bytes]);

function snapshotOf(modules: Readonly<Record<string, string>>, before = 'heap'): Buffer {
  const list = Object.entries(modules).map(([name, code]) =>
    Buffer.concat([withLength(Buffer.from(name)), withLength(Buffer.from(code))]),
  );
  return Buffer.concat([Buffer.from(before), number(list.length), ...list]);
}

const MODULES = { fs: 'code of fs', 'internal/http2/core': 'code of http2', 'internal/v8/_x': '' };

describe('the code that a snapshot keeps', () => {
  it('is that of the wanted modules, with everything before the list as it was', () => {
    const { fs, ...others } = MODULES;
    expect(fs).toBe('code of fs');
    expect(keepCodeOf(snapshotOf(MODULES), new Set([...Object.keys(others), 'not/there']))).toEqual(
      snapshotOf(others),
    );
  });

  it.each([
    ['a file that ends early', snapshotOf(MODULES).subarray(0, -1)],
    ['a file with more behind the list', Buffer.concat([snapshotOf(MODULES), Buffer.alloc(1)])],
    ['names that are none', snapshotOf({ 'a b': 'code', 'c d': 'code' })],
    ['nothing', Buffer.alloc(0)],
  ])('is left as it is in %s', (_what, snapshot) => {
    expect(keepCodeOf(snapshot, new Set(Object.keys(MODULES)))).toBeUndefined();
  });

  it('is left as it is where none of the names is known', () => {
    expect(keepCodeOf(snapshotOf(MODULES), new Set(['http2']))).toBeUndefined();
  });

  it("is found in what this project's node writes, which starts without the rest and still loads any module", () => {
    const folder = mkdtempSync(join(tmpdir(), 'msr-code-'));
    try {
      const [script, blob] = [join(folder, 'script.cjs'), join(folder, 'blob')];
      writeFileSync(
        script,
        `require('node:v8').startupSnapshot.setDeserializeMainFunction(() => {
          const load = process.getBuiltinModule;
          console.log(typeof load('http2').connect, typeof load('zlib').gzip, typeof load('crypto').hash);
        });`,
      );
      execFileSync(NODE, [`--snapshot-blob=${blob}`, '--build-snapshot', script]);
      const whole = readFileSync(blob);
      const kept = keepCodeOf(whole, new Set(['http2', 'internal/http2/core', 'net']));
      // Node's own modules have 4 MB of code, and these three 150 kB.
      expect(kept?.length).toBeLessThan(whole.length - 3_000_000);
      writeFileSync(blob, kept ?? '');
      const said = execFileSync(NODE, [`--snapshot-blob=${blob}`], { encoding: 'utf8' });
      expect(said).toBe('function function function\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
