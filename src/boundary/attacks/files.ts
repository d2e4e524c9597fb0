/** Attacks on what is mounted: Secret volumes at their paths, wherever else, and the service-account token. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../domain/errors.ts';
import { ifReadable } from '../facts/readable.ts';
import { gainInFile, gainInTree } from './read.ts';
import { describeProcess, foreignProcesses, mountsOf } from './surroundings.ts';
import type { Tries } from './tries.ts';
import { ABSENT, type AttackContext, REFUSED } from './types.ts';

/** Paths tried of one process. A resolver mounts a few Secrets; each of its tmpfs is worth a try. */
const MAX_PATHS = 64;

export const SERVICE_ACCOUNT_FOLDERS = [
  '/var/run/secrets/kubernetes.io/serviceaccount',
  '/run/secrets/kubernetes.io/serviceaccount',
];

export const attacks = {
  'secret-paths': attackSecretPaths,
  'secret-volumes': attackSecretVolumes,
  'service-account-token': attackServiceAccountToken,
};

function attackSecretPaths(context: AttackContext, tries: Tries): void {
  const exempt = [...context.allowedMounts, ...SERVICE_ACCOUNT_FOLDERS];
  const foreign = foreignProcesses(context).map((entry) => ({
    entry,
    paths: secretMounts(entry.pid, context),
  }));
  const known = [context.secretsRoot, ...context.secrets.map((id) => join(context.secretsRoot, id))];
  const paths = new Set([...known, ...foreign.flatMap(({ paths }) => paths)]);
  const own = mountsOf('self');
  for (const path of paths) {
    if (exempt.some((folder) => below(path, folder))) continue;
    const mounted = own.some(({ mountPoint }) => mountPoint === path || mountPoint.startsWith(`${path}/`));
    // A path that only another process mounts may be anything here; below the root, whatever can be read counts.
    const ours = below(path, context.secretsRoot) || hasGeneration(path);
    if (!ours) {
      tries.held(path, mounted ? 'mounted here, and no Secret volume' : 'nothing is mounted there');
      continue;
    }
    // Where the volume is mounted for us, a refusal is the file modes' and not the mount's: fsGroup undoes it.
    tries.attempt(path, () => gainInTree(path), mounted ? ABSENT : [...ABSENT, ...REFUSED]);
  }
  for (const { entry, paths: mounts } of foreign) {
    for (const path of new Set([...known, ...mounts])) {
      const target = `${path} of ${describeProcess(entry)}`;
      tries.attemptOnProcess(target, () => gainInTree(`/proc/${entry.pid}/root${path}`), REFUSED);
    }
  }
}

/** Mounts of a process below the secrets root, and every other tmpfs of it where a Secret could be. */
function secretMounts(pid: number, context: AttackContext): string[] {
  const NEVER = /^\/(dev|proc|sys)(\/|$)|^\/$/;
  return mountsOf(pid)
    .filter(
      ({ mountPoint, type }) =>
        below(mountPoint, context.secretsRoot) || (type === 'tmpfs' && !NEVER.test(mountPoint)),
    )
    .map(({ mountPoint }) => mountPoint)
    .slice(0, MAX_PATHS);
}

/** `/var/run` is a link to `/run` in most images, and mountinfo names the latter. */
function below(path: string, root: string): boolean {
  const plain = (text: string) => text.replace(/^\/var\/run\//, '/run/');
  return plain(path) === plain(root) || plain(path).startsWith(`${plain(root)}/`);
}

function hasGeneration(path: string): boolean {
  return ifReadable(() => lstatSync(join(path, '..data'))) !== undefined;
}

function attackSecretVolumes(context: AttackContext, tries: Tries): void {
  const allowed = [...context.allowedMounts, ...SERVICE_ACCOUNT_FOLDERS];
  const mounts = mountsOf('self').filter(
    ({ mountPoint, type }) => type === 'tmpfs' && !allowed.some((folder) => below(mountPoint, folder)),
  );
  if (mounts.length === 0) tries.notApplicable('no tmpfs is mounted here');
  for (const { mountPoint, options } of mounts) {
    try {
      lstatSync(join(mountPoint, '..data'));
    } catch (error) {
      const answer = errorCode(error);
      // Kubelet mounts Secrets read-only. A folder that we cannot read is closed by its mode alone.
      if (options.includes('ro') && !ABSENT.includes(answer)) tries.unclear(mountPoint, answer);
      else tries.held(mountPoint, 'no ..data');
      continue;
    }
    tries.attempt(mountPoint, () => gainInTree(mountPoint));
  }
}

function attackServiceAccountToken(_context: AttackContext, tries: Tries): void {
  for (const folder of SERVICE_ACCOUNT_FOLDERS) {
    const path = join(folder, 'token');
    tries.attempt(path, () => gainInFile(path));
  }
}
