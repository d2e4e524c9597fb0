/** Checks on the other processes that we can see: those of the pod where it shares a PID namespace. */
import type { Config } from '../../config/config.ts';
import { matchGlob } from '../../domain/glob.ts';
import type { Facts } from '../facts/facts.ts';
import type { ProcessFacts } from '../facts/facts-processes.ts';
import type { SharedMount } from '../facts/foreign-mounts.ts';
import { type Check, fail, listed, pass, unknown, type Verdict } from '../finding.ts';

/** Each of these lets a process read our memory, become our UID, or read past file modes. */
const DANGEROUS = ['SYS_PTRACE', 'SYS_ADMIN', 'SETUID', 'DAC_READ_SEARCH', 'DAC_OVERRIDE'] as const;

/** Inode of the machine's first PID namespace, fixed in the kernel. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

function foreign(facts: Facts): ProcessFacts[] {
  return facts.processes.others.filter((process) => process.container !== 'ours' && !process.kernelThread);
}

function isShared(facts: Facts): boolean {
  return foreign(facts).length > 0;
}

function named(process: ProcessFacts): string {
  return `pid ${process.pid} (${process.name}, UID ${process.uids.join('/')})`;
}

const view: Check = {
  id: 'process-view',
  group: 'processes',
  title: '/proc is our own and hides nobody',
  severity: 'enforce',
  judge: ({ self, processes }) => {
    const remedy = 'securityContext.procMount: Default';
    if (self.procSelf !== String(self.pid)) {
      return unknown(`/proc/self leads to ${self.procSelf}, and our pid is ${self.pid}`, remedy);
    }
    return processes.hiding.length > 0
      ? unknown(`/proc is mounted with ${processes.hiding.join(',')}: other processes are hidden`, remedy)
      : pass(`/proc shows ${processes.others.length + 1} processes, with nothing hidden`);
  },
};

const hostPid: Check = {
  id: 'process-host-pid',
  group: 'processes',
  title: "not in the node's PID namespace",
  severity: 'enforce',
  judge: ({ self, processes }) => {
    const threads = processes.others.filter((process) => process.kernelThread).length;
    return threads > 0 || self.pidNamespace === FIRST_PID_NAMESPACE
      ? fail(
          `${self.pidNamespace}, ${threads} kernel threads in sight: this is the node's`,
          'spec.hostPID: false',
        )
      : pass(self.pidNamespace);
  },
};

const namespace: Check = {
  id: 'process-namespace',
  group: 'processes',
  title: 'PID namespace of its own',
  severity: 'info',
  judge: (facts) => {
    const others = foreign(facts);
    if (others.length === 0) return pass('own PID namespace: no process of another container is in sight');
    const uids = [...new Set(others.flatMap((process) => process.uids))].sort((a, b) => a - b);
    return fail(
      `shared: ${others.length} processes of other containers, UIDs ${listed(uids.map(String))}`,
      'spec.shareProcessNamespace: false, where the supervisor does not need it',
    );
  },
};

const sameUid: Check = {
  id: 'process-same-uid',
  group: 'processes',
  title: 'nobody else has our UID',
  severity: 'enforce',
  judge: (facts) => {
    const own = facts.self.status.uids[0] ?? -1;
    const intruders = foreign(facts).filter((process) => process.uids.includes(own));
    if (intruders.length === 0) return pass(`no process outside our container has UID ${own}`);
    return fail(
      listed(
        intruders.map((process) =>
          process.container === 'unreadable'
            ? `${named(process)}: its mounts cannot be read, so it counts as outside`
            : `${named(process)} is in another container`,
        ),
      ),
      `securityContext.runAsUser: on each container, and ${own} on ours alone (not on the pod)`,
    );
  },
};

/**
 * The pod's sandbox process. In a pod that shares its PID namespace pid 1 is started by the container
 * runtime and by nobody else, so an agent cannot stand in its place. Some runtimes leave it root with their
 * default capabilities; it only waits for signals. Accepted weakness: outside Kubernetes, `--pid=container:X`
 * makes X's first process pid 1, and a root process there could call itself pause.
 */
function isPause(process: ProcessFacts): boolean {
  return process.pid === 1 && process.parent === 0 && process.name === 'pause' && process.threads === 1;
}

type Trust = 'trusted' | 'unverifiable' | 'untrusted';

/** The kernel hides the exe of another UID: an entry that names one can then not be verified, and does not count. */
function trustOf(process: ProcessFacts, config: Config): Trust {
  let trust: Trust = 'untrusted';
  for (const entry of config.boundary.trusted) {
    if (!process.uids.every((uid) => uid === entry.uid)) continue;
    if (entry.exe === undefined) return 'trusted';
    if (process.exe === undefined) trust = 'unverifiable';
    else if (matchGlob(entry.exe, process.exe, '/')) return 'trusted';
  }
  return trust;
}

const capabilities: Check = {
  id: 'process-capabilities',
  group: 'processes',
  title: 'nobody else holds a dangerous capability',
  severity: 'enforce',
  failsDuringExec: true,
  judge: (facts, config) => {
    const accepted: string[] = [];
    const faults: string[] = [];
    let unverifiable = false;
    for (const process of foreign(facts)) {
      const held = DANGEROUS.filter((name) => process.capabilities.includes(name));
      if (held.length === 0 || process.userNamespace === 'below') continue;
      const text = `${named(process)} holds ${held.join(', ')}`;
      if (process.runtimeInit) {
        accepted.push(`${named(process)}: the container runtime on its way into a container`);
        continue;
      }
      const trust = trustOf(process, config);
      if (isPause(process)) accepted.push(`${text}: the pod's sandbox process`);
      else if (trust === 'trusted') accepted.push(`${text}: trusted by the configuration`);
      else {
        unverifiable ||= trust === 'unverifiable';
        const note = `: a trusted entry names an exe, and the kernel does not let us read /proc/${process.pid}/exe`;
        faults.push(trust === 'unverifiable' ? text + note : text);
      }
    }
    if (faults.length > 0) {
      return fail(
        listed(faults),
        unverifiable
          ? 'boundary.trusted: [{uid: <its UID>}] without exe, if you trust every process of that UID'
          : 'securityContext.capabilities.drop: [ALL] in its container, or boundary.trusted: [{uid: <its UID>}]',
      );
    }
    return pass(accepted.length === 0 ? `none has ${DANGEROUS.join(', ')}` : listed(accepted));
  },
};

/**
 * Enforced, for a boundary that holds only until somebody runs `su` is not proven: its image chooses what setuid
 * programs there are, and one that waits for a password is root with all that the bounding set lets through. In a
 * user namespace below ours the bounding set is full and means nothing, as the capabilities there do.
 */
const escalation: Check = {
  id: 'process-escalation',
  group: 'processes',
  title: 'nobody else can gain a dangerous capability',
  severity: 'enforce',
  failsDuringExec: true,
  judge: (facts, config) => {
    const faults = foreign(facts).filter(
      (process) =>
        !process.noNewPrivileges &&
        process.userNamespace !== 'below' &&
        !isPause(process) &&
        !process.runtimeInit &&
        trustOf(process, config) !== 'trusted' &&
        DANGEROUS.some((name) => process.bounding.includes(name)),
    );
    return faults.length === 0
      ? pass('each has no_new_privs or a bounding set without dangerous capabilities')
      : fail(
          `${listed(faults.map(named))}: NoNewPrivs 0, so a setuid program in its image could gain them`,
          'securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}} in its container',
        );
  },
};

function mountText(process: ProcessFacts, mounts: readonly SharedMount[]): string {
  return `${named(process)} at ${listed(mounts.map((mount) => mount.mountPoint))}`;
}

/** Mounts that are not known: a process that lives shows none, or more than are read, which takes a capability to make. */
function notReadWhole(facts: Facts): Verdict | undefined {
  const hidden = foreign(facts).filter((process) => process.container === 'unreadable');
  if (hidden.length > 0) {
    return unknown(
      `${listed(hidden.map(named))}: its mounts cannot be read`,
      'spec.shareProcessNamespace: false, or end that process',
    );
  }
  const cut = foreign(facts).filter((process) => process.mountsCut);
  if (cut.length === 0) return undefined;
  return unknown(
    `${listed(cut.map(named))}: more mounts than are read`,
    'securityContext.capabilities.drop: [ALL] in its container, so that it makes no mounts',
  );
}

const secretMounts: Check = {
  id: 'process-secret-mounts',
  group: 'processes',
  title: 'no other container mounts our Secrets',
  severity: 'enforce',
  failsDuringExec: true,
  judge: (facts) => {
    const faults = foreign(facts).filter(
      (process) => !process.runtimeInit && process.secretMounts.length > 0,
    );
    if (faults.length > 0) {
      return fail(
        `our Secret volume is mounted elsewhere: ${listed(faults.map((each) => mountText(each, each.secretMounts)))}`,
        "volumeMounts: take the Secret (or the hostPath of kubelet's folder) out of that container",
      );
    }
    const cut = notReadWhole(facts);
    if (cut !== undefined) return cut;
    return pass(
      isShared(facts)
        ? 'no process of another container has one of our Secret volumes mounted'
        : 'other containers are out of sight: `lint` and the admission policy cover their mounts',
    );
  },
};

const socketMounts: Check = {
  id: 'process-socket-mounts',
  group: 'processes',
  title: "the socket's volume is read-only elsewhere",
  severity: 'enforce',
  failsDuringExec: true,
  judge: (facts) => {
    const faults = foreign(facts).flatMap((process) => {
      if (process.runtimeInit) return [];
      const writable = process.socketMounts.filter((mount) => !mount.readOnly);
      return writable.length === 0 ? [] : [mountText(process, writable)];
    });
    if (faults.length > 0) {
      return fail(
        `the volume of the socket is mounted writable elsewhere: ${listed(faults)}`,
        'volumeMounts: [{name: <socket volume>, readOnly: true}] in that container',
      );
    }
    const cut = notReadWhole(facts);
    if (cut !== undefined) return cut;
    return pass(
      isShared(facts)
        ? 'no process of another container has it mounted writable'
        : 'other containers are out of sight: `lint` and the admission policy cover their mounts',
    );
  },
};

const userNamespace: Check = {
  id: 'process-user-namespace',
  group: 'processes',
  title: 'user namespace of the pod',
  severity: 'info',
  judge: ({ self }) => {
    const map = self.uidMap
      .map(({ inside, outside, count }) => `${inside} → ${outside} (${count})`)
      .join(', ');
    const identity = self.uidMap.some(
      // Ids that stand for themselves: the node's own, or a namespace that keeps nothing apart.
      ({ inside, outside }) => inside === outside,
    );
    return identity
      ? fail(`${map}: UIDs here are UIDs of the node`, 'spec.hostUsers: false')
      : pass(`${map}: UIDs here stand for others on the node`);
  },
};

export const PROCESS_CHECKS: readonly Check[] = [
  view,
  hostPid,
  namespace,
  sameUid,
  capabilities,
  escalation,
  secretMounts,
  socketMounts,
  userNamespace,
];
