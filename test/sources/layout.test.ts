/** What the boundary checks take a volume's folder for. That they judge by it is tested with real mounts. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { kubeletLayout } from '../../src/sources/kubelet-secret/layout.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secret-resolver-layout-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("knows kubelet's own", () => {
  using workspace = new Workspace();
  const volume = workspace.secret('layout');
  volume.write({ key: newSecret() });
  const { generation, fault } = kubeletLayout(volume.directory);
  expect({ fault, below: generation?.startsWith(`${volume.directory}/..`) }).toEqual({
    fault: undefined,
    below: true,
  });
});

it.each([
  ['no link', () => undefined],
  ['a file in its place', () => writeFileSync(join(folder, '..data'), '')],
])('finds %s', (_, make) => {
  make();
  expect(kubeletLayout(folder)).toEqual({ generation: undefined, fault: 'has no ..data link' });
});

it('names a generation that somebody else made, and looks at it', () => {
  mkdirSync(join(folder, '..mine'));
  symlinkSync('..mine', join(folder, '..data'));
  expect(kubeletLayout(folder)).toEqual({
    generation: join(folder, '..mine'),
    fault: 'has a ..data link that no kubelet made',
  });
});

it.each(['/etc', '../elsewhere', 'key'])('does not follow a link to %s', (target) => {
  symlinkSync(target, join(folder, '..data'));
  expect(kubeletLayout(folder)).toEqual({
    generation: undefined,
    fault: 'has a ..data link that no kubelet made',
  });
});
