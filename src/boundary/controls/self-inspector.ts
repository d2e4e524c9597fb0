import { type Control, fail, pass } from '../control.ts';
import { networkAttack } from './shared/attacks.ts';

export const selfInspector: Control = {
  id: 'self-inspector',
  group: 'self',
  severity: 'enforce',
  threat: "Node's inspector runs any code in the process for any client of its port.",
  promise: 'No inspector listens, and SIGUSR1 starts none.',
  check: ({ self }) => {
    const flags = self.nodeFlags.filter((flag) => /^--(inspect|debug|experimental-.*inspect)/.test(flag));
    if (self.inspectorActive || flags.length > 0) {
      return fail(
        self.inspectorActive ? 'the inspector listens' : `started with ${flags.join(' ')}`,
        'args: ["serve", "--config", …] without any --inspect, and no NODE_OPTIONS in env',
      );
    }
    if (self.status.catchesUsr1 || !self.nodeFlags.includes('--disable-sigusr1')) {
      return fail(
        'SIGUSR1 would start the inspector: Node was not started with --disable-sigusr1',
        'command: ["secret-resolver"]: let the command start itself; it adds the flag',
      );
    }
    return pass('no inspector; SIGUSR1 has no handler (--disable-sigusr1)');
  },
  attacks: [
    networkAttack('inspector', 'find a debugger: port 9229, and every listener that answers /json/list', [
      'ECONNREFUSED',
      'not an inspector',
    ]),
  ],
};
