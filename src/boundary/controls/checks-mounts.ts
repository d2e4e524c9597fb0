/** Checks on the Secret volumes and on the files of the configuration, as mounted in our container. */
import { isReadOnlyMount } from '../../domain/mountinfo.ts';
import { agentMayReplace, agentMayWrite, agentOf } from '../facts/access-rules.ts';
import type { Facts } from '../facts/facts.ts';
import type { PathFacts, SecretVolumeFacts } from '../facts/facts-mounts.ts';
import { type Check, fail, listed, modeText, pass, type Verdict } from '../finding.ts';

/** Kubelet's name for a generation: `..2026_11_23_17_12_00.123456789`. */
const GENERATION = /^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+$/;

/** Runs a check on each volume: `wrong` says what is wrong with one, or undefined where it is right. */
function eachVolume(
  facts: Facts,
  right: string,
  remedy: string,
  wrong: (volume: SecretVolumeFacts) => string | undefined,
): Verdict {
  const { secrets } = facts.mounts;
  if (secrets.length === 0) return pass('the configuration refers to no Secret');
  const there = secrets.filter((volume) => volume.folder !== undefined);
  const faults = secrets.flatMap((volume) => {
    const fault = wrong(volume);
    return fault === undefined ? [] : [`${volume.path} ${fault}`];
  });
  if (faults.length > 0) return fail(listed(faults), remedy);
  if (there.length === 0) return pass('no volume is there to look at'); // mount-point fails for it
  return pass(`${there.length} ${there.length === 1 ? 'volume' : 'volumes'}: ${right}`);
}

const mountPoint: Check = {
  id: 'mount-point',
  group: 'mounts',
  title: 'each Secret is a mount of its own',
  severity: 'enforce',
  judge: (facts) =>
    eachVolume(
      facts,
      'each a mount point of its own',
      'volumeMounts: [{name: <secret>, mountPath: <the path>, readOnly: true}], one for each Secret',
      ({ folder, mount }) =>
        folder === undefined ? 'is not there' : mount === undefined ? 'is no mount point' : undefined,
    ),
};

const tmpfs: Check = {
  id: 'mount-tmpfs',
  group: 'mounts',
  title: 'Secrets in memory',
  severity: 'enforce',
  judge: (facts) =>
    eachVolume(
      facts,
      'tmpfs',
      'volumes: [{name: <secret>, secret: {secretName: <name>}}], not hostPath, PVC or a disk emptyDir',
      ({ mount }) =>
        mount !== undefined && mount.type !== 'tmpfs' ? `is ${mount.type}, not tmpfs` : undefined,
    ),
};

const readOnly: Check = {
  id: 'mount-read-only',
  group: 'mounts',
  title: 'Secrets mounted read-only',
  severity: 'enforce',
  judge: (facts) =>
    eachVolume(facts, 'read-only', 'volumeMounts[].readOnly: true', ({ mount }) =>
      mount !== undefined && !isReadOnlyMount(mount) ? 'is mounted writable' : undefined,
    ),
};

const layout: Check = {
  id: 'mount-layout',
  group: 'mounts',
  title: "kubelet's layout",
  severity: 'enforce',
  judge: (facts) =>
    eachVolume(
      facts,
      '..data leads to one generation',
      'volumes: [{name: <secret>, secret: {secretName: <name>}}]: only kubelet writes it, atomically',
      ({ folder, dataLink, generation }) => {
        if (folder === undefined) return undefined; // mount-point says so
        if (dataLink === undefined) return 'has no ..data link';
        if (!GENERATION.test(dataLink)) return 'has a ..data link that no kubelet made';
        return generation?.kind === 'directory' ? undefined : 'has a ..data link that leads nowhere';
      },
    ),
};

const subPath: Check = {
  id: 'mount-sub-path',
  group: 'mounts',
  title: 'no subPath',
  severity: 'enforce',
  judge: (facts) =>
    eachVolume(
      facts,
      'mounted whole',
      'volumeMounts[]: remove subPath and subPathExpr; such a mount never sees a rotation',
      ({ mount, mountsInside }) => {
        if (mountsInside.length > 0) return `has mounts inside it: ${listed(mountsInside)}`;
        return mount !== undefined && mount.root !== '/'
          ? `is the part ${mount.root} of a volume`
          : undefined;
      },
    ),
};

const notWritable: Check = {
  id: 'mount-not-writable',
  group: 'mounts',
  title: 'Secrets not writable by us',
  severity: 'enforce',
  judge: (facts) =>
    eachVolume(
      facts,
      'access(2) lets us write nothing',
      'volumeMounts[].readOnly: true, and no runAsUser equal to the owner of the files',
      ({ writable }) => (writable.length > 0 ? `is writable by us: ${listed(writable)}` : undefined),
    ),
};

const readers: Check = {
  id: 'mount-readers',
  group: 'mounts',
  title: 'who may read by the modes',
  severity: 'info',
  judge: (facts, config) => {
    const classes = new Set<string>();
    let open = false;
    for (const file of facts.mounts.secrets.flatMap((volume) => volume.files)) {
      const admitted = [`UID ${file.uid}`];
      if ((file.mode & 0o040) !== 0) admitted.push(`group ${file.gid}`);
      if ((file.mode & 0o004) !== 0) admitted.push('every other UID');
      const agentIn =
        (file.mode & 0o004) !== 0 ||
        file.uid === config.agent.uid ||
        ((file.mode & 0o040) !== 0 && agentOf(facts, config).gids.includes(file.gid));
      open ||= agentIn;
      classes.add(`${modeText(file.mode)} admits ${admitted.join(', ')}${agentIn ? ', so the agent' : ''}`);
    }
    const evidence = classes.size === 0 ? 'no file to look at' : listed([...classes].sort());
    return open
      ? fail(
          `${evidence}: the mount, in our container alone, is what keeps it out`,
          'secret.defaultMode: 0440 with a group that the agent is not in, where your kubelet offers one',
        )
      : pass(evidence);
  },
};

const parents: Check = {
  id: 'mount-parents',
  group: 'mounts',
  title: 'folders above the Secrets not writable by the agent',
  severity: 'enforce',
  judge: (facts, config) => {
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

const configWritable: Check = {
  id: 'config-not-writable',
  group: 'mounts',
  title: 'configuration not writable by us or the agent',
  severity: 'enforce',
  judge: (facts, config) => {
    const agent = agentOf(facts, config);
    const faults = facts.mounts.config.flatMap((entry) => {
      if (entry.writableByUs) return [`${entry.path} is writable by us`];
      if (entry.target !== undefined && agentMayWrite(entry.target, agent)) {
        return [`${ownerText(entry.target)} is writable by the agent`];
      }
      const chain = [...entry.parents, entry.target];
      const folder = entry.parents.find((each, at) => agentMayReplace(each, below(each, chain, at), agent));
      return folder === undefined
        ? []
        : [`${entry.path} is below ${ownerText(folder)}, which the agent may write`];
    });
    return faults.length === 0
      ? pass(`${facts.mounts.config.length} files and folders`)
      : fail(
          listed(faults),
          'volumeMounts: [{name: config, mountPath: /etc/secret-resolver, readOnly: true}] of a configMap',
        );
  },
};

/** What stands next below a folder in the chain, if it is really inside it. */
function below(
  folder: PathFacts,
  chain: readonly (PathFacts | undefined)[],
  at: number,
): PathFacts | undefined {
  const next = chain[at + 1];
  const prefix = folder.path === '/' ? '/' : `${folder.path}/`;
  return next?.path.startsWith(prefix) === true ? next : undefined;
}

function ownerText(path: PathFacts): string {
  return `${path.path} (${path.uid}:${path.gid} ${modeText(path.mode)})`;
}

export const MOUNT_CHECKS: readonly Check[] = [
  mountPoint,
  tmpfs,
  readOnly,
  layout,
  subPath,
  notWritable,
  readers,
  parents,
  configWritable,
];
