import { NO_SERVICE } from '../attacks/types.ts';
import { type Control, fail, listed, pass } from '../control.ts';
import { networkAttack } from './shared/attacks.ts';

export const socketTcp: Control = {
  id: 'socket-tcp',
  group: 'socket',
  severity: 'enforce',
  threat: 'A TCP port answers the agent and every pod of the cluster, and does not know who asks.',
  promise:
    'The resolver listens on no TCP port but those of health and metrics, and no TCP port has a value.',
  check: ({ sockets }, config) => {
    const allowed = [config.health?.listen.port, config.metrics?.listen.port];
    const others = sockets.tcpListeners.filter(({ port }) => !allowed.includes(port));
    const shown = (list: readonly { address: string; port: number }[]) =>
      listed(list.map(({ address, port }) => `${address}:${port}`));
    if (others.length > 0) {
      return fail(
        `we listen on ${shown(others)}`,
        'command: ["secret-resolver"]: start it directly, without --inspect and without inherited descriptors',
      );
    }
    return pass(sockets.tcpListeners.length === 0 ? 'we listen on none' : shown(sockets.tcpListeners));
  },
  attacks: [networkAttack('tcp-services', 'ask every TCP listener for credentials', NO_SERVICE)],
};
