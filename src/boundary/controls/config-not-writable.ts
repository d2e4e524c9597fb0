import { type Control, fail, listed, pass, unknown } from '../control.ts';
import { agentMayWrite, agentOf, replaceableBelow } from '../facts/access-rules.ts';
import { ownerText } from './shared/volumes.ts';

const REMEDY =
  'volumeMounts: [{name: config, mountPath: /etc/secret-resolver, readOnly: true}] of a configMap';

export const configNotWritable: Control = {
  id: 'config-not-writable',
  group: 'mounts',
  severity: 'enforce',
  threat: 'The author of the configuration decides who gets which value.',
  promise: 'Neither the resolver nor the agent can write the configuration.',
  check: (facts, config) => {
    const agent = agentOf(facts, config);
    const faults = facts.mounts.config.flatMap((entry) => {
      if (entry.writableByUs) return [`${entry.path} is writable by us`];
      if (entry.target !== undefined && agentMayWrite(entry.target, agent))
        return [`${ownerText(entry.target)} is writable by the agent`];
      const folder = replaceableBelow(entry.parents, entry.target, agent);
      return folder === undefined
        ? []
        : [`${entry.path} is below ${ownerText(folder)}, which the agent may write`];
    });
    if (faults.length > 0) return fail(listed(faults), REMEDY);
    const gone = facts.mounts.config.filter(({ target }) => target === undefined);
    return gone.length > 0
      ? unknown(`${listed(gone.map(({ path }) => path))}: does not exist`, REMEDY)
      : pass(`${facts.mounts.config.length} files and folders`);
  },
};
