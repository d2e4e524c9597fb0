/**
 * `serve --gateway-driver`: the volumes that handles may refer to, and the driver's socket. They are apart from
 * those of the providers: which keys are wanted is not known before a gateway asks.
 */

import { type Config, type GatewayDriver, type SecretName, secretId } from '../config/config.ts';
import { MIN_HANDLE_KEY_BYTES } from '../consumers/gateway-driver/gateway-handle.ts';
import { GatewayServer } from '../consumers/gateway-driver/gateway-server.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import type { Limits } from '../domain/limits.ts';
import type { Audit } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';
import type { Meter } from '../observe/metrics.ts';
import { refuse } from '../socket/calls.ts';
import type { ServingState } from '../socket/serving-state.ts';
import { type VolumeRead, volumeDirectory } from '../sources/index.ts';
import type { Wanted } from '../sources/source.ts';
import { Volume } from '../sources/volume.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly state: ServingState;
  readonly audit: Audit;
  readonly log: Logger;
  readonly meter: Meter;
  readonly onNewUid?: (uid: number) => void;
  /** For tests; those of the server unless given. */
  readonly limits?: Partial<Limits>;
}

/** The driver where it is wanted; a configuration for one that is not wanted does nothing, and says so. */
export async function openGateway(wanted: boolean, options: GatewayOptions): Promise<Gateway | undefined> {
  if (wanted) return Gateway.open(options);
  if (options.config.gatewayDriver !== undefined) {
    options.log.warn('gatewayDriver is configured and not served: start with --gateway-driver');
  }
  return undefined;
}

export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  #config: Config;
  #driver: GatewayDriver;
  #volumes: ReadonlyMap<string, Volume> = new Map();
  /** Those of a reload, until each was read once. */
  #starting: ReadonlyMap<string, Volume> = new Map();
  #server: GatewayServer | undefined;
  #reloads: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(options: GatewayOptions, driver: GatewayDriver) {
    this.#options = options;
    this.#config = options.config;
    this.#driver = driver;
  }

  /** Reads every volume once, then opens the socket. A gateway asks once when it starts, and never again. */
  static async open(options: GatewayOptions): Promise<Gateway> {
    const { gatewayDriver } = options.config;
    if (gatewayDriver === undefined) {
      throw new CommandError(
        '--gateway-driver: the configuration has no gatewayDriver (write {socket, callers, handleKey, workspaces})',
        ExitCode.usage,
      );
    }
    const gateway = new Gateway(options, gatewayDriver);
    try {
      await gateway.#mount(options.config, gatewayDriver);
      const { state, audit, log, meter, onNewUid, limits } = options;
      gateway.#server = await GatewayServer.open({
        driver: () => gateway.#driver,
        allow: () => gateway.#config.references.allow,
        reads: () => gateway.#reads(),
        handleKeys: () => gateway.#handleKeys(),
        state,
        audit,
        log,
        meter,
        ...(onNewUid === undefined ? {} : { onNewUid }),
        ...(limits === undefined ? {} : { limits }),
      });
    } catch (error) {
      await gateway[Symbol.asyncDispose]();
      throw error;
    }
    options.log.info(
      { socket: gatewayDriver.socket.path, workspaces: gatewayDriver.workspaces.map(({ name }) => name) },
      'the gateway driver is listening',
    );
    return gateway;
  }

  /**
   * Puts another configuration in force. What it no longer allows is refused at once; Secrets that are new in it
   * can be resolved when their volumes have been read.
   */
  reload(config: Config): void {
    const { gatewayDriver } = config;
    const { log } = this.#options;
    // Without a driver in it nobody is listed and nothing may be referred to; the socket stays until the end.
    const next = { ...(gatewayDriver ?? NOTHING_ALLOWED), socket: this.#driver.socket };
    if (JSON.stringify(gatewayDriver?.socket) !== JSON.stringify(next.socket)) {
      log.warn({ fields: ['gatewayDriver.socket'] }, 'these fields take effect at the next start only');
    }
    this.#config = config;
    this.#driver = next;
    this.#server?.connections.recheck();
    this.#reloads = this.#reloads
      .then(() => this.#mount(config, next))
      .catch((error: unknown) => log.error({ err: error }, 'the reload of the gateway driver failed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#server?.[Symbol.asyncDispose]();
    await closeAll(this.#starting);
    await this.#reloads;
    await closeAll(this.#volumes);
  }

  async #mount(config: Config, driver: GatewayDriver): Promise<void> {
    if (this.#closed) return;
    const volumes = new Map<string, Volume>();
    for (const { secret, wanted } of gatewaySecrets(driver)) {
      const id = secretId(secret);
      const directory = volumeDirectory(config, secret);
      // Each request reads the state of its moment: there is nobody to be told of a change.
      volumes.set(
        id,
        new Volume({
          secret,
          directory,
          wanted,
          log: this.#options.log,
          onChange: (state) => this.#note(state),
        }),
      );
    }
    this.#starting = volumes;
    await Promise.all([...volumes.values()].map((volume) => volume.start()));
    const old = this.#volumes;
    this.#volumes = volumes;
    await closeAll(old);
  }

  #note({ secret, read }: { readonly secret: SecretName; readonly read: VolumeRead }): void {
    const { log } = this.#options;
    const volume = secretId(secret);
    if (read.kind === 'fault')
      log.warn({ volume, fault: read.fault }, 'a Secret of the gateway driver cannot be read');
    else log.info({ volume, generation: read.generation.id }, 'a Secret of the gateway driver was read');
  }

  #reads(): ReadonlyMap<string, VolumeRead> {
    return new Map(
      [...this.#volumes].flatMap(([id, { state }]) =>
        state === undefined ? [] : [[id, state.read] as const],
      ),
    );
  }

  /** The keys that are mounted now. The first makes new handles, so it must be there; an old one may be gone. */
  #handleKeys(): [Buffer, ...Buffer[]] {
    const reads = this.#reads();
    const keys = this.#driver.handleKeys.map((reference) => {
      const read = reads.get(secretId(reference));
      const key = read?.kind === 'generation' ? read.generation.keys.get(reference.key) : undefined;
      return key?.kind === 'bytes' ? key.value.reveal() : undefined;
    });
    const [first, ...older] = keys;
    if (first === undefined) refuse({ kind: 'handle-key-unusable', why: 'it is not mounted' });
    const tooShort = keys.some((key) => key !== undefined && key.byteLength < MIN_HANDLE_KEY_BYTES);
    if (tooShort) {
      refuse({ kind: 'handle-key-unusable', why: `it has fewer than ${MIN_HANDLE_KEY_BYTES} bytes` });
    }
    return [first, ...older.filter((key) => key !== undefined)];
  }
}

const NOTHING_ALLOWED: Omit<GatewayDriver, 'socket'> = { callers: [], handleKeys: [], workspaces: [] };

/** Every Secret that a handle may refer to, and that of the keys, with the keys that can be asked for. */
function gatewaySecrets(driver: GatewayDriver): { secret: SecretName; wanted: Wanted }[] {
  const found = new Map<string, { secret: SecretName; keys: Set<string>; all: boolean }>();
  const want = ({ namespace, name }: SecretName, globs: readonly string[]) => {
    const secret = { namespace, name };
    const entry = found.get(secretId(secret)) ?? { secret, keys: new Set<string>(), all: false };
    found.set(secretId(secret), entry);
    for (const glob of globs) {
      if (glob.includes('*')) entry.all = true;
      else entry.keys.add(glob);
    }
  };
  for (const { secrets } of driver.workspaces) for (const secret of secrets) want(secret, secret.keys);
  for (const reference of driver.handleKeys) want(reference, [reference.key]);
  return [...found.values()].map(({ secret, keys, all }) => ({ secret, wanted: { keys, all } }));
}

async function closeAll(volumes: ReadonlyMap<string, Volume>): Promise<void> {
  await Promise.all([...volumes.values()].map((volume) => volume[Symbol.asyncDispose]()));
}
