import { type Control, fail, pass } from '../control.ts';
import { ownerText } from './shared/volumes.ts';

const GROUP_OR_OTHER_WRITE = 0o022;
const REMEDY =
  'socket.path: /run/secret-resolver/socket/resolver.sock: the resolver makes that folder itself';

export const socketFolder: Control = {
  id: 'socket-folder',
  group: 'socket',
  severity: 'enforce',
  threat: 'A process that may write the folder of the socket can put another socket in its place.',
  promise: 'The socket is in a folder that the resolver owns and nobody else can write.',
  check: ({ self, sockets }) => {
    const { folder: found } = sockets;
    if (found === undefined) return pass('not there yet: the resolver makes it');
    if (found.kind !== 'directory') return fail(`${found.path} is a ${found.kind}, not a folder`, REMEDY);
    if (found.uid !== self.status.uids[0]) return fail(`${ownerText(found)} is not ours`, REMEDY);
    return (found.mode & GROUP_OR_OTHER_WRITE) !== 0
      ? fail(`${ownerText(found)} is writable by others`, REMEDY)
      : pass(ownerText(found));
  },
};
