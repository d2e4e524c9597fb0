/** What mode bits let the agent do. Pure; the mount it looks through is not known here, so modes alone count. */
import type { Config } from '../../config/config.ts';
import type { Facts } from './facts.ts';
import type { PathFacts } from './facts-mounts.ts';

const STICKY = 0o1000;

/** The agent as a UID with the groups that it may be in. */
export interface AgentIdentity {
  readonly uid: number;
  readonly gids: readonly number[];
}

/** Our supplementary groups count as the agent's: fsGroup gives them to every container of the pod. */
export function agentOf(facts: Facts, config: Config): AgentIdentity {
  return { uid: config.agent.uid, gids: [config.agent.gid, ...facts.self.status.groups] };
}

/** Whether the modes let the agent write here. A read-only mount keeps everybody out. */
export function agentMayWrite(path: PathFacts, agent: AgentIdentity): boolean {
  if (path.kind === 'link' || path.readOnly) return false;
  if (path.uid === agent.uid) return true; // an owner can give itself the bit
  if (agent.gids.includes(path.gid)) return (path.mode & 0o020) !== 0;
  return (path.mode & 0o002) !== 0;
}

/** The first folder of a path, from `/` down to `end`, of which the agent may replace the next one. */
export function replaceableBelow(
  parents: readonly PathFacts[],
  end: PathFacts | undefined,
  agent: AgentIdentity,
): PathFacts | undefined {
  const path = [...parents, end];
  return parents.find((folder, at) => {
    const next = path[at + 1];
    const inside = next?.path.startsWith(folder.path === '/' ? '/' : `${folder.path}/`) === true;
    return agentMayReplace(folder, inside ? next : undefined, agent);
  });
}

/** Whether the agent may rename or remove `child` in `folder`: in a sticky folder it may only do so with its own. */
export function agentMayReplace(
  folder: PathFacts,
  child: PathFacts | undefined,
  agent: AgentIdentity,
): boolean {
  if (!agentMayWrite(folder, agent)) return false;
  if ((folder.mode & STICKY) === 0 || folder.uid === agent.uid) return true;
  return child === undefined || child.uid === agent.uid;
}
