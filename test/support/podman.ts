/**
 * Real containers for tests. This podman keeps everything in one temporary folder, and shares no image, lock, network or
 * setting with the machine's podman. It pulls nothing: every image is imported or built here. Needs root and the packages
 * of `.ci/install`.
 *
 * Differences from kubelet: an emptyDir is a named volume owned by the first container's user, not root:root 0777;
 * fsGroup is ignored; a pod without a network has only loopback.
 */
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { stringify } from 'yaml';
import { describeIf } from './root.ts';
import { ARTIFACTS } from './secrets.ts';

/** Longest that one podman command may take, in milliseconds: an image build with a cold npm cache. */
const COMMAND_TIMEOUT_MS = 240_000;

/** The process that holds a pod's namespaces. */
const PAUSE_IMAGE = 'localhost/pause:test';

/** This machine's platform, as image manifests write it. */
const MACHINE = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;

/** Outcome of a command; `exitCode` is 0 unless the caller asked to see failures. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Lets a failing command come back instead of throwing. */
  readonly mayFail?: boolean;
  /** Standard input. */
  readonly input?: string;
  /** Bound in milliseconds. */
  readonly timeout?: number;
}

export interface BuildOptions {
  readonly tag: string;
  /** Folder with the Dockerfile. */
  readonly context: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** A stage to stop after. */
  readonly target?: string;
  /** Whether layers of an earlier build may be used again; not unless asked. */
  readonly cached?: boolean;
  /** `os/arch`, where it is not this machine's. */
  readonly platform?: string;
  /** Bind mounts for RUN steps, `host:container[:ro]`. They are no part of the image. */
  readonly volumes?: readonly string[];
}

/** The part of an image's description that tests look at. */
export interface ImageFacts {
  readonly Architecture: string;
  /** Bytes, base included. */
  readonly Size: number;
  readonly RootFS: { readonly Layers: readonly string[] };
  readonly Config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Cmd: readonly string[];
    readonly Env: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
}

/** A suite that needs podman and root: left out with a message where one is missing, a failure in CI. */
export function describeWithPodman(name: string, body: () => void): void {
  describeIf(name, missingForPodman(), body);
}

function missingForPodman(): string | undefined {
  if (process.getuid?.() !== 0) return 'run the tests as root';
  const absent = ['podman', 'runc', 'conmon', 'catatonit'].filter((program) => find(program) === undefined);
  return absent.length === 0 ? undefined : `${absent.join(', ')} missing: run .ci/install`;
}

/** Full path of a program, or undefined. */
export function find(program: string): string | undefined {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/sbin']
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
}

export class Podman implements AsyncDisposable {
  /** Everything that this podman owns is below this folder; tests may put their own files here too. */
  readonly folder: string;
  readonly #env: Record<string, string>;
  readonly #mounts: string[] = [];
  #closed = false;

  private constructor(folder: string) {
    this.folder = folder;
    this.#env = writeSettings(folder);
  }

  static async open(): Promise<Podman> {
    // Short on purpose: a runroot longer than 50 bytes leaves no room for the socket paths below it.
    const podman = new Podman(await mkdtemp(join(tmpdir(), 'msr-')));
    await podman.#importPause();
    return podman;
  }

  /** The first process of each pod, under the name that it has in Kubernetes; podman's own goes by catatonit. */
  async #importPause(): Promise<void> {
    const root = join(this.folder, 'pause');
    mkdirSync(root);
    copyFileSync(find('catatonit') ?? '', join(root, 'pause'));
    await this.importTree(root, PAUSE_IMAGE, ['ENTRYPOINT ["/pause", "-P"]']);
  }

  /** Runs `podman` with `args`. Throws with its stderr if it fails. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const { exitCode, stdout, stderr, timedOut } = await execa('podman', args, {
      env: this.#env,
      extendEnv: false,
      reject: false,
      timeout: options.timeout ?? COMMAND_TIMEOUT_MS,
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    appendFileSync(join(ARTIFACTS, 'podman.log'), `# podman ${args.join(' ')}\n${stdout}\n${stderr}\n`);
    if (timedOut || exitCode === undefined || (exitCode !== 0 && !options.mayFail)) {
      const ending = timedOut ? 'took too long' : `ended with ${exitCode}`;
      throw new Error(`podman ${args.slice(0, 3).join(' ')} ${ending}:\n${stderr.slice(-4000)}`);
    }
    return { exitCode, stdout, stderr };
  }

  /** Makes an image of one layer out of a folder. `changes` are Dockerfile instructions, such as `ENV A=b`. */
  async importTree(folder: string, tag: string, changes: readonly string[] = []): Promise<void> {
    const archive = join(this.folder, 'import.tar');
    // Sorted, without owner or time: the same tree gives the same image.
    const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
    await execa('tar', [...same, '-C', folder, '-cf', archive, '.']);
    await this.run(['import', '-q', ...changes.flatMap((line) => ['-c', line]), archive, tag]);
    await rm(archive);
  }

  /** Builds an image and returns its id. RUN steps use the machine's network. */
  async build(options: BuildOptions): Promise<string> {
    const { stdout } = await this.run([
      'build',
      '--quiet',
      ...(options.cached ? [] : ['--no-cache']),
      '--pull=never',
      '--network=host',
      // One time for all files and for the image: the same sources give the same image.
      '--timestamp=0',
      '--platform',
      options.platform ?? MACHINE,
      // BuildKit knows this one by itself.
      '--build-arg',
      `BUILDPLATFORM=${MACHINE}`,
      ...Object.entries(options.buildArgs).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
      ...(options.volumes ?? []).flatMap((volume) => ['--volume', volume]),
      ...(options.target === undefined ? [] : ['--target', options.target]),
      '--tag',
      options.tag,
      options.context,
    ]);
    return stdout.trim();
  }

  /**
   * Starts a pod from its manifest (YAML text, or the object it stands for), with loopback as its only network.
   * Containers are then named `<pod>-<container>`. Returns once init containers have ended and the others run, or,
   * without `start`, once all are made.
   */
  async playPod(manifest: string | object, start = true): Promise<void> {
    const file = join(this.folder, `pod-${process.hrtime.bigint()}.yaml`);
    writeFileSync(file, typeof manifest === 'string' ? manifest : stringify(manifest));
    await this.run(['kube', 'play', '--network=none', `--start=${start}`, file]);
  }

  async removePod(pod: string): Promise<void> {
    await this.run(['pod', 'rm', '--force', '--time=0', pod]);
  }

  /** Runs a command in a running container; `user` is `uid[:gid]`, the container's own by default. */
  async exec(
    container: string,
    command: readonly string[],
    options: RunOptions & { readonly user?: string } = {},
  ): Promise<Outcome> {
    const user = options.user === undefined ? [] : ['--user', options.user];
    const input = options.input === undefined ? [] : ['--interactive'];
    return this.run(['exec', ...input, ...user, container, ...command], options);
  }

  /** What a container wrote so far, both streams. */
  async logs(container: string): Promise<string> {
    const { stdout, stderr } = await this.run(['logs', container]);
    return [stdout, stderr].filter((text) => text !== '').join('\n');
  }

  /** Waits until a container's log matches; throws with the log where it does not within `timeout` ms. */
  async waitForLog(container: string, pattern: RegExp, timeout = 20_000): Promise<RegExpMatchArray> {
    const end = Date.now() + timeout;
    for (;;) {
      const text = await this.logs(container);
      const match = text.match(pattern);
      if (match !== null) return match;
      if (Date.now() > end) throw new Error(`${container} never wrote ${pattern}; it wrote:\n${text}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** State and exit code of a container, for example `{state: 'exited', exitCode: 1}`. */
  async state(container: string): Promise<{ state: string; exitCode: number; pid: number }> {
    const format = '{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}';
    const { stdout } = await this.run(['container', 'inspect', '--format', format, container]);
    const [state = '', exitCode, pid] = stdout.trim().split(' ');
    return { state, exitCode: Number(exitCode), pid: Number(pid) };
  }

  async hasImage(tag: string): Promise<boolean> {
    return (await this.run(['image', 'exists', tag], { mayFail: true })).exitCode === 0;
  }

  /** What `podman image inspect` says of an image. */
  async inspectImage(tag: string): Promise<ImageFacts> {
    const { stdout } = await this.run(['image', 'inspect', tag]);
    const [facts] = JSON.parse(stdout) as [ImageFacts];
    return facts;
  }

  /** Shows an image's files as a folder of this machine, until this podman is closed. Read only. */
  async mountImage(tag: string): Promise<string> {
    const { stdout } = await this.run(['image', 'mount', tag]);
    return stdout.trim();
  }

  /** A new tmpfs on the host side, as a kubelet makes for a Secret; bind-mount it with a hostPath volume. */
  async tmpfs(name: string, mode = '0755'): Promise<string> {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    await execa('mount', ['-t', 'tmpfs', '-o', `mode=${mode},size=4m`, 'tmpfs', folder]);
    this.#mounts.push(folder);
    return folder;
  }

  /** Keeps the containers' output for the leak search, then removes containers, images, mounts and files. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#keepLogs();
    await this.run(['pod', 'rm', '--all', '--force', '--time=0'], { mayFail: true });
    await this.run(['rm', '--all', '--force', '--time=0'], { mayFail: true });
    await this.run(['image', 'unmount', '--all', '--force'], { mayFail: true });
    await this.run(['rmi', '--all', '--force'], { mayFail: true });
    for (const mount of [...this.#mounts, ...mountsBelow(this.folder)]) {
      await execa('umount', [mount], { reject: false });
    }
    await removeEmptyCgroups();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #keepLogs(): Promise<void> {
    const { stdout } = await this.run(['ps', '--all', '--format', '{{.Names}}'], { mayFail: true });
    for (const name of stdout.split('\n').filter((line) => line !== '' && !line.endsWith('-infra'))) {
      const { stdout: out, stderr } = await this.run(['logs', name], { mayFail: true });
      appendFileSync(join(ARTIFACTS, `container-${name}.log`), `${out}\n${stderr}\n`);
    }
  }
}

/** Writes the settings files and returns the environment that makes podman read these and no others. */
function writeSettings(folder: string): Record<string, string> {
  const at = (name: string) => join(folder, name);
  for (const name of ['home/.config/containers', 'tmp', 'networks']) mkdirSync(at(name), { recursive: true });
  const quoted = (value: string) => JSON.stringify(value);
  writeFileSync(
    at('containers.conf'),
    `[containers]
# None named: containers inherit ours. Naming one makes podman name the others, higher than every root may go.
default_ulimits = []
init_path = ${quoted(find('catatonit') ?? 'catatonit')}
log_driver = "k8s-file"
[engine]
infra_image = ${quoted(PAUSE_IMAGE)}
runtime = "runc"
cgroup_manager = "cgroupfs"
# Not static_dir: conmon does not hand it on, and podman then waits 20 s for each container to end.
events_logger = "file"
image_copy_tmp_dir = ${quoted(at('tmp'))}
# Locks in files: the shared-memory segment is one for the whole machine.
lock_type = "file"
events_logfile_path = ${quoted(at('events'))}
tmp_dir = ${quoted(at('run'))}
volume_path = ${quoted(at('volumes'))}
[network]
network_config_dir = ${quoted(at('networks'))}
`,
  );
  writeFileSync(
    at('storage.conf'),
    `[storage]\ndriver = "overlay"\ngraphroot = ${quoted(at('images'))}\nrunroot = ${quoted(at('r'))}\n`,
  );
  writeFileSync(at('registries.conf'), 'unqualified-search-registries = []\n');
  writeFileSync(at('home/.config/containers/policy.json'), JSON.stringify(POLICY));
  return {
    PATH: `${process.env.PATH}${delimiter}/usr/sbin`,
    HOME: at('home'),
    TMPDIR: at('tmp'),
    CONTAINERS_CONF: at('containers.conf'),
    CONTAINERS_STORAGE_CONF: at('storage.conf'),
    CONTAINERS_REGISTRIES_CONF: at('registries.conf'),
  };
}

/** Images come from local archives and local storage; one from a registry is rejected, whoever asks for it. */
const POLICY = {
  default: [{ type: 'reject' }],
  transports: Object.fromEntries(
    ['containers-storage', 'tarball', 'docker-archive', 'oci', 'oci-archive', 'dir'].map((transport) => [
      transport,
      { '': [{ type: 'insecureAcceptAnything' }] },
    ]),
  ),
};

/** Mount points below a folder, the deepest first. */
function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
}

/** Podman leaves cgroups behind in hierarchies that it has no limits in. rmdir takes away the unused ones only. */
async function removeEmptyCgroups(): Promise<void> {
  const root = '/sys/fs/cgroup';
  for (const hierarchy of ['', ...(await readdir(root))]) {
    await removeEmptyFolders(join(root, hierarchy, 'libpod_parent'));
  }
}

async function removeEmptyFolders(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isDirectory()) await removeEmptyFolders(join(folder, entry.name));
  }
  await rmdir(folder).catch(() => undefined);
}
