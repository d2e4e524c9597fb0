/** Checks on this process itself. */
import { isReadOnlyMount } from '../../domain/mountinfo.ts';
import { UNMAPPED_UID } from '../facts/access-rules.ts';
import type { Facts } from '../facts/facts.ts';
import { MIN_SEARCHED_BYTES } from '../facts/facts-self.ts';
import { type Check, fail, listed, pass, unknown, type Verdict } from '../finding.ts';

/** The UID that our own manifests use: unlike 0, 1000, 1337 and 65534 it belongs to nobody else in a pod. */
const OWN_UID = 10771;

const uid: Check = {
  id: 'self-uid',
  group: 'self',
  title: 'a UID of its own',
  severity: 'enforce',
  judge: ({ self }, config) => {
    const [real = -1, ...others] = self.status.uids;
    const remedy = `securityContext.runAsUser: ${OWN_UID}`;
    if (others.some((other) => other !== real)) {
      return fail(
        `real, effective, saved and file-system UID differ: ${self.status.uids.join(', ')}`,
        remedy,
      );
    }
    if (real === 0) return fail('runs as UID 0', remedy);
    if (real === UNMAPPED_UID)
      return fail(`runs as UID ${real}, which stands for everybody unmapped`, remedy);
    if (real === config.agent.uid) return fail(`runs as UID ${real}, the agent's own`, remedy);
    const caller = config.callers.find((each) => each.uid === real);
    if (caller !== undefined) return fail(`runs as UID ${real}, that of caller ${caller.name}`, remedy);
    return pass(`UID ${real}`);
  },
};

const groups: Check = {
  id: 'self-groups',
  group: 'self',
  title: 'groups explained',
  severity: 'warn',
  judge: ({ self }, config) => {
    const primary = self.status.gids[0] ?? -1;
    const supplementary = self.status.groups.filter((gid) => gid !== primary);
    const explained = supplementary.map((gid) =>
      gid === config.agent.gid
        ? `${gid} (the agent's group: allowed, fsGroup puts every container of a pod in it)`
        : gid === 0
          ? '0 (root)'
          : `${gid} (supplementary)`,
    );
    const evidence = `primary GID ${primary}${explained.length === 0 ? ', no other' : `; ${explained.join(', ')}`}`;
    if (primary === config.agent.gid) {
      return fail(`${evidence}: files of ours would belong to the agent's group`, runAsGroup());
    }
    if (primary === 0 || supplementary.includes(0)) {
      return fail(`${evidence}: group 0 owns more than we need`, runAsGroup());
    }
    return pass(evidence);
  },
};

function runAsGroup(): string {
  return `securityContext.runAsGroup: ${OWN_UID}`;
}

const capabilities: Check = {
  id: 'self-capabilities',
  group: 'self',
  title: 'no capability',
  severity: 'enforce',
  judge: ({ self }) => {
    const { effective, permitted, inheritable, ambient } = self.status.capabilities;
    const held = Object.entries({ effective, permitted, inheritable, ambient })
      .filter(([, names]) => names.length > 0)
      .map(
        ([set, names]) => `${set}: ${names.length > 6 ? `${names.length} capabilities` : names.join(', ')}`,
      );
    return held.length === 0
      ? pass('CapEff, CapPrm, CapInh and CapAmb are empty')
      : fail(held.join('; '), 'securityContext.capabilities.drop: [ALL]');
  },
};

const boundingSet: Check = {
  id: 'self-bounding-set',
  group: 'self',
  title: 'empty bounding set',
  severity: 'info',
  judge: ({ self }) => {
    const { bounding } = self.status.capabilities;
    return bounding.length === 0
      ? pass('CapBnd is empty')
      : fail(
          `CapBnd has ${bounding.length} capabilities; with no_new_privs none can be gained`,
          'securityContext.capabilities.drop: [ALL]',
        );
  },
};

/** Names a step that hardening could not take, behind the evidence of the check that fails for it. */
function refusedStep({ self }: Facts, step: string): string {
  const failure = self.hardening.failed.find((each) => each.step === step);
  return failure === undefined ? '' : `; the kernel refused to change it (${failure.code})`;
}

const noNewPrivs: Check = {
  id: 'self-no-new-privs',
  group: 'self',
  title: 'no new privileges',
  severity: 'enforce',
  judge: (facts) => {
    const { status, hardening } = facts.self;
    if (!status.noNewPrivileges) {
      return fail(
        `NoNewPrivs 0${refusedStep(facts, 'no-new-privileges')}`,
        'securityContext.allowPrivilegeEscalation: false',
      );
    }
    return pass(
      hardening.before?.noNewPrivileges === false
        ? 'NoNewPrivs 1, set by the resolver: allowPrivilegeEscalation: false would set it from the start'
        : 'NoNewPrivs 1',
    );
  },
};

const SECCOMP_WORDS = ['0 (none)', '1 (strict)', '2 (filter)'];

const seccomp: Check = {
  id: 'self-seccomp',
  group: 'self',
  title: 'a seccomp filter',
  severity: 'enforce',
  judge: ({ self }) =>
    self.status.seccomp === 2
      ? pass('Seccomp 2 (filter)')
      : fail(
          `Seccomp ${SECCOMP_WORDS[self.status.seccomp] ?? self.status.seccomp}`,
          'securityContext.seccompProfile: {type: RuntimeDefault}',
        ),
};

const dumpable: Check = {
  id: 'self-dumpable',
  group: 'self',
  title: 'non-dumpable',
  severity: 'enforce',
  judge: (facts) =>
    facts.self.dumpable === 0
      ? pass('PR_GET_DUMPABLE 0: processes of the same UID cannot read our memory')
      : fail(
          `PR_GET_DUMPABLE ${facts.self.dumpable ?? 'cannot be asked'}${refusedStep(facts, 'dumpable')}`,
          'securityContext.seccompProfile: {type: RuntimeDefault} (a filter of your own must allow prctl)',
        ),
};

const coreLimit: Check = {
  id: 'self-core-limit',
  group: 'self',
  title: 'no core file',
  severity: 'enforce',
  judge: (facts) => {
    const limit = facts.self.coreLimit;
    const remedy =
      'securityContext.seccompProfile: {type: RuntimeDefault} (a filter of your own must allow prlimit)';
    if (limit === undefined) return unknown('RLIMIT_CORE cannot be asked', remedy);
    return limit.soft === 0 && limit.hard === 0
      ? pass('RLIMIT_CORE 0, soft and hard')
      : fail(
          `RLIMIT_CORE soft ${limit.soft}, hard ${limit.hard} bytes${refusedStep(facts, 'core-limit')}`,
          remedy,
        );
  },
};

const inspectorOff: Check = {
  id: 'self-inspector',
  group: 'self',
  title: 'no inspector, and SIGUSR1 starts none',
  severity: 'enforce',
  judge: ({ self }) => {
    const flags = self.nodeFlags.filter((flag) => /^--(inspect|debug|experimental-.*inspect)/.test(flag));
    if (self.inspectorActive || flags.length > 0) {
      return fail(
        self.inspectorActive ? 'the inspector listens' : `started with ${flags.join(' ')}`,
        'args: ["serve", "--config", …] without any --inspect, and no NODE_OPTIONS in env',
      );
    }
    if (self.status.catchesUsr1 || !self.nodeFlags.includes('--disable-sigusr1')) {
      return fail(
        'SIGUSR1 would start the inspector: Node was not started with --disable-sigusr1',
        'command: ["secret-resolver"]: let the command start itself; it adds the flag',
      );
    }
    return pass('no inspector; SIGUSR1 has no handler (--disable-sigusr1)');
  },
};

const permissionModel: Check = {
  id: 'self-permission-model',
  group: 'self',
  title: "Node's permission model",
  severity: 'warn',
  judge: ({ self }) => {
    const remedy =
      'command: ["secret-resolver"]: let the command start itself; it adds --permission and what it needs';
    if (self.permitted === undefined) return fail("Node's permission model is off", remedy);
    return self.permitted.length === 0
      ? pass(
          'no child process, worker, WASI or inspector; writes in the socket folder and the audit file only',
        )
      : fail(`Node's permission model allows ${self.permitted.join(', ')}`, remedy);
  },
};

const loaderEnvironment: Check = {
  id: 'self-loader-environment',
  group: 'self',
  title: 'no variable that loads code',
  severity: 'enforce',
  judge: ({ self }) =>
    self.loaderVariables.length === 0
      ? pass('no NODE_OPTIONS, LD_PRELOAD or the like')
      : fail(
          `set in the environment: ${self.loaderVariables.join(', ')}`,
          `env: remove ${self.loaderVariables.join(', ')} (look at envFrom and the image, too)`,
        ),
};

const secretExposure: Check = {
  id: 'self-secret-exposure',
  group: 'self',
  title: 'no value in argv or environment',
  severity: 'enforce',
  judge: ({ self }): Verdict => {
    const { found, compared, tooShort, unreadable } = self.exposure;
    if (found.length > 0) {
      return fail(
        listed(found.map(({ place, reference }) => `${place} holds the value of ${reference}`)),
        'env: take the secretKeyRef or the literal out; the mounted file is all that is needed',
      );
    }
    if (unreadable.length > 0) {
      return unknown(
        `could not be read, so not compared: ${listed(unreadable)}`,
        'secret.defaultMode: 0444 (or securityContext.fsGroup with 0440)',
      );
    }
    const left = tooShort === 0 ? '' : `, ${tooShort} shorter than ${MIN_SEARCHED_BYTES} bytes left out`;
    return pass(`${compared} mounted values compared with argv and environment${left}`);
  },
};

const rootFilesystem: Check = {
  id: 'self-root-filesystem',
  group: 'self',
  title: 'read-only root file system',
  severity: 'enforce',
  judge: ({ mounts }) => {
    const remedy = 'securityContext.readOnlyRootFilesystem: true';
    if (mounts.root === undefined) return unknown('mountinfo shows no mount at /', remedy);
    return isReadOnlyMount(mounts.root)
      ? pass(`/ is mounted read-only (${mounts.root.type})`)
      : fail(`/ is mounted writable (${mounts.root.type})`, remedy);
  },
};

export const SELF_CHECKS: readonly Check[] = [
  uid,
  groups,
  capabilities,
  boundingSet,
  noNewPrivs,
  seccomp,
  dumpable,
  coreLimit,
  inspectorOff,
  permissionModel,
  loaderEnvironment,
  secretExposure,
  rootFilesystem,
];
