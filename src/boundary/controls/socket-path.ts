import { type Control, fail, pass } from '../control.ts';
import { agentMayReplace, agentOf } from '../facts/access-rules.ts';
import { ownerText } from './shared/volumes.ts';

/**
 * The root of an emptyDir is 0777 in every pod, so its mode says nothing: what keeps the agent from renaming
 * what is in it is that other containers mount it read-only, or not at all. `process-socket-mounts` sees that
 * in a shared PID namespace, `lint` and the admission policy everywhere.
 */
export const socketPath: Control = {
  id: 'socket-path',
  group: 'socket',
  severity: 'enforce',
  threat: 'An agent that may rename a folder above the socket can put another socket at its path.',
  promise: 'The agent cannot replace the path of the socket.',
  check: (facts, config) => {
    const agent = agentOf(facts, config);
    const { parents, folder: own } = facts.sockets;
    const chain = [...parents, own];
    const volume = parents.findLast((each) => each.mountPoint && each.path !== '/');
    const fault = parents.find(
      (each, at) => each.path !== volume?.path && agentMayReplace(each, chain[at + 1], agent),
    );
    if (fault !== undefined) {
      return fail(
        `${ownerText(fault)} is above the socket, and the agent may write it`,
        'volumes: [{name: <socket volume>, emptyDir: {medium: Memory}}], mounted at /run/secret-resolver',
      );
    }
    return pass(
      volume === undefined || !agentMayReplace(volume, own, agent)
        ? 'no folder above can be changed by the agent'
        : `${ownerText(volume)} is a volume of its own, as open as every emptyDir: clients must mount it readOnly: true`,
    );
  },
};
