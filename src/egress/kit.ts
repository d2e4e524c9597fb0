/**
 * What makes a stock Envoy a supervisor: a process of the supervisor's UID that watches the credentials, replaces
 * placeholders in what Envoy asks it about, and makes certificates for listed names. Traffic of the agent never enters
 * the resolver; values never enter Envoy's configuration.
 */
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { ResolverError } from '../client/errors.ts';
import { connect } from '../client/index.ts';
import type { Config } from '../config/config.ts';
import { CommandError, ExitCode, errorCode } from '../domain/errors.ts';
import type { Logger } from '../observe/log.ts';
import { ThrowAwayAuthority } from './authority.ts';
import { bootstrap, clusters, FILES, listeners, socketPath } from './bootstrap.ts';
import { Certificates } from './certificates.ts';
import { Current } from './current.ts';
import { Destinations } from './destinations.ts';
import { serveEnvoy } from './service.ts';

/** Milliseconds until a watch is tried again that waiting alone does not help: a reload of the resolver may. */
const REFUSED_WAIT_MS = 5_000;

export interface KitOptions {
  readonly config: Config;
  readonly log: Logger;
}

export class Kit implements AsyncDisposable {
  readonly #options: KitOptions;
  readonly #current: Current;
  readonly #stop = new AbortController();
  #config: Config;
  /** That of the CA, in PEM. */
  #certificate = '';
  #close: () => Promise<void> = async () => {};
  #watching: Promise<void> = Promise.resolve();

  private constructor(options: KitOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#current = new Current(options.config);
  }

  /** Listens for Envoy, then writes its configuration. Throws CommandError where a folder cannot be written. */
  static async start(options: KitOptions): Promise<Kit> {
    const { egress } = options.config;
    const kit = new Kit(options);
    try {
      const authority = await ThrowAwayAuthority.create('secret-resolver egress', Date.now());
      makeFolder(egress.directory, 0o700);
      makeFolder(egress.caDirectory, 0o755);
      const socket = socketPath(egress);
      rmSync(socket, { force: true });
      const certificates = new Certificates(authority, kit.#current);
      kit.#close = await serveEnvoy({ socket, current: kit.#current, certificates, log: options.log });
      // Envoy has our UID; nobody else may ask.
      chmodSync(socket, 0o600);
      kit.#certificate = authority.certificate;
      kit.#writeFiles();
      write(join(egress.directory, FILES.bootstrap), JSON.stringify(bootstrap(egress)), 0o600);
    } catch (error) {
      await kit[Symbol.asyncDispose]();
      const { path = egress.directory, code } = Object(error) as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw new CommandError(
        `cannot write ${path}: ${errorCode(error)}\nThe folders egress.directory and egress.caDirectory must be writable for UID ${process.geteuid?.()}.`,
        ExitCode.refused,
        { cause: error },
      );
    }
    kit.#watching = kit.#watch();
    return kit;
  }

  /** Puts another configuration in force. Where it listens and what it writes to stay as they were. */
  reload(config: Config): void {
    const { listen, directory, caDirectory } = this.#config.egress;
    this.#config = {
      ...config,
      socket: this.#config.socket,
      egress: { ...config.egress, listen, directory, caDirectory },
    };
    this.#current.destinations = new Destinations(this.#config);
    this.#writeFiles();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    this.#current.update(undefined);
    await this.#close();
  }

  /** What the agent and Envoy read. The clusters before the listeners, which may name a new one. */
  #writeFiles(): void {
    const { egress } = this.#config;
    // Through a tunnel the agent meets the servers' own certificates, and most programs trust this file alone.
    const others = egress.unlisted === 'tunnel' ? rootCertificates : [];
    write(join(egress.caDirectory, 'ca.crt'), [this.#certificate.trimEnd(), ...others, ''].join('\n'), 0o644);
    const { destinations } = this.#current;
    write(join(egress.directory, FILES.clusters), JSON.stringify(clusters(egress, destinations)), 0o600);
    write(join(egress.directory, FILES.listeners), JSON.stringify(listeners(egress, destinations)), 0o600);
  }

  /** Holds a watch until the end, whatever becomes of the resolver. Without one nothing is replaced. */
  async #watch(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    const socket = this.#config.socket.path;
    using client = connect({ socket });
    let connected: boolean | undefined;
    const lost = (error: ResolverError) => {
      this.#current.update(undefined);
      if (connected !== false)
        log.warn(
          { socket, reason: error.message },
          'the resolver does not answer; every request with a placeholder is refused',
        );
      connected = false;
    };
    while (!signal.aborted) {
      try {
        for await (const environment of client.watchProviderEnvironment({ signal, onDisconnect: lost })) {
          this.#current.update(environment);
          if (connected !== true)
            log.info({ credentials: environment.credentials.size }, 'credentials are in force');
          connected = true;
        }
      } catch (error) {
        if (!(error instanceof ResolverError)) throw error;
        lost(error);
        await sleep(REFUSED_WAIT_MS, undefined, { signal }).catch(() => {});
      }
    }
  }
}

/** In a pod each is a volume, and exists. */
function makeFolder(path: string, mode: number): void {
  if (mkdirSync(path, { recursive: true }) !== undefined) chmodSync(path, mode);
}

/** Envoy is told by the rename, and never sees a part. */
function write(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode, flag: 'wx' });
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}
