import { type Control, fail, modeText, pass } from '../control.ts';
import { ownerText } from './shared/volumes.ts';

export const socketFile: Control = {
  id: 'socket-file',
  group: 'socket',
  severity: 'enforce',
  threat: 'A supervisor that connects to another socket is given false values.',
  promise: 'The socket is the one that the resolver made.',
  check: ({ self, sockets }, config) => {
    const { file: found, bound } = sockets;
    const { path, mode } = config.socket;
    const remedy = `remove ${path} and whatever puts it there; the resolver makes it`;
    // Gone is no breach: nobody can be misled by nothing, and the resolver binds it anew.
    if (found === undefined) return pass('not there: the resolver makes it');
    if (found.kind !== 'socket') return fail(`${ownerText(found)} is a ${found.kind}, not a socket`, remedy);
    if (found.uid !== self.status.uids[0]) return fail(`${ownerText(found)} is not ours`, remedy);
    if (bound !== undefined && bound.identity !== found.identity)
      return fail(`${path} is inode ${found.identity}, and we bound ${bound.identity}`, remedy);
    return (found.mode & 0o777) !== mode
      ? fail(`${ownerText(found)} has not the mode ${modeText(mode)} of the configuration`, remedy)
      : pass(`${ownerText(found)}, inode ${found.identity}`);
  },
};
