/**
 * Creates real mounts in its own mount namespace, and prints how a Volume reads them as one line of JSON.
 * Run by mounts.test.ts as root: `unshare --mount --propagation private node mount-scenarios.ts <scenario> <folder>`.
 * When the process exits, the kernel removes the namespace and its mounts.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Volume, type VolumeState } from '../../src/sources/volume.ts';
import { until } from '../support/cli.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { ALL, shown } from './volume-reads.ts';

/** The re-read interval of these scenarios, in milliseconds. They lose events, so only a re-read can notice changes. */
const REREAD_MS = 50;

const [scenario = '', folder = ''] = process.argv.slice(2);

function mount(...args: string[]): void {
  execFileSync('mount', args);
}

/** A Secret volume on its own tmpfs, as kubelet creates it on the node. */
function nodeVolume(name: string): SecretVolume {
  const directory = join(folder, name);
  mkdirSync(directory, { recursive: true });
  mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory);
  return new SecretVolume(directory);
}

async function watch(directory: string): Promise<{ volume: Volume; states: ReturnType<typeof shown>[] }> {
  const states: ReturnType<typeof shown>[] = [];
  const volume = new Volume({
    secret: { namespace: 'tenant', name: 'credentials' },
    directory,
    wanted: ALL,
    log: new MemoryLog().log,
    onChange: ({ read }: VolumeState) => states.push(shown(read)),
    rereadIntervalMs: REREAD_MS,
  });
  await volume.start();
  return { volume, states };
}

const target = join(folder, 'container', 'secrets', 'with space');
const scenarios: Record<string, () => Promise<unknown>> = {
  /** `subPath: token`: a single file is mounted. */
  'sub-path-file': async () => {
    const node = nodeVolume('node');
    const generation = node.write({ token: 'first' });
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, 'token'), '');
    mount('--bind', join(node.directory, generation, 'token'), join(target, 'token'));
    const { volume, states } = await watch(target);
    await volume[Symbol.asyncDispose]();
    return { states, mountinfo: readFileSync('/proc/self/mountinfo', 'utf8'), target };
  },
  /** `subPath: db`: a subdirectory of the generation is mounted. */
  'sub-path-directory': async () => {
    const node = nodeVolume('node');
    const generation = node.write({ 'db/password': 'first' });
    mkdirSync(target, { recursive: true });
    mount('--bind', join(node.directory, generation, 'db'), target);
    const { volume, states } = await watch(target);
    await volume[Symbol.asyncDispose]();
    return { states, mountinfo: readFileSync('/proc/self/mountinfo', 'utf8'), target };
  },
  /** The same, with a symlink in the configured path: in most images /var/run is a symlink to /run. */
  'sub-path-behind-a-link': async () => {
    const node = nodeVolume('node');
    const generation = node.write({ token: 'first' });
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, 'token'), '');
    mount('--bind', join(node.directory, generation, 'token'), join(target, 'token'));
    symlinkSync(join(folder, 'container'), join(folder, 'var'));
    const { volume, states } = await watch(join(folder, 'var', 'secrets', 'with space'));
    await volume[Symbol.asyncDispose]();
    return { states };
  },
  /** A whole volume, mounted read-only as in containers: no fault, and a rotation arrives. */
  whole: async () => {
    const node = nodeVolume('node');
    node.write({ token: 'first' });
    mkdirSync(target, { recursive: true });
    mount('--bind', '-o', 'ro', node.directory, target);
    const { volume, states } = await watch(target);
    node.write({ token: 'second' });
    await until(() => states.length === 2);
    await volume[Symbol.asyncDispose]();
    return { states, mountinfo: readFileSync('/proc/self/mountinfo', 'utf8'), target };
  },
  /** Another volume is mounted over the watched one, rotated, and unmounted. */
  'mounted-over': async () => {
    const first = nodeVolume('node');
    first.write({ token: 'first' });
    mkdirSync(target, { recursive: true });
    mount('--bind', first.directory, target);
    const { volume, states } = await watch(target);
    const second = nodeVolume('other');
    second.write({ token: 'second' });
    mount('--bind', second.directory, target);
    await until(() => states.length === 2);
    second.write({ token: 'third' });
    await until(() => states.length === 3);
    execFileSync('umount', [target]);
    await until(() => states.length === 4);
    first.write({ token: 'fourth' });
    await until(() => states.length === 5);
    await volume[Symbol.asyncDispose]();
    return { states };
  },
};

const run = scenarios[scenario];
if (run === undefined) throw new Error(`there is no scenario ${scenario}`);
process.stdout.write(JSON.stringify(await run()));
