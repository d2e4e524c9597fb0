import { type Control, fail, pass } from '../control.ts';

export const selfBoundingSet: Control = {
  id: 'self-bounding-set',
  group: 'self',
  severity: 'info',
  threat: 'The bounding set limits what a process could ever gain.',
  promise: "The resolver's bounding set is empty.",
  check: ({ self }) => {
    const { bounding } = self.status.capabilities;
    return bounding.length === 0
      ? pass('CapBnd is empty')
      : fail(
          `CapBnd has ${bounding.length} capabilities; with no_new_privs none can be gained`,
          'securityContext.capabilities.drop: [ALL]',
        );
  },
};
