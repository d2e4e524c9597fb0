import { Annotation } from '../../manifest/names.ts';
import { CLOSED, REFUSED } from '../attacks/types.ts';
import { type Control, cel } from '../control.ts';
import { floodAttack, socketAttack } from './shared/attacks.ts';
import { isSupervisor, mountsOf, others, socketVolumes } from './shared/pod.ts';

const RIGHT = [CLOSED, ...REFUSED];

export const socketMountedElsewhere: Control = {
  id: 'socket-mounted-elsewhere',
  group: 'socket',
  severity: 'enforce',
  threat:
    'A container that does not see the socket cannot flood it, nor wait for a mistake in the list of callers.',
  promise:
    'Only supervisors mount the socket, and a peer that is not listed is closed before a byte of it is read.',
  rule: {
    remedy: `Take out the volumeMount, or name the container in the annotation ${Annotation.supervisors}.`,
    *find(subject) {
      const socket = socketVolumes(subject);
      for (const { container, volume, path } of mountsOf(others(subject))) {
        if (isSupervisor(subject, container) || !socket.has(volume)) continue;
        yield {
          path,
          message: `container ${container.name} mounts the socket's folder and is no supervisor`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      variables.others.all(c, (c.name in variables.supervisors && c.name != variables.agent)
        || c.?volumeMounts.orValue([]).all(m, !(m.name in variables.socketVolumes)))`,
    message: "a container that is no supervisor mounts the socket's folder",
  },
  attacks: [
    socketAttack('socket-connect', "connect to the socket and reach the resolver's HTTP/2 parser", RIGHT),
    socketAttack('socket-rpcs', 'connect to the socket and make every call there is', RIGHT, 6000),
    socketAttack(
      'handed-over-descriptor',
      'speak on a connection that another process opened: one inherited, and one of a helper that has ended',
      RIGHT,
      4000,
    ),
    floodAttack(
      'backlog',
      'open thousands of connections at once and look whether the next is answered',
      ['answered in time', ...REFUSED],
      7000,
    ),
  ],
};
