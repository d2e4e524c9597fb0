/** Checks on the socket that we serve on. Before `serve` has made it, what is there already is judged. */
import { agentMayReplace, agentOf } from '../facts/access-rules.ts';
import type { PathFacts } from '../facts/facts-mounts.ts';
import { type Check, fail, listed, modeText, pass } from '../finding.ts';

const GROUP_OR_OTHER_WRITE = 0o022;

function text(path: PathFacts): string {
  return `${path.path} (${path.uid}:${path.gid} ${modeText(path.mode)})`;
}

const folder: Check = {
  id: 'socket-folder',
  group: 'socket',
  title: 'the socket has a folder of our own',
  severity: 'enforce',
  judge: ({ self, sockets }) => {
    const { folder: found } = sockets;
    const remedy =
      'socket.path: /run/secret-resolver/socket/resolver.sock: the resolver makes that folder itself';
    if (found === undefined) return pass('not there yet: the resolver makes it');
    if (found.kind !== 'directory') return fail(`${found.path} is a ${found.kind}, not a folder`, remedy);
    if (found.uid !== self.status.uids[0]) return fail(`${text(found)} is not ours`, remedy);
    if ((found.mode & GROUP_OR_OTHER_WRITE) !== 0)
      return fail(`${text(found)} is writable by others`, remedy);
    return pass(text(found));
  },
};

const file: Check = {
  id: 'socket-file',
  group: 'socket',
  title: 'the socket is the one we made',
  severity: 'enforce',
  judge: ({ self, sockets }, config) => {
    const { file: found, bound } = sockets;
    const remedy = `remove ${sockets.path} and whatever puts it there; the resolver makes it`;
    // Gone is no breach: nobody can be misled by nothing, and the resolver binds it anew.
    if (found === undefined) return pass('not there: the resolver makes it');
    if (found.kind !== 'socket') return fail(`${text(found)} is a ${found.kind}, not a socket`, remedy);
    if (found.uid !== self.status.uids[0]) return fail(`${text(found)} is not ours`, remedy);
    if (bound !== undefined && bound.identity !== found.identity) {
      return fail(`${sockets.path} is inode ${found.identity}, and we bound ${bound.identity}`, remedy);
    }
    if ((found.mode & 0o777) !== config.socket.mode) {
      return fail(
        `${text(found)} has not the mode ${modeText(config.socket.mode)} of the configuration`,
        remedy,
      );
    }
    return pass(`${text(found)}, inode ${found.identity}`);
  },
};

/**
 * The root of an emptyDir is 0777 in every pod, so its mode says nothing: what keeps the agent from renaming
 * what is in it is that other containers mount it read-only, or not at all. `process-socket-mounts` sees that
 * in a shared PID namespace, `lint` and the admission policy everywhere.
 */
const path: Check = {
  id: 'socket-path',
  group: 'socket',
  title: 'the agent cannot replace the path of the socket',
  severity: 'enforce',
  judge: (facts, config) => {
    const agent = agentOf(facts, config);
    const { parents, folder: own } = facts.sockets;
    const chain = [...parents, own];
    const volume = parents.findLast((each) => each.mountPoint && each.path !== '/');
    const fault = parents.find(
      (each, at) => each.path !== volume?.path && agentMayReplace(each, chain[at + 1], agent),
    );
    if (fault !== undefined) {
      return fail(
        `${text(fault)} is above the socket, and the agent may write it`,
        'volumes: [{name: <socket volume>, emptyDir: {medium: Memory}}], mounted at /run/secret-resolver',
      );
    }
    return pass(
      volume === undefined || !agentMayReplace(volume, own, agent)
        ? 'no folder above can be changed by the agent'
        : `${text(volume)} is a volume of its own, as open as every emptyDir: clients must mount it readOnly: true`,
    );
  },
};

const abstract: Check = {
  id: 'socket-abstract',
  group: 'socket',
  title: 'no abstract socket',
  severity: 'enforce',
  judge: ({ sockets }) =>
    sockets.abstractNames.length === 0
      ? pass('we hold none')
      : fail(
          `we hold ${sockets.abstractNames.length}: every container of the pod may connect to it`,
          'command: ["secret-resolver"]: start it directly, so that it inherits no descriptor',
        ),
};

const tcp: Check = {
  id: 'socket-tcp',
  group: 'socket',
  title: 'no TCP port but health and metrics',
  severity: 'enforce',
  judge: ({ sockets }, config) => {
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
};

export const SOCKET_CHECKS: readonly Check[] = [folder, file, path, abstract, tcp];
