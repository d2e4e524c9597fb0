import { CHANGE_REFUSED } from '../attacks/types.ts';
import { type Control, cel, fail, listed, pass } from '../control.ts';
import { socketFileAttack } from './shared/attacks.ts';
import { mountsOf, others, socketVolumes } from './shared/pod.ts';
import { mountedElsewhere, nothingMounted } from './shared/processes.ts';

/** A mount point, or a folder that holds one, cannot be renamed. */
const MOVE_REFUSED = [...CHANGE_REFUSED, 'EBUSY', 'EXDEV'];

export const socketWritable: Control = {
  id: 'socket-writable',
  group: 'socket',
  severity: 'enforce',
  threat: 'A container that may write the folder of the socket can unlink it and listen at its path.',
  promise: "Other containers mount the socket's volume read-only.",
  checkId: 'process-socket-mounts',
  failsDuringExec: true,
  check: (facts) => {
    const faults = mountedElsewhere(facts, 'socketMounts');
    if (faults.length === 0)
      return nothingMounted(facts, pass('no process of another container has it mounted writable'));
    return fail(
      `the volume of the socket is mounted writable elsewhere: ${listed(faults)}`,
      'volumeMounts: [{name: <socket volume>, readOnly: true}] in that container',
    );
  },
  rule: {
    remedy: "Write readOnly: true for the supervisor's mount: connecting works through it.",
    *find(subject) {
      const socket = socketVolumes(subject);
      for (const { container, volume, readOnly, path } of mountsOf(others(subject))) {
        if (!socket.has(volume) || readOnly) continue;
        yield { path, message: `container ${container.name} mounts the socket's folder writable` };
      }
    },
  },
  expression: {
    cel: cel`
      variables.others.all(c, c.?volumeMounts.orValue([]).all(m,
        !(m.name in variables.socketVolumes) || m.?readOnly.orValue(false)))`,
    message: "a container other than the resolver mounts the socket's folder writable",
  },
  attacks: [
    socketFileAttack('socket-rename', 'rename the socket', CHANGE_REFUSED),
    socketFileAttack('socket-unlink', 'unlink the socket', CHANGE_REFUSED),
    socketFileAttack('socket-replace', 'put a file of ours in place of the socket', CHANGE_REFUSED),
    socketFileAttack('socket-bind', 'listen in its place', [...CHANGE_REFUSED, 'EADDRINUSE']),
    socketFileAttack('socket-mount', 'mount over the socket and its folder', CHANGE_REFUSED),
    socketFileAttack('socket-symlink', 'put a symbolic link in place of the socket', CHANGE_REFUSED),
    socketFileAttack('socket-mode', 'change the modes of the socket and its folder', CHANGE_REFUSED),
    socketFileAttack('directory-rename', 'rename the folder of the socket', MOVE_REFUSED),
    socketFileAttack('directory-symlink', 'put a link in place of the folder', MOVE_REFUSED),
  ],
};
