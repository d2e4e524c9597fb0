/**
 * What the resolver's own checks say about a pod that lint and policy refuse. They see processes, mounts and sockets, and
 * no manifest: so each rule has either the checks that fail in such a pod, each played with real processes and mounts in
 * test/boundary/checks.test.ts, or the reason why none can. The check of the rule's own control needs no row.
 */
import { expect, it } from 'vitest';
import { CHECKS, CONTROLS, RULES } from '../../src/boundary/catalogue.ts';
import { ARRANGEMENTS } from '../boundary/arrangements.ts';
import { TABLE } from './table.ts';

const OTHER_CONTAINERS = 'mounts of other containers are seen in a shared PID namespace only';
const NO_MANIFEST = 'the kernel does not show what the manifest says here';
const ITS_OWN_PROGRAM = 'a program that is not the resolver does not check itself';
const ORDER = 'a container does not see which others start before or after it';
const CONFIGURATION = 'the configuration is refused before anything is checked';

interface AtRunTime {
  readonly checks?: readonly string[];
  /** Why there is no check, or which of the rule's pods the checks do not see. */
  readonly unseen?: string;
}

const OWN_CHECKS: Readonly<Record<string, AtRunTime>> = Object.fromEntries(
  CONTROLS.flatMap(({ id, checkId = id, rule, check }) =>
    rule === undefined || rule.about === 'object' || check === undefined ? [] : [[id, { checks: [checkId] }]],
  ),
);

const AT_RUN_TIME: Readonly<Record<string, AtRunTime>> = {
  ...OWN_CHECKS,
  'combined-topology': { unseen: 'what one container holds, all its processes may hold' },
  'resolver-missing': { unseen: 'there is no resolver' },
  'role-not-found': { unseen: NO_MANIFEST },
  'role-annotation': { unseen: NO_MANIFEST },
  'reserved-uid': { checks: ['self-uid'], unseen: 'a supervisor under 65534 is one unmapped UID of many' },
  'resolver-command': { unseen: ITS_OWN_PROGRAM },
  'resolver-order': { unseen: ORDER },
  'resolver-privileges': {
    checks: ['self-capabilities', 'self-no-new-privs', 'self-seccomp', 'self-root-filesystem'],
  },
  'secret-in-environment': { checks: ['self-secret-exposure'], unseen: OTHER_CONTAINERS },
  'self-loader-environment': { checks: ['self-loader-environment'], unseen: ITS_OWN_PROGRAM },
  'self-test-differs': { unseen: ORDER },
  'self-test-missing': { unseen: ORDER },
  'host-path': { checks: ['process-secret-mounts'], unseen: OTHER_CONTAINERS },
  'mount-namespace': { checks: ['mount-point'] },
  'optional-secret': { unseen: 'a volume that is optional looks like any other once it is mounted' },
  'reserved-folder': { unseen: OTHER_CONTAINERS },
  'resolver-volume-shared': { checks: ['process-secret-mounts'], unseen: OTHER_CONTAINERS },
  'secret-items': { unseen: 'a key that is not projected looks like one that does not exist' },
  'secret-mounted-elsewhere': { checks: ['process-secret-mounts'], unseen: OTHER_CONTAINERS },
  'secret-store-class': { unseen: NO_MANIFEST },
  'secret-unreadable': { unseen: 'a key that cannot be read is refused when it is read, by its own reason' },
  'volume-kind': { checks: ['mount-tmpfs', 'mount-layout'] },
  capability: { checks: ['process-capabilities'], unseen: OTHER_CONTAINERS },
  'debug-target': { checks: ['process-same-uid'], unseen: 'a debugger that was never attached' },
  'privilege-escalation': { checks: ['process-escalation'], unseen: OTHER_CONTAINERS },
  privileged: { checks: ['process-capabilities'], unseen: OTHER_CONTAINERS },
  'resolver-uid-shared': { checks: ['process-same-uid'], unseen: OTHER_CONTAINERS },
  'service-account-token': { unseen: OTHER_CONTAINERS },
  'shared-processes-root': { checks: ['process-capabilities'] },
  'supervisor-uid-shared': { unseen: 'the kernel tells a UID, and not which container has it' },
  'uid-not-explicit': { unseen: 'a process has some UID either way' },
  'host-network': { unseen: NO_MANIFEST },
  'port-collision': { unseen: 'whoever comes second cannot bind, and ends' },
  'socket-mounted-elsewhere': { checks: ['process-socket-mounts'], unseen: OTHER_CONTAINERS },
  'socket-writable': { checks: ['process-socket-mounts'], unseen: OTHER_CONTAINERS },
  'reloader-annotation': { unseen: NO_MANIFEST },
  'egress-folders': { unseen: OTHER_CONTAINERS },
  'envoy-command': { unseen: NO_MANIFEST },
  'proxy-variable': { unseen: NO_MANIFEST },
  'exe-unreadable': { unseen: CONFIGURATION },
};

it.each(TABLE.filter(({ lint, policy }) => lint.length + (policy?.length ?? 0) > 0))(
  'the checks see what is wrong with $name, or the reason why not is known',
  ({ lint, policy = [] }) => {
    for (const rule of [...lint, ...policy]) expect(AT_RUN_TIME).toHaveProperty([rule]);
  },
);

it('every rule about pods is listed, and no other', () => {
  const ofPods = RULES.filter(({ about }) => about !== 'object').map(({ id }) => id);
  const others = ['resolver-missing', 'role-not-found'];
  expect(Object.keys(AT_RUN_TIME).sort()).toEqual([...new Set([...ofPods, ...others])].sort());
});

it.each(Object.entries(AT_RUN_TIME))(
  '%s: its checks fail in a real arrangement, as hard as the rule',
  (id, known) => {
    expect(known.checks ?? known.unseen).toBeDefined();
    const rule = RULES.find((each) => each.id === id);
    for (const check of known.checks ?? []) {
      expect(ARRANGEMENTS.some(({ fails }) => fails.includes(check))).toBe(true);
      if (rule?.severity === 'error')
        expect(CHECKS.find((each) => each.id === check)).toMatchObject({ severity: 'enforce' });
    }
  },
);
