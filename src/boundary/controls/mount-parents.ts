import type { Control } from '../control.ts';
import { agentMayReplace, agentOf } from '../facts/access-rules.ts';
import { eachVolume, ownerText } from './shared/volumes.ts';

export const mountParents: Control = {
  id: 'mount-parents',
  group: 'mounts',
  severity: 'enforce',
  threat: 'An agent that may rename a folder above a Secret can put another one in its place.',
  promise: 'The agent can change no folder above the Secrets.',
  check: (facts, config) => {
    const agent = agentOf(facts, config);
    return eachVolume(
      facts,
      'no folder above can be changed by the agent',
      'volumeMounts[].mountPath below /var/run/secret-resolver/secrets, and no emptyDir above it',
      (volume) => {
        const chain = volume.folder === undefined ? volume.parents : [...volume.parents, volume.folder];
        const fault = volume.parents.find((folder, at) => agentMayReplace(folder, chain[at + 1], agent));
        return fault === undefined ? undefined : `is below ${ownerText(fault)}, which the agent may write`;
      },
    );
  },
};
