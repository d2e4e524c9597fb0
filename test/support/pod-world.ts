/**
 * A pod as the kernel sees one: a network namespace with an interface to the node and one to a neighbour, and a
 * control group for each of two containers, `agent` and `resolver`. As root. Every process of a party is started through {@link PodWorld.words}.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { until } from './cli.ts';

const CGROUPS = '/sys/fs/cgroup';
const V2 = existsSync(join(CGROUPS, 'cgroup.controllers'));

export interface Shares {
  /** CPU shares as in cgroup v1, where 1024 is one core; 1024 unless given. */
  readonly resolver?: number;
  /** Processes of the pod as a whole: kubelet's podPidsLimit. */
  readonly maxPids?: number;
}

/** Networks of the pod, the node and a neighbour; and the addresses at which the latter two see the pod. */
export const SEEN_BY = {
  kubelet: { pod: '10.210.0.2', own: '10.210.0.1', pod6: 'fd10:210::2', own6: 'fd10:210::1' },
  neighbour: { pod: '10.211.0.2', own: '10.211.0.1', pod6: 'fd10:211::2', own6: 'fd10:211::1' },
} as const;
export type Network = 'pod' | keyof typeof SEEN_BY;

export class PodWorld implements AsyncDisposable {
  readonly #holders = new Map<Network, ChildProcess>();
  readonly #groups: string[] = [];
  readonly #name = `msr-${process.pid}-${Date.now() % 100_000}`;

  static async open({ resolver = 1_024, maxPids }: Shares): Promise<PodWorld> {
    const world = new PodWorld();
    try {
      for (const network of ['pod', 'kubelet', 'neighbour'] as const) await world.#network(network);
      for (const outside of ['kubelet', 'neighbour'] as const) world.#link(outside);
      // What else runs on the machine takes little from this node, and what is outside the pod is not starved by it.
      world.#makeGroup('', { cpuShares: 8 * 1_024 });
      world.#makeGroup('outside', { cpuShares: 8 * 1_024 });
      world.#makeGroup('pod', { cpuShares: 1_024, maxPids });
      world.#makeGroup('pod/agent', { cpuShares: 1_024 });
      world.#makeGroup('pod/resolver', { cpuShares: resolver });
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The words that run `words` in a network, and in the control group of a container or outside the pod. */
  words(network: Network, container: 'agent' | 'resolver' | undefined, words: readonly string[]): string[] {
    const joins = this.#hierarchies(container === undefined ? 'outside' : `pod/${container}`)
      .map((folder) => `echo $$ > ${folder}/cgroup.procs && `)
      .join('');
    return [
      ...['nsenter', `--net=/proc/${this.#pid(network)}/ns/net`],
      ...['sh', '-c', `${joins}exec "$@"`, 'sh', ...words],
    ];
  }

  /** Processes of the pod, threads included. */
  get pids(): number {
    const folder = this.#hierarchies('pod').find((each) => existsSync(join(each, 'pids.current')));
    return Number(readFileSync(join(folder ?? '', 'pids.current'), 'utf8'));
  }

  /** CPU time that the living processes of a container have taken, in milliseconds. */
  cpuMs(container: 'agent' | 'resolver'): number {
    const [folder = ''] = this.#hierarchies(`pod/${container}`);
    const threads = readFileSync(join(folder, 'cgroup.procs'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}`));
    const nanoseconds = threads.map((thread) =>
      Number(readFileSync(`${thread}/schedstat`, 'utf8').split(' ')[0]),
    );
    return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const holder of this.#holders.values()) holder.kill('SIGKILL');
    for (const folder of this.#groups.toReversed()) {
      await until(() => {
        for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean))
          try {
            process.kill(Number(pid), 'SIGKILL');
          } catch {
            // It ended meanwhile.
          }
        try {
          rmdirSync(folder);
          return true;
        } catch {
          return false;
        }
      });
    }
  }

  #pid(network: Network): number {
    return this.#holders.get(network)?.pid ?? -1;
  }

  async #network(network: Network): Promise<void> {
    // It ends with this process, whose end closes its input.
    const holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
    this.#holders.set(network, holder);
    const own = readlinkSync('/proc/self/ns/net');
    await until(() => {
      try {
        return readlinkSync(`/proc/${holder.pid}/ns/net`) !== own;
      } catch {
        return false;
      }
    });
    this.#ip(network, 'link', 'set', 'lo', 'up');
  }

  #link(outside: keyof typeof SEEN_BY): void {
    const { pod, own, pod6, own6 } = SEEN_BY[outside];
    const inPod = outside === 'kubelet' ? 'eth0' : 'eth1';
    const peer = ['peer', 'name', 'eth0', 'netns', String(this.#pid(outside))];
    this.#ip('pod', 'link', 'add', inPod, 'type', 'veth', ...peer);
    for (const [network, device, addresses] of [
      ['pod', inPod, [`${pod}/24`, `${pod6}/64`]],
      [outside, 'eth0', [`${own}/24`, `${own6}/64`]],
    ] as const) {
      for (const address of addresses)
        this.#ip(
          network,
          'address',
          'add',
          address,
          'dev',
          device,
          ...(address.includes(':') ? ['nodad'] : []),
        );
      this.#ip(network, 'link', 'set', device, 'up');
    }
  }

  #ip(network: Network, ...words: string[]): void {
    execFileSync('nsenter', [`--net=/proc/${this.#pid(network)}/ns/net`, 'ip', ...words]);
  }

  #hierarchies(name: string): string[] {
    const bases = V2 ? [CGROUPS] : ['cpu', 'pids'].map((each) => join(CGROUPS, each));
    return bases.map((base) => join(base, this.#name, name));
  }

  #makeGroup(
    name: string,
    { cpuShares, maxPids }: { readonly cpuShares: number; readonly maxPids?: number | undefined },
  ): void {
    for (const folder of this.#hierarchies(name)) {
      if (V2) enableControllers(join(folder, '..'));
      mkdirSync(folder);
      this.#groups.push(folder);
      const weight = 1 + Math.floor(((cpuShares - 2) * 9_999) / 262_142);
      for (const [file, value] of [
        ['cpu.shares', cpuShares],
        ['cpu.weight', weight],
        ['pids.max', maxPids],
      ] as const)
        if (value !== undefined && existsSync(join(folder, file)))
          writeFileSync(join(folder, file), String(value));
    }
  }
}

/** In cgroup v2 a group with controllers for its children may have no process of its own, the root excepted. */
function enableControllers(folder: string): void {
  const control = join(folder, 'cgroup.subtree_control');
  try {
    writeFileSync(control, '+cpu +pids');
  } catch {
    const rest = join(folder, 'rest');
    mkdirSync(rest, { recursive: true });
    for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean))
      writeFileSync(join(rest, 'cgroup.procs'), pid);
    writeFileSync(control, '+cpu +pids');
  }
}
