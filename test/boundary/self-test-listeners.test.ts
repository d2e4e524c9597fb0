import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { AttackReport } from '../../src/boundary/attacks/types.ts';
import { NODE } from '../support/checkout.ts';
import { withDescriptors } from '../support/descriptor-shortage.ts';
import { describeAsRoot } from '../support/root.ts';

describeAsRoot('self-test: many listeners', () => {
  it('asks each, with few descriptors, and takes none for closed that answers', () => {
    const child = join(import.meta.dirname, 'fixtures/many-listeners-child.ts');
    const output = execFileSync('sh', withDescriptors(300, 'unshare', '--net', NODE, child), {
      encoding: 'utf8',
      timeout: 50_000,
    });
    const { outcome, tries } = JSON.parse(output) as AttackReport;
    expect(outcome).toBe('broken');
    expect(new Set(tries.map(({ verdict }) => verdict))).toEqual(new Set(['broken']));
    expect(new Set(tries.map(({ target }) => target)).size).toBe(64);
  });
});
