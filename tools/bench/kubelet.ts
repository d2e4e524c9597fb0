/** kubelet's probes of the manifest: `/readyz` each second until it is ready, then every 5 s, and `/livez` every 10 s. */
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const STARTUP = { path: '/readyz', everyMs: 1_000 };
const PROBES = [
  { path: '/readyz', everyMs: 5_000 },
  { path: '/livez', everyMs: 10_000 },
];

export class Kubelet implements Disposable {
  readonly #timers: readonly NodeJS.Timeout[];
  #failure: unknown;

  private constructor(port: number) {
    this.#timers = PROBES.map(({ path, everyMs }) =>
      setInterval(() => {
        ask(port, path).catch((error: unknown) => {
          this.#failure = error;
        });
      }, everyMs),
    );
  }

  /** Probes until disposed, from when the resolver is ready. */
  static async probing(port: number): Promise<Kubelet> {
    for (let attempt = 1; ; attempt++) {
      const ready = await ask(port, STARTUP.path).then(
        () => true,
        () => false,
      );
      if (ready) return new Kubelet(port);
      if (attempt === 30) throw new Error('the startup probe never succeeded');
      await sleep(STARTUP.everyMs);
    }
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** A connection of its own, as kubelet makes one for each probe. */
function ask(port: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false, timeout: 5_000 }, (response) => {
      response.resume().once('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${path} answered ${response.statusCode}`));
      });
    })
      .once('timeout', () => reject(new Error(`${path} was not answered`)))
      .once('error', reject);
  });
}
