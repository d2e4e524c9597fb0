/** The checks in a container of a real gVisor, with its gofer and its /proc. Its peers are in peer-truth.test.ts. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Finding } from '../../src/boundary/finding.ts';
import { breaches, exceptionsOf } from '../../src/boundary/verdict.ts';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { describeIf } from '../support/root.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { RESOLVER_UID } from './pod.ts';
import { MISSING_RUNSC, runsc } from './runsc.ts';

/** An OCI bundle as containerd writes it for the resolver, on the machine's own files. */
function writeBundle(workspace: Workspace, volume: string, args: readonly string[]): string {
  const bundle = join(workspace.root, 'bundle');
  const bind = (source: string, destination: string, mode: string) => ({
    type: 'bind',
    source,
    destination,
    options: ['rbind', mode],
  });
  const run = join(workspace.root, 'run');
  mkdirSync(bundle);
  writeFileSync(
    join(bundle, 'config.json'),
    JSON.stringify({
      ociVersion: '1.0.0',
      process: {
        user: { uid: RESOLVER_UID, gid: RESOLVER_UID },
        args,
        env: ['PATH=/usr/bin:/bin'],
        cwd: '/',
        noNewPrivileges: true,
        capabilities: {},
      },
      root: { path: '/', readonly: true },
      mounts: [
        { type: 'proc', source: 'proc', destination: '/proc' },
        bind(volume, workspace.secret('nvbugs').directory, 'ro'),
        bind(run, run, 'rw'),
      ],
      linux: {
        namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })),
      },
    }),
  );
  return bundle;
}

describeIf('check in a container of gVisor, but for the proof of its peers', MISSING_RUNSC, () => {
  it('proves the boundary, and names what gVisor replaces as exceptions', () => {
    using workspace = new Workspace();
    workspace.writeBulkProvider('nvbugs', 'nvbugs');
    const secret = workspace.secret('nvbugs');
    secret.write({ TOKEN_NAME: newSecret() });
    const volume = join(workspace.root, 'volume');
    mkdirSync(volume);
    const child = join(CHECKOUT, 'test/boundary/fixtures/checks-child.ts');
    const bundle = writeBundle(workspace, volume, [NODE, child, workspace.configFile]);
    const output = runsc(
      [`--root=${join(workspace.root, 'state')}`, 'run', '--bundle', bundle, 'resolver'],
      `mount -t tmpfs -o mode=1777 tmpfs ${volume}; cp -a ${secret.directory}/. ${volume}`,
    );
    const findings = JSON.parse(output) as Finding[];
    expect(breaches(findings)).toEqual([]);
    expect(exceptionsOf(findings)).toEqual([
      'self-seccomp: gVisor: system calls end in its own kernel, under a filter of its own on the node',
      'mount-tmpfs: gVisor: the mount shows the gofer, and not what is behind it: kubelet keeps Secret volumes in memory',
    ]);
    expect(findings.find(({ id }) => id === 'runtime')?.evidence).toMatch(/^gVisor: Linux version /);
  }, 150_000);
});
