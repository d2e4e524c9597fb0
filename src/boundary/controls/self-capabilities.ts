import { type Control, fail, pass } from '../control.ts';

export const selfCapabilities: Control = {
  id: 'self-capabilities',
  group: 'self',
  severity: 'enforce',
  threat: 'A compromised resolver can use every capability that it has.',
  promise: 'The resolver has no capability.',
  check: ({ self }) => {
    const { effective, permitted, inheritable, ambient } = self.status.capabilities;
    const held = Object.entries({ effective, permitted, inheritable, ambient })
      .filter(([, names]) => names.length > 0)
      .map(
        ([set, names]) => `${set}: ${names.length > 6 ? `${names.length} capabilities` : names.join(', ')}`,
      );
    return held.length === 0
      ? pass('CapEff, CapPrm, CapInh and CapAmb are empty')
      : fail(held.join('; '), 'securityContext.capabilities.drop: [ALL]');
  },
};
