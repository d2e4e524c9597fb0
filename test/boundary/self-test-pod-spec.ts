/** What a pod for the self-test's tests is like, as data. */

export const AGENT_UID = 1000;
export const RESOLVER_UID = 1338;
/** Where the socket's volume, an emptyDir that anybody may write to, is mounted. The other paths are the defaults. */
export const SOCKET_VOLUME = '/run/secret-resolver';
export const SOCKET_PATH = `${SOCKET_VOLUME}/socket/resolver.sock`;
export const SECRETS_ROOT = '/var/lib/secret-resolver/secrets';
/** Where the Secret `tenant/app` is mounted. */
export const SECRET_MOUNT = `${SECRETS_ROOT}/tenant/app`;

/** What the process in the resolver's container does. It reads the Secret first and keeps it in memory. */
export interface VictimSpec {
  readonly uid: number;
  /** Whether it leaves itself readable by others of its UID. */
  readonly dumpable: boolean;
  /** UIDs whose connections are served; all others are closed before a byte is read. */
  readonly admits: readonly number[];
  /** Milliseconds of work that a refused connection costs. */
  readonly refusalCostMs: number;
  /** Answers every call with PERMISSION_DENIED. */
  readonly denies: boolean;
  readonly abstractName: string | undefined;
  /** A second path that it listens on. */
  readonly secondPath: string | undefined;
  /** Ports of gRPC servers on loopback: with the credential service, and without. */
  readonly credentialPort: number | undefined;
  readonly healthPort: number | undefined;
  readonly inspector: boolean;
  /** Has a credential among its arguments. */
  readonly credentialInArguments: boolean;
}

/** What the agent's container is like. */
export interface AgentSpec {
  readonly uid: number;
  /** Capabilities it keeps, as setpriv names them. */
  readonly capabilities: readonly string[];
  /** Where the Secret's volume is mounted, wrongly, for the agent. */
  readonly secretMountedAt: string | undefined;
  readonly serviceAccountToken: boolean;
  readonly credentialInEnvironment: boolean;
  readonly credentialInFile: boolean;
  readonly socketVolumeWritable: boolean;
  /** Does not share the PID namespace of the pod. */
  readonly ownPidNamespace: boolean;
  /** Starts with a connection that the supervisor (root) opened. */
  readonly inheritsConnection: boolean;
}

export interface PodSpec {
  readonly victim: VictimSpec;
  readonly agent: AgentSpec;
  /** UID that owns the folder of the socket, and its modes. */
  readonly socketFolder: { readonly uid: number; readonly mode: number };
  /** What listens: the victim, nothing (no file at the path), nothing (a dead socket), or the real resolver. */
  readonly listener: 'victim' | 'none' | 'dead' | 'serve';
  /** Modes of the Secret's files, which belong to the resolver's UID. */
  readonly secretMode: number;
  readonly probeArguments: readonly string[];
}

/** A pod in which every fence stands. */
export const GOOD_POD: PodSpec = {
  victim: {
    uid: RESOLVER_UID,
    dumpable: false,
    admits: [0],
    refusalCostMs: 0,
    denies: false,
    abstractName: undefined,
    secondPath: undefined,
    credentialPort: undefined,
    healthPort: 8086,
    inspector: false,
    credentialInArguments: false,
  },
  agent: {
    uid: AGENT_UID,
    capabilities: [],
    secretMountedAt: undefined,
    serviceAccountToken: false,
    credentialInEnvironment: false,
    credentialInFile: false,
    socketVolumeWritable: false,
    ownPidNamespace: false,
    inheritsConnection: false,
  },
  socketFolder: { uid: RESOLVER_UID, mode: 0o711 },
  listener: 'victim',
  secretMode: 0o444,
  probeArguments: [],
};

export type Changes<T> = {
  readonly [K in keyof T]?: T[K] extends readonly unknown[]
    ? T[K]
    : T[K] extends object
      ? Changes<T[K]>
      : T[K];
};

/** The good pod but for some faults. */
export function podWith(changes: Changes<PodSpec>): PodSpec {
  return {
    ...GOOD_POD,
    ...changes,
    victim: { ...GOOD_POD.victim, ...changes.victim },
    agent: { ...GOOD_POD.agent, ...changes.agent },
    socketFolder: { ...GOOD_POD.socketFolder, ...changes.socketFolder },
  };
}

/** What self-test-pod.ts reports. */
export interface PodResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether the socket was the same inode, and its listener still answered, after the self-test. */
  readonly socketIntact: boolean;
  /** Whether the supervisor's watch was never interrupted, and a new call is served. Only with `serve`. */
  readonly supervisorServed: boolean;
  /** What lies in the socket's folder and its parent after the self-test. */
  readonly leftBehind: readonly string[];
}

/** How long the soak goes on. */
export interface SoakPlan {
  /** Rotations in peace, to compare with. */
  readonly quietRotations: number;
  /** Rotations while the agent attacks. */
  readonly attackedRotations: number;
  /** Milliseconds between the arrival of one rotation and the next rotation. */
  readonly gapMs: number;
}

/** What self-test-soak-pod.ts reports. */
export interface SoakResult {
  /** Milliseconds from each rotation to its arrival at the supervisor's watch. */
  readonly quietMs: readonly number[];
  readonly attackedMs: readonly number[];
  /** How often the watch was interrupted. */
  readonly interruptions: number;
  /** How often the whole probe was run. */
  readonly runs: number;
  /** Attacks that were not held, with the reason. */
  readonly findings: readonly string[];
}
