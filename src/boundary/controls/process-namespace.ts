import { type Control, fail, listed, pass } from '../control.ts';
import { foreign } from './shared/processes.ts';

export const processNamespace: Control = {
  id: 'process-namespace',
  group: 'processes',
  severity: 'info',
  threat:
    'In a shared PID namespace neighbours see the resolver, and may do to it what their UID and capabilities allow.',
  promise: 'The resolver has a PID namespace of its own.',
  check: (facts) => {
    const others = foreign(facts);
    if (others.length === 0) return pass('own PID namespace: no process of another container is in sight');
    const uids = [...new Set(others.flatMap((process) => process.uids))].sort((a, b) => a - b);
    return fail(
      `shared: ${others.length} processes of other containers, UIDs ${listed(uids.map(String))}`,
      'spec.shareProcessNamespace: false, where the supervisor does not need it',
    );
  },
};
