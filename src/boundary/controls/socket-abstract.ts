import { ABSENT, NO_SERVICE, REFUSED } from '../attacks/types.ts';
import { type Control, fail, pass } from '../control.ts';
import { networkAttack } from './shared/attacks.ts';

export const socketAbstract: Control = {
  id: 'socket-abstract',
  group: 'socket',
  severity: 'enforce',
  threat: 'An abstract socket has no modes: every container of the pod may connect to it.',
  promise: 'The resolver holds no abstract socket.',
  check: ({ sockets }) =>
    sockets.abstractNames.length === 0
      ? pass('we hold none')
      : fail(
          `we hold ${sockets.abstractNames.length}: every container of the pod may connect to it`,
          'command: ["secret-resolver"]: start it directly, so that it inherits no descriptor',
        ),
  attacks: [
    networkAttack('abstract-sockets', 'ask every abstract socket for credentials', [
      ...REFUSED,
      ...NO_SERVICE,
    ]),
    networkAttack('other-sockets', 'ask every other Unix socket that listens for credentials', [
      ...REFUSED,
      ...ABSENT,
      ...NO_SERVICE,
    ]),
  ],
};
