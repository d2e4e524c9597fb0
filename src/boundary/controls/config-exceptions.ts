import { type Control, fail, pass } from '../control.ts';

export const configExceptions: Control = {
  id: 'config-exceptions',
  group: 'configuration',
  severity: 'warn',
  threat:
    'Every check waived by boundary.warn and every process trusted by boundary.trusted weakens the boundary.',
  promise: 'No check is waived and no neighbour is trusted.',
  check: (_, config, enforced) => {
    const { warn, trusted } = config.boundary;
    const idle = warn.filter((id) => !enforced.has(id));
    if (idle.length > 0) {
      return fail(
        `boundary.warn names no enforced check with ${idle.join(', ')}`,
        `boundary.warn: [${warn.filter((id) => enforced.has(id)).join(', ')}]`,
      );
    }
    if (warn.length === 0 && trusted.length === 0)
      return pass('boundary.warn and boundary.trusted are empty');
    const trust = trusted.map(({ uid, exe }) => `UID ${uid}${exe === undefined ? '' : ` with ${exe}`}`);
    return fail(
      [
        ...(warn.length === 0 ? [] : [`only warns: ${warn.join(', ')}`]),
        ...(trust.length === 0 ? [] : [`trusted: ${trust.join(', ')}`]),
      ].join('; '),
      'boundary: {}: once the exceptions are no longer needed',
    );
  },
};
