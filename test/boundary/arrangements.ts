/**
 * Real arrangements, and which checks do not pass in each: all the others must. Every check has to appear as
 * failing in at least one and to pass in at least one; checks.test.ts holds the table to that.
 */
import { AGENT_UID, GOOD_POD, type PodSpec, RESOLVER_UID, rootWith, unprivileged } from './pod.ts';

export interface Arrangement {
  readonly name: string;
  readonly spec: Partial<PodSpec>;
  /** Ids of the checks that do not pass here, beyond {@link USUAL}. */
  readonly fails: readonly string[];
  /** Ids of {@link USUAL} that do pass here. */
  readonly passes?: readonly string[];
  /** Ids that may or may not pass, because more than this arrangement decides it. */
  readonly mayFail?: readonly string[];
  /** What one finding must say, by id: the number or the name that a reader needs. */
  readonly evidence?: Readonly<Record<string, RegExp>>;
  readonly remedy?: Readonly<Record<string, RegExp>>;
}

/** For the record in any pod without fsGroup and with hostUsers: both are information, neither breaks anything. */
export const USUAL = ['mount-readers', 'process-user-namespace'] as const;

const AGENT = { identity: unprivileged(AGENT_UID) } as const;
const MOUNT_BOMB = './node app/test/boundary/fixtures/mount-bomb.ts';
/** What a shared PID namespace adds, for the record. */
const SHARED = ['process-namespace'] as const;
const NETWORK_SIDECAR = rootWith('sys_ptrace', 'dac_read_search');

export const ARRANGEMENTS: readonly Arrangement[] = [
  { name: 'good', spec: {}, fails: [] },
  {
    name: 'good-shared',
    spec: { processNamespace: 'shared', neighbours: [AGENT] },
    fails: SHARED,
    evidence: { 'process-namespace': /UIDs 1000; 65535/ },
  },
  {
    name: 'fs-group',
    spec: {
      identity: `--reuid ${RESOLVER_UID} --regid ${RESOLVER_UID} --groups ${AGENT_UID} --no-new-privs --bounding-set=-all --inh-caps=-all`,
      secretFiles: { owner: `root:${AGENT_UID}`, mode: '0440' },
    },
    fails: [],
    evidence: { 'self-groups': /1000 \(the agent's group: allowed, fsGroup/ },
  },
  {
    name: 'own-group',
    spec: { secretFiles: { owner: `root:${RESOLVER_UID}`, mode: '0440' } },
    fails: [],
    passes: ['mount-readers'],
    evidence: { 'mount-readers': /0440 admits UID 0, group 10771/ },
  },
  { name: 'user-namespace', spec: { userNamespace: true }, fails: [], passes: ['process-user-namespace'] },

  // The process itself
  {
    name: 'agents-uid',
    spec: { identity: unprivileged(AGENT_UID, RESOLVER_UID) },
    fails: ['self-uid'],
    remedy: { 'self-uid': /^securityContext\.runAsUser: 10771$/ },
  },
  {
    name: 'callers-uid',
    spec: {
      identity: unprivileged(1337),
      config: 'boundary: {}',
      prepare: "sed -i 's/uid: 0,/uid: 1337,/' pod/etc/config.yaml",
    },
    fails: ['self-uid'],
    evidence: { 'self-uid': /that of caller supervisor/ },
  },
  { name: 'unmapped-uid', spec: { identity: unprivileged(65534) }, fails: ['self-uid'] },
  { name: 'root-group', spec: { identity: unprivileged(RESOLVER_UID, 0) }, fails: ['self-groups'] },
  {
    name: 'ambient-capability',
    spec: {
      identity: `--reuid ${RESOLVER_UID} --regid ${RESOLVER_UID} --clear-groups --no-new-privs --bounding-set=-all,+net_bind_service --inh-caps=-all,+net_bind_service --ambient-caps=-all,+net_bind_service`,
    },
    fails: ['self-capabilities', 'self-bounding-set'],
    evidence: { 'self-capabilities': /ambient: NET_BIND_SERVICE/ },
  },
  {
    name: 'full-bounding-set',
    spec: { identity: `--reuid ${RESOLVER_UID} --regid ${RESOLVER_UID} --clear-groups` },
    fails: ['self-bounding-set'],
    evidence: { 'self-no-new-privs': /set by the resolver/ },
  },
  {
    name: 'cannot-harden',
    spec: {
      identity: `--reuid ${RESOLVER_UID} --regid ${RESOLVER_UID} --clear-groups --bounding-set=-all --inh-caps=-all`,
      seccomp: 'stubborn',
    },
    fails: ['self-no-new-privs', 'self-dumpable', 'self-core-limit'],
    evidence: { 'self-dumpable': /PR_GET_DUMPABLE 1; the kernel refused to change it \(errno 1\)/ },
  },
  {
    name: 'no-seccomp',
    spec: { seccomp: 'none' },
    fails: ['self-seccomp'],
    evidence: { 'self-seccomp': /Seccomp 0 \(none\)/ },
    remedy: { 'self-seccomp': /seccompProfile: \{type: RuntimeDefault\}/ },
  },
  { name: 'inspector', spec: { nodeFlags: ['--inspect=127.0.0.1:0'] }, fails: ['self-inspector'] },
  {
    name: 'sigusr1-opens-inspector',
    spec: { nodeFlags: ['--permission', '--allow-addons', "'--allow-fs-read=*'"] },
    fails: ['self-inspector'],
    evidence: { 'self-inspector': /SIGUSR1 would start the inspector/ },
  },
  {
    name: 'permission-model-audits-only',
    spec: { nodeFlags: ['--permission-audit'] },
    fails: ['self-permission-model'],
  },
  {
    name: 'permission-model-widened',
    spec: {
      nodeFlags: [
        '--disable-sigusr1',
        '--permission',
        '--allow-addons',
        "'--allow-fs-read=*'",
        '--allow-worker',
      ],
    },
    fails: ['self-permission-model'],
    evidence: { 'self-permission-model': /allows worker$/ },
  },
  {
    name: 'loader-variables',
    spec: { environment: ['LD_LIBRARY_PATH=/nowhere', 'NODE_OPTIONS=--no-deprecation'] },
    fails: ['self-loader-environment'],
    evidence: { 'self-loader-environment': /LD_LIBRARY_PATH, NODE_OPTIONS/ },
  },
  {
    name: 'value-in-environment',
    spec: { environment: ['CI_TOKEN=$SECRET', 'CI_BASIC=$(printf %s "$SECRET" | base64 -w0)'] },
    fails: ['self-secret-exposure'],
    evidence: {
      'self-secret-exposure':
        /variable CI_TOKEN holds the value of tenant\/creds\/token; environment variable CI_BASIC holds/,
    },
  },
  { name: 'writable-root', spec: { readOnlyRoot: false }, fails: ['self-root-filesystem'] },

  // Container runtimes
  {
    name: 'gvisor',
    spec: { runtime: 'gvisor' },
    fails: ['runtime', 'self-seccomp', 'mount-tmpfs'],
    evidence: {
      runtime: /^gVisor: Linux version 4\.19\.0-gvisor .*; seen in \/proc\/version$/,
      'self-no-new-privs': /^NoNewPrivs 1$/,
      'self-seccomp': /^Seccomp 0 \(none\) \(gVisor: system calls end in its own kernel/,
      'mount-tmpfs': /is 9p, not tmpfs \(gVisor: the mount shows the gofer/,
    },
  },
  {
    name: 'gvisor-shared',
    spec: { runtime: 'gvisor', processNamespace: 'shared', neighbours: [AGENT] },
    fails: ['runtime', 'self-seccomp', 'mount-tmpfs', 'process-secret-mounts', ...SHARED],
    evidence: { 'process-secret-mounts': /cannot be compared: .* is not a tmpfs \(gVisor: lint and/ },
  },
  {
    name: 'gvisor-with-an-own-uid-elsewhere',
    spec: {
      runtime: 'gvisor',
      processNamespace: 'shared',
      neighbours: [AGENT, { identity: unprivileged(RESOLVER_UID) }],
    },
    fails: ['runtime', 'self-seccomp', 'mount-tmpfs', 'process-secret-mounts', 'process-same-uid', ...SHARED],
  },

  // Secret volumes and configuration
  {
    name: 'secret-in-image',
    spec: { mountSecret: 'cp -a "$SOURCE"/. "$TARGET"/' },
    // Of what is not a mount no check knows anything about the mount.
    fails: ['mount-point', 'mount-tmpfs', 'mount-read-only', 'mount-sub-path'],
    evidence: { 'mount-tmpfs': /^nothing to check: .* is not a mount$/ },
  },
  {
    name: 'secret-on-disk',
    spec: {
      mountSecret: 'cp -a "$SOURCE" disk; mount --bind disk "$TARGET"; mount -o remount,bind,ro "$TARGET"',
    },
    fails: ['mount-tmpfs', 'mount-sub-path'],
    evidence: { 'mount-tmpfs': /is \w+, not tmpfs/ },
  },
  {
    name: 'secret-writable',
    spec: { mountSecret: 'chmod 0755 "$SOURCE"; mount --bind "$SOURCE" "$TARGET"' },
    fails: ['mount-read-only'],
    remedy: { 'mount-read-only': /readOnly: true/ },
  },
  {
    name: 'secret-writable-by-us',
    spec: {
      mountSecret: `mount --bind "$SOURCE" "$TARGET"; chown ${RESOLVER_UID} "$TARGET"; chmod 0755 "$TARGET"`,
    },
    fails: ['mount-read-only', 'mount-not-writable'],
  },
  {
    name: 'not-kubelets-layout',
    spec: {
      mountSecret:
        'mount -t tmpfs tmpfs "$TARGET"; cp -L "$SOURCE"/token "$TARGET"/; mount -o remount,bind,ro "$TARGET"',
    },
    fails: ['mount-layout', 'self-secret-exposure'],
    evidence: { 'mount-readers': /no volume has a file/ },
  },
  {
    name: 'sub-path',
    spec: {
      mountSecret:
        'touch "$TARGET"/token; mount --bind "$SOURCE"/..data/token "$TARGET"/token; mount -o remount,bind,ro "$TARGET"/token',
    },
    fails: [
      'mount-point',
      'mount-tmpfs',
      'mount-read-only',
      'mount-layout',
      'mount-sub-path',
      'self-secret-exposure',
    ],
  },
  {
    name: 'open-folder-above',
    spec: {
      mountSecret: `mount -t tmpfs -o mode=0777 tmpfs pod/secrets; mkdir -p "$TARGET"; ${GOOD_POD.mountSecret}`,
    },
    fails: ['mount-parents'],
    evidence: { 'mount-parents': /pod\/secrets \(0:0 0777\)/ },
  },
  {
    name: 'config-of-the-agent',
    spec: {
      prepare: `cp -a pod/etc etc; mount -t tmpfs tmpfs pod/etc; cp -a etc/. pod/etc/; chown ${AGENT_UID} pod/etc/providers/gitlab.yaml`,
    },
    fails: ['config-not-writable'],
    evidence: { 'config-not-writable': /gitlab\.yaml \(1000:0 0644\) is writable by the agent/ },
  },
  {
    name: 'config-of-our-own',
    spec: {
      prepare: `cp -a pod/etc etc; mount -t tmpfs tmpfs pod/etc; cp -a etc/. pod/etc/; chown ${RESOLVER_UID} pod/etc/config.yaml`,
    },
    fails: ['config-not-writable'],
    evidence: { 'config-not-writable': /config\.yaml is writable by us/ },
  },

  // Other processes
  {
    name: 'hidden-processes',
    spec: { prepare: 'mount -t proc -o hidepid=2 proc /proc' },
    fails: ['process-view'],
  },
  {
    // As a security module may do: the process is listed, and nothing of it can be read.
    name: 'hidden-status',
    spec: {
      processNamespace: 'shared',
      neighbours: [AGENT],
      prepare:
        'install -m 0 /dev/null hidden; for folder in /proc/[0-9]*; do if grep -q "^Uid:.1000" $folder/status; then mount --bind hidden $folder/status; fi; done',
    },
    fails: [...SHARED, 'process-view'],
    evidence: { 'process-view': /^the kernel shows nothing of a living process: pid \d+$/ },
  },
  {
    name: 'host-pid',
    spec: { processNamespace: 'host' },
    fails: ['process-host-pid', 'process-namespace', 'process-capabilities', 'process-escalation'],
    // Whatever else the machine runs is in sight, too.
    mayFail: ['process-same-uid', 'process-secret-mounts', 'process-socket-mounts'],
    remedy: { 'process-host-pid': /^spec\.hostPID: false$/ },
  },
  {
    name: 'our-uid-elsewhere',
    spec: { processNamespace: 'shared', neighbours: [AGENT, { identity: unprivileged(RESOLVER_UID) }] },
    fails: [...SHARED, 'process-same-uid'],
    evidence: { 'process-same-uid': /\(sleep, UID 10771\) is in another container/ },
  },
  {
    name: 'network-sidecar-untrusted',
    spec: { processNamespace: 'shared', neighbours: [AGENT, { identity: NETWORK_SIDECAR }] },
    fails: [...SHARED, 'process-capabilities'],
    evidence: { 'process-capabilities': /UID 0\) holds SYS_PTRACE, DAC_READ_SEARCH$/ },
  },
  {
    name: 'network-sidecar-trusted',
    spec: {
      processNamespace: 'shared',
      neighbours: [AGENT, { identity: NETWORK_SIDECAR }],
      config: 'boundary: {trusted: [{uid: 0}]}',
    },
    fails: [...SHARED, 'config-exceptions'],
    evidence: {
      'process-capabilities': /trusted by the configuration/,
      'config-exceptions': /trusted: UID 0/,
    },
  },
  {
    name: 'network-sidecar-trusted-by-exe',
    spec: {
      processNamespace: 'shared',
      neighbours: [AGENT, { identity: NETWORK_SIDECAR }],
      config: 'boundary: {trusted: [{uid: 0, exe: /usr/bin/sleep}]}',
    },
    fails: [...SHARED, 'process-capabilities', 'config-exceptions'],
    evidence: { 'process-capabilities': /the kernel does not let us read \/proc\/\d+\/exe/ },
  },
  {
    name: 'pause-as-root',
    spec: {
      processNamespace: 'shared',
      neighbours: [AGENT],
      pauseIdentity: '--bounding-set=-all,+setuid,+dac_override,+kill --inh-caps=-all',
    },
    fails: SHARED,
    evidence: { 'process-capabilities': /^pid 1 \(pause, UID 0\) .*: the pod's sandbox process$/ },
  },
  {
    // Each capability of its own user namespace shows in the agent's status; none of them reaches us.
    name: 'agent-in-a-user-namespace',
    spec: {
      processNamespace: 'shared',
      neighbours: [{ ...AGENT, command: 'unshare --user --map-root-user sleep 60' }],
    },
    fails: SHARED,
  },
  {
    name: 'agent-with-a-fresh-user-namespace',
    spec: { processNamespace: 'shared', neighbours: [{ ...AGENT, command: 'unshare --user sleep 60' }] },
    fails: SHARED,
  },
  {
    name: 'agent-with-a-mount-bomb',
    spec: {
      processNamespace: 'shared',
      neighbours: [{ ...AGENT, command: `unshare --user --map-root-user --mount ${MOUNT_BOMB} 13` }],
    },
    fails: SHARED,
  },
  {
    // Making that many mounts takes a capability over our own user namespace.
    name: 'more-mounts-than-are-read',
    spec: {
      processNamespace: 'shared',
      neighbours: [AGENT, { identity: rootWith('sys_admin'), command: `${MOUNT_BOMB} 10` }],
      config: 'boundary: {trusted: [{uid: 0}]}',
    },
    fails: [...SHARED, 'process-secret-mounts', 'process-socket-mounts', 'config-exceptions'],
    evidence: { 'process-secret-mounts': /UID 0\): more mounts than are read/ },
  },
  {
    // SETUID in a user namespace that holds our UID is a way to become us.
    name: 'user-namespace-with-our-uid',
    spec: {
      processNamespace: 'shared',
      neighbours: [
        {
          identity: '--no-new-privs',
          idMap: `0 ${RESOLVER_UID} 1`,
          command:
            'unshare --user --keep-caps bash -c \'until [ -n "$(cat /proc/$$/uid_map)" ]; do sleep 0.02; done; exec sleep 60\'',
        },
      ],
    },
    fails: [...SHARED, 'process-capabilities'],
    evidence: { 'process-capabilities': /\(sleep, UID 0\) holds SYS_PTRACE, SYS_ADMIN, SETUID/ },
  },
  {
    name: 'agent-may-escalate',
    spec: {
      processNamespace: 'shared',
      neighbours: [{ identity: `--reuid ${AGENT_UID} --regid ${AGENT_UID} --clear-groups` }],
    },
    fails: [...SHARED, 'process-escalation'],
  },
  {
    // As gVisor shows its processes.
    name: 'may-escalate-and-does-not-show',
    spec: {
      processNamespace: 'shared',
      neighbours: [{ identity: `--reuid ${AGENT_UID} --regid ${AGENT_UID} --clear-groups --no-new-privs` }],
      prepare:
        'for folder in /proc/[0-9]*; do if grep -q "^Uid:.1000" $folder/status; then sed /NoNewPrivs/d $folder/status > shown; mount --bind shown $folder/status; fi; done',
    },
    fails: [...SHARED, 'process-escalation'],
    evidence: {
      'process-escalation': /this kernel does not show NoNewPrivs, and its bounding set has them$/,
    },
  },
  {
    name: 'trusted-that-may-escalate',
    spec: {
      processNamespace: 'shared',
      neighbours: [AGENT, { identity: '--reuid 1337 --regid 1337 --clear-groups' }],
      config: 'boundary: {trusted: [{uid: 1337}]}',
    },
    fails: [...SHARED, 'config-exceptions'],
  },
  {
    // Its bounding set is full, and all of it holds in its own user namespace alone.
    name: 'escalation-in-a-user-namespace',
    spec: {
      processNamespace: 'shared',
      neighbours: [
        {
          identity: `--reuid ${AGENT_UID} --regid ${AGENT_UID} --clear-groups --bounding-set=-all --inh-caps=-all`,
          command: 'unshare --user --map-root-user sleep 60',
        },
      ],
    },
    fails: SHARED,
  },
  {
    name: 'agent-mounts-the-secret',
    spec: { processNamespace: 'shared', neighbours: [{ ...AGENT, volumes: 'secret' }] },
    fails: [...SHARED, 'process-secret-mounts'],
    evidence: { 'process-secret-mounts': /UID 1000\) at .*\/kubelet$/ },
  },
  {
    name: 'agent-mounts-the-secret-and-has-ended-its-first-thread',
    spec: {
      processNamespace: 'shared',
      neighbours: [
        { ...AGENT, volumes: 'secret', command: './node app/test/boundary/fixtures/end-leader.ts' },
      ],
    },
    fails: [...SHARED, 'process-secret-mounts'],
    evidence: { 'process-secret-mounts': /UID 1000\) at .*\/kubelet$/ },
  },
  {
    name: 'agent-mounts-the-socket-volume',
    spec: { processNamespace: 'shared', neighbours: [{ ...AGENT, volumes: 'socket' }] },
    fails: [...SHARED, 'process-socket-mounts'],
  },
  {
    name: 'agent-mounts-the-socket-volume-read-only',
    spec: { processNamespace: 'shared', neighbours: [{ ...AGENT, volumes: 'socket-read-only' }] },
    fails: SHARED,
  },

  // The socket
  {
    name: 'socket-left-behind',
    spec: {
      prepare: `mkdir -m 0711 pod/run/own
./node -e 'const p = process.argv[1]; require("net").createServer().listen(p, () => { require("fs").chmodSync(p, 0o660); process.kill(process.pid, 9) })' pod/run/own/resolver.sock || true
chown -R ${RESOLVER_UID}:${RESOLVER_UID} pod/run/own`,
    },
    fails: [],
    evidence: { 'socket-folder': /10771:10771 0711/, 'socket-file': /10771:10771 0660/ },
  },
  {
    name: 'open-socket-folder',
    spec: { prepare: `install -d -m 0777 -o ${RESOLVER_UID} pod/run/own` },
    fails: ['socket-folder'],
    evidence: { 'socket-folder': /0777\) is writable by others/ },
  },
  {
    name: 'linked-socket-folder',
    spec: { prepare: 'ln -s /tmp pod/run/own' },
    fails: ['socket-folder'],
    evidence: { 'socket-folder': /is a link/ },
  },
  {
    name: 'no-socket-at-the-path',
    spec: {
      prepare: `install -d -m 0711 -o ${RESOLVER_UID} pod/run/own; install -m 0660 -o ${AGENT_UID} /dev/null pod/run/own/resolver.sock`,
    },
    fails: ['socket-file'],
  },
  {
    name: 'open-folder-above-the-socket',
    spec: {
      prepare: `install -d -m 0777 pod/run/open; install -d -m 0711 -o ${RESOLVER_UID} pod/run/open/own
sed -i 's#run/own/#run/open/own/#' pod/etc/config.yaml`,
    },
    fails: ['socket-path'],
    evidence: { 'socket-path': /run\/open \(0:0 0777\)/ },
  },
  { name: 'abstract-socket', spec: { inherit: 'abstract' }, fails: ['socket-abstract'] },
  {
    name: 'tcp-port',
    spec: { inherit: 'tcp' },
    fails: ['socket-tcp'],
    evidence: { 'socket-tcp': /we listen on 127\.0\.0\.1:\d+/ },
  },

  // Exceptions
  {
    name: 'warns-only',
    spec: { seccomp: 'none', config: 'boundary: {warn: [self-seccomp]}' },
    fails: ['self-seccomp', 'config-exceptions'],
    evidence: {
      'self-seccomp': /only warns: boundary\.warn/,
      'config-exceptions': /only warns: self-seccomp/,
    },
  },
  {
    name: 'unknown-exception',
    spec: { config: 'boundary: {warn: [self-secomp]}' },
    fails: ['config-exceptions'],
    evidence: { 'config-exceptions': /names no enforced check with self-secomp/ },
  },
];
