import type { Control } from '../control.ts';
import { agentOf, replaceableBelow } from '../facts/access-rules.ts';
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
        const fault = replaceableBelow(volume.parents, volume.folder, agent);
        return fault === undefined ? undefined : `is below ${ownerText(fault)}, which the agent may write`;
      },
    );
  },
};
