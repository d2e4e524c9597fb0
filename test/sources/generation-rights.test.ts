/** The resolver is not root: it refuses what its UID cannot read, and reads what it can, even when non-dumpable. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { getDumpable } from '../../src/native/native.ts';
import type { VolumeRead } from '../../src/sources/index.ts';
import { readGeneration } from '../../src/sources/kubelet-secret/generation.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { describeAsRoot } from '../support/root.ts';
import type { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { ALL, only, shown } from './volume-reads.ts';

const UID = 2337;
const GID = 2337;

/** Runs with the permissions of another user. A process that changes its UID is non-dumpable, like the resolver. */
function asOther<T>(action: () => T): T {
  process.setegid?.(GID);
  process.seteuid?.(UID);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

describeAsRoot('a UID without special permissions', () => {
  let workspace: Workspace;
  let volume: SecretVolume;
  const read = (wanted = only('token')): VolumeRead =>
    asOther(() => readGeneration(volume.directory, wanted));

  // Loaded as root, because other users may have no access to the checkout.
  beforeAll(() => void getDumpable());
  beforeEach(() => {
    workspace = new Workspace();
    volume = workspace.secret('credentials');
  });
  afterEach(() => workspace[Symbol.dispose]());

  it('reads a 0444 file while non-dumpable', () => {
    const token = newSecret();
    volume.write({ token });
    expect(asOther(() => [process.geteuid?.(), getDumpable()])).toEqual([UID, expect.not.toBeOneOf([1])]);
    expect(shown(read())).toEqual({ token });
    expect(shown(read(ALL))).toEqual({ token });
  });

  it('reads a file that its group may read', () => {
    const token = newSecret();
    const name = volume.write({ token }, 0o440);
    chownSync(join(volume.directory, name, 'token'), 0, GID);
    expect(shown(read())).toEqual({ token });
  });

  it('refuses a key that it cannot read, and serves the other one', () => {
    const token = newSecret();
    volume.write({ token }, 0o444, (directory) => {
      writeFileSync(join(directory, 'closed'), newSecret(), { mode: 0o400 });
      mkdirSync(join(directory, 'db'), { mode: 0o700 });
      writeFileSync(join(directory, 'db', 'password'), newSecret());
    });
    const descriptors = openDescriptors();
    expect(shown(read(only('token', 'closed', 'db/password')))).toEqual({
      token,
      closed: '!unreadable',
      'db/password': '!unreadable',
    });
    expect(openDescriptors()).toEqual(descriptors);
  });

  it.each([
    ['the generation', (name: string) => join(volume.directory, name)],
    ['the volume', () => volume.directory],
    ['a folder above the volume', () => workspace.secretsRoot],
  ])('refuses if it cannot enter %s', (_, closed) => {
    const name = volume.write({ token: newSecret() });
    chmodSync(closed(name), 0o700);
    expect(read()).toEqual({ kind: 'fault', fault: 'unreadable', code: 'EACCES' });
  });

  it('refuses if all keys are wanted and it can enter the volume but not list it', () => {
    const token = newSecret();
    const name = volume.write({ token });
    chmodSync(join(volume.directory, name), 0o711);
    expect(shown(read(ALL))).toBe('!unreadable');
  });

  it('does not read a device', () => {
    volume.write({}, 0o444, (directory) => {
      // The device number of /dev/zero: reading it would never end.
      execFileSync('mknod', ['-m', '444', join(directory, 'token'), 'c', '1', '5']);
    });
    expect(shown(read())).toEqual({ token: '!not-a-file' });
  });
});
