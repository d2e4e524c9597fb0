/**
 * The pod of `helm test`: its own command line, environment, UID and read-only root, with the real CLI in the place where
 * the image has it. test/pod/image shows that the image has it there.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BUILD_TIMEOUT_MS, describeWithApiServer } from '../admission/api-server.ts';
import { MAIN, NODE } from '../support/checkout.ts';
import { describeAsRoot } from '../support/root.ts';
import { Helm, isTest, type Manifest, writeConfiguration } from './helm.ts';
import { CONFIGURED, MATRIX } from './matrix.ts';

/** In a mount namespace of its own: the image's command, the pod's volume, and then nothing that can be written. */
const AS_THE_POD = `set -e
node=$1 main=$2 files=$3 target=$4 uid=$5 gid=$6; shift 6
mount -t tmpfs none /usr/local/bin
printf '#!/bin/sh\\nexec "%s" "%s" "$@"\\n' "$node" "$main" >/usr/local/bin/secret-resolver
chmod 755 /usr/local/bin/secret-resolver
mount -t tmpfs none /etc
mkdir -p "$target"
mount --bind "$files" "$target"
mount -o remount,bind,ro "$target"
for path in /etc /usr/local/bin /; do mount -o remount,bind,ro "$path"; if touch "$path/file" 2>/dev/null; then exit 99; fi; done
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"`;

describeAsRoot('as root', () => {
  describeWithApiServer('the pod of `helm test`', () => {
    let helm: Helm;
    beforeAll(async () => {
      helm = await Helm.build();
    }, BUILD_TIMEOUT_MS);
    afterAll(() => {
      helm?.[Symbol.dispose]();
    });

    async function play(values: object) {
      const { objects } = await helm.template(values);
      const { spec } = objects.find(isTest);
      const [container] = spec.containers;
      const [mount] = container.volumeMounts;
      const folder = mkdtempSync(join(helm.folder, 'volume-'));
      const volume = writeConfiguration(objects, folder);
      await execa('chmod', ['-R', 'a=rX', folder, helm.folder]);
      expect(mount).toMatchObject({ name: volume.name, readOnly: true });
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      const { runAsUser, runAsGroup, runAsNonRoot } = spec.securityContext;
      expect(runAsNonRoot && runAsUser > 0 && runAsGroup > 0).toBe(true);
      const place = [NODE, MAIN, folder, mount.mountPath, runAsUser, runAsGroup].map(String);
      const env = Object.fromEntries(container.env.map(({ name, value }: Manifest) => [name, value]));
      return execa(
        'unshare',
        ['--mount', 'sh', '-c', AS_THE_POD, 'pod', ...place, ...container.command, ...container.args],
        { env: { PATH: process.env.PATH, NO_COLOR: '1', ...env }, extendEnv: false, reject: false },
      );
    }

    it.each(CONFIGURED)('ends well with what the chart renders: %s', async (name) => {
      const { exitCode, stdout, stderr } = await play(MATRIX[name] ?? {});
      expect({ exitCode, stderr }, stdout).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout).toContain('/etc/secret-resolver/config.yaml');
    });

    it('fails with the file and the line of what is wrong', async () => {
      const provider = { name: 'a', type: 'custom', endpoint: [] };
      const { exitCode, stdout, stderr } = await play({
        component: { providers: { 'a.yaml': { provider } } },
      });
      expect(exitCode).toBe(2);
      expect(stdout + stderr).toMatch(/\/etc\/secret-resolver\/providers\/a\.yaml:\d+/);
    });
  });
});
