import { isReadOnlyMount } from '../../domain/mountinfo.ts';
import { type Control, fail, pass, unknown } from '../control.ts';

const REMEDY = 'securityContext.readOnlyRootFilesystem: true';

export const selfRootFilesystem: Control = {
  id: 'self-root-filesystem',
  group: 'self',
  severity: 'enforce',
  threat: 'A program that can be changed on disk is another program at the next start.',
  promise: 'The root file system of the resolver is read-only.',
  check: ({ mounts }) => {
    const root = mounts.all.findLast(({ mountPoint }) => mountPoint === '/');
    if (root === undefined) return unknown('mountinfo shows no mount at /', REMEDY);
    return isReadOnlyMount(root)
      ? pass(`/ is mounted read-only (${root.type})`)
      : fail(`/ is mounted writable (${root.type})`, REMEDY);
  },
};
