/**
 * Mounts for real, in a mount namespace of its own, and tells what a Volume makes of them as one line of JSON.
 * Run by mounts.test.ts as root: `unshare --mount --propagation private node mount-scenarios.ts <scenario> <folder>`.
 * When the process ends, the kernel takes the namespace and its mounts away.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Volume, type VolumeState } from '../../src/sources/volume.ts';
import { until } from '../support/cli.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { ALL, shown } from './volume-reads.ts';

/** The re-read of these scenarios, in milliseconds: events are lost in them, so it must do. */
const REREAD_MS = 50;

const [scenario = '', folder = ''] = process.argv.slice(2);

function mount(...args: string[]): void {
  execFileSync('mount', args);
}

/** A Secret volume on a tmpfs of its own, as kubelet has it on the node. */
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
  /** `subPath: token`: the one file is mounted. */
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
  /** `subPath: db`: a folder of the generation is mounted. */
  'sub-path-directory': async () => {
    const node = nodeVolume('node');
    const generation = node.write({ 'db/password': 'first' });
    mkdirSync(target, { recursive: true });
    mount('--bind', join(node.directory, generation, 'db'), target);
    const { volume, states } = await watch(target);
    await volume[Symbol.asyncDispose]();
    return { states, mountinfo: readFileSync('/proc/self/mountinfo', 'utf8'), target };
  },
  /** As above, where the configured path has a symlink in it: /var/run is one to /run in most images. */
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
  /** A whole volume, read-only as containers have it: nothing to object to, and a rotation arrives. */
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
  /** Another volume is mounted over the one that is watched, is itself rotated, and is taken away. */
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
