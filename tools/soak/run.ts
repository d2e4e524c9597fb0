/** One run: executes the plan on the real resolver while checking the invariants. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.ts';
import type { Product } from '../../test/support/product.ts';
import { ARTIFACTS, newSecret } from '../../test/support/secrets.ts';
import { Workspace } from '../../test/support/workspace.ts';
import { attack, connectionsOf, Peer, playCaller } from './cast.ts';
import { Clock } from './clock.ts';
import { growth, SHORTEST_LIFE_MS } from './growth.ts';
import { type Excuse, History } from './history.ts';
import { Judge } from './judge.ts';
import { now, type Observation } from './observation.ts';
import { Operator, type Ports, type Uids } from './operator.ts';
import {
  ATTACKS,
  type Attack,
  BLOWS,
  type Blow,
  below,
  CHANGES,
  type Change,
  DISTURBANCES,
  type Disturbance,
  type Planned,
  pick,
  planOf,
  randomFrom,
  SETTLE_MS,
} from './plan.ts';
import { Resolver } from './resolver.ts';
import type { Report } from './supervisor.ts';
import { summaryOf, Tally } from './tally.ts';
import { chooseSecret, EXPIRING, JUMP_MS, SECRETS, Volumes } from './volumes.ts';

/** UIDs of nobody else: the resolver's, those of two listed callers, the agent's. */
const ROOT_RUN = { resolver: 10_771, supervisor: 10_772, neighbour: 10_773, agent: 10_774 };
/** MiB of the tmpfs that the Secrets are on. */
const VOLUME_MIB = 8;
/** Milliseconds after which a watch that has not recovered is not waited for any more. */
const RECOVERY_TIMEOUT_MS = 20_000;
/** What flood.ts does to the ports, where it does not send junk. */
const PORT_FLOODS = ['without ever waiting', 'idle', 'requests', 'single-bytes'] as const;
/** Runs of `check` one after the other, as kubelet starts its exec probes. */
const EXECS = 4;
/** Disturbances under way at once, for each peer. */
const MAX_DISTURBANCES = 4;
const PROGRESS_MS = 30_000;
/** Rounds of call floods at the beginning of a life, and how many of them at once: further ones make it no larger. */
const WARM_UP = { rounds: 4, atOnce: 3 } as const;

export interface RunOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Path of the checkout for other UIDs. */
  readonly checkout: string;
  /** What the resolver is started from. */
  readonly product: Product;
  /** Ends the run early, and reports the results so far. */
  readonly signal: AbortSignal;
}

export async function run(options: RunOptions) {
  const soak = new Soak(options, { health: await freePort(), metrics: await freePort() });
  try {
    await soak.start();
    await soak.carryOut();
    return soak.summary();
  } finally {
    await soak.end();
  }
}

class Soak {
  readonly #minutes: number;
  readonly #seed: number;
  readonly #signal: AbortSignal;
  readonly #root = process.getuid?.() === 0;
  readonly #workspace = new Workspace();
  readonly #history = new History();
  readonly #judge = new Judge(this.#history, [EXPIRING]);
  readonly #tally = new Tally();
  readonly #prefix = newSecret('soak');
  readonly #volumes = new Volumes(this.#workspace, this.#history, this.#prefix);
  readonly #clock: Clock | undefined;
  readonly #operator: Operator;
  readonly #ports: Ports;
  readonly #product: Product;
  readonly #resolver: Resolver;
  /** A program attacks. */
  #attacked = false;
  readonly #checkout: string;
  readonly #leftOut: string[] = [];
  readonly #peers: Peer[] = [];
  readonly #callers: { readonly pid: number; readonly kill: (signal: NodeJS.Signals) => void }[] = [];
  readonly #disturbing = new Map<Peer, Set<Promise<void>>>();
  /** One at a time of what must not meet: a reload reads files, which a shortage forbids and a stopped process puts off. */
  #exclusive: Promise<void> = Promise.resolve();
  #stream = 0;
  #watchers: number | undefined;
  #last: Observation | undefined;
  #onSnapshot: ((stream: number, at: number) => void) | undefined;
  #startedAt = now();
  #told = 0;
  #killsAtMs: readonly number[] = [];
  #ending = false;

  constructor({ minutes, seed, checkout, product, signal }: RunOptions, ports: Ports) {
    this.#ports = ports;
    this.#product = product;
    this.#minutes = minutes;
    this.#seed = seed;
    this.#checkout = checkout;
    this.#signal = signal;
    this.#clock = Clock.find(join(this.#workspace.root, 'clock'));
    const own = process.getuid?.() ?? 0;
    const uids: Uids = this.#root ? ROOT_RUN : { supervisor: own, neighbour: undefined, agent: own + 1 };
    this.#operator = new Operator(this.#workspace, this.#history, uids, ports);
    this.#resolver = new Resolver({
      command: [
        join(checkout, 'node_modules/.bin/node'),
        ...product.entry(this.#workspace.socket),
        'serve',
        // The boundary of a bare machine is no pod's.
        '--relaxed',
        '--config',
        this.#workspace.configFile,
      ],
      uid: this.#root ? ROOT_RUN.resolver : undefined,
      env: this.#clock?.env ?? {},
      onUnexpectedEnd: (how) => this.#restartAfter(how),
    });
    if (!this.#root)
      this.#leftOut.push(
        'not root: no other UIDs, so no agent, no neighbour, no floods and no attacks by programs; no full tmpfs; no shortage of descriptors, which are not counted either, nor of processes',
      );
    if (this.#clock === undefined)
      this.#leftOut.push('clock jumps: libfaketime is not installed (Debian: apt-get install libfaketime)');
  }

  async start(): Promise<void> {
    const { secretsRoot, socket } = this.#workspace;
    mkdirSync(secretsRoot);
    if (this.#root)
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${VOLUME_MIB}m,mode=0755`, 'tmpfs', secretsRoot]);
    for (const secret of SECRETS) this.#volumes.rotate(secret);
    this.#operator.restore();
    const excuse = this.#history.excuse(now());
    this.#resolver.start();
    const listening = this.#resolver.listening().then(() => true);
    if (!(await Promise.race([listening, sleep(RECOVERY_TIMEOUT_MS, false)])))
      throw new Error('the resolver did not come up; its output is kept');
    const role = (name: string, uid: number | undefined) => ({
      name,
      checkout: this.#checkout,
      socket,
      uid: this.#root ? uid : undefined,
    });
    const caller = (name: string, uid: number | undefined, providers: readonly string[]) => {
      const child = playCaller(role(name, uid), {
        providers,
        prefix: this.#prefix,
        onReport: (report) => this.#hear(name, report),
        onEnd: (how) => {
          if (!this.#ending) this.#judge.report('ended-by-itself', now(), how);
        },
      });
      this.#callers.push({ pid: child.pid ?? -1, kill: (which) => child.kill(which) });
    };
    const first = this.#nextSnapshot(0);
    caller('supervisor', ROOT_RUN.supervisor, SECRETS);
    if ((await first) === undefined) throw new Error('the supervisor got no first snapshot');
    if (this.#root) {
      caller('neighbour', ROOT_RUN.neighbour, ['alpha']);
      this.#peers.push(new Peer(role('agent', ROOT_RUN.agent)));
    }
    this.#peers.push(new Peer(role('rogue', ROOT_RUN.neighbour)));
    excuse.until = now();
  }

  async carryOut(): Promise<void> {
    this.#startedAt = now();
    const plan = planOf(this.#seed, this.#minutes);
    this.#killsAtMs = plan.blows.filter(({ action }) => action === 'kill').map(({ atMs }) => atMs);
    this.#operator.keepsNeighbour = this.#isToBeWarm(this.#startedAt);
    if (this.#operator.keepsNeighbour) void this.#warmUp();
    const sampling = setInterval(() => void this.#sample(), 1_000);
    const telling = setInterval(() => this.#progress(), PROGRESS_MS);
    try {
      await Promise.all([
        this.#follow(plan.changes, (each) => this.#change(each)),
        this.#follow(plan.disturbances, async (each) => this.#disturb(each)),
        this.#follow(plan.attacks, (each) => this.#attack(each)),
        this.#follow(plan.blows, (each) => this.#strike(each)),
      ]);
      // The plan ends SETTLE_MS before the time; what is longer was held up.
      await sleep(SETTLE_MS, undefined, { signal: this.#signal }).catch(() => {});
      await Promise.all([...this.#disturbing.values()].flatMap((under) => [...under]));
      await sleep(1_000);
    } finally {
      clearInterval(sampling);
      clearInterval(telling);
      this.#tellViolations();
    }
    await this.#judgeEnd();
  }

  summary() {
    return summaryOf({
      seed: this.#seed,
      minutes: this.#minutes,
      tally: this.#tally,
      lives: this.#resolver.lives.map(({ samples }) => samples),
      violations: this.#judge.violations,
      notJudged: this.#judge.notJudged,
      leftOut: [...this.#leftOut, ...this.#notDone()],
      startedAt: this.#startedAt,
    });
  }

  async end(): Promise<void> {
    this.#ending = true;
    for (const peer of this.#peers) peer.end();
    for (const caller of this.#callers) caller.kill('SIGKILL');
    if (this.#resolver.lives.length > 0) {
      this.#resolver.signal('SIGCONT');
      await Promise.race([this.#resolver.end('SIGTERM'), sleep(6_000)]);
      await this.#resolver.end('SIGKILL');
    }
    if (this.#root) execFileSync('umount', ['--lazy', this.#workspace.secretsRoot]);
    this.#workspace[Symbol.dispose]();
  }

  /** What of the plan's kinds was never carried out, though all of them are planned. */
  #notDone(): string[] {
    const done = [...this.#tally.counts.keys()];
    return [CHANGES, DISTURBANCES, ATTACKS, BLOWS]
      .flatMap(Object.keys)
      .filter((kind) => !done.some((name) => name === kind || name.startsWith(`${kind} by `)))
      .map((kind) => `${kind}: it was never carried out`);
  }

  async #follow<T>(planned: readonly Planned<T>[], act: (each: Planned<T>) => Promise<void>): Promise<void> {
    for (const each of planned) {
      const wait = this.#startedAt + each.atMs - now();
      if (wait > 0) await sleep(wait, undefined, { signal: this.#signal }).catch(() => {});
      if (this.#signal.aborted) return;
      await act(each);
    }
  }

  // ---- what changes ------------------------------------------------------------------------------------------

  async #change({ action, seed }: Planned<Change>): Promise<void> {
    const random = randomFrom(seed);
    const secret = chooseSecret(random);
    switch (action) {
      case 'rotate':
        this.#volumes.rotate(secret);
        break;
      case 'remove-keys':
        this.#volumes.removeKeys(secret, random);
        break;
      case 'remove-secret':
        this.#volumes.removeSecret(secret);
        break;
      case 'bad-values':
        this.#volumes.badValues(secret, random);
        break;
      case 'odd-shape':
        this.#volumes.oddShape(secret, random);
        break;
      case 'full-tmpfs': {
        if (!this.#root) return;
        const { failed, release } = this.#volumes.fill(secret);
        if (failed) this.#tally.add('full-tmpfs: the writer failed');
        await sleep(300);
        release();
        break;
      }
      case 'reload-right':
        await this.#alone(async () => {
          await this.#resolver.listening();
          this.#operator.change(random, () => this.#resolver.signal('SIGHUP'));
          await sleep(300);
        });
        break;
      case 'reload-wrong':
        await this.#alone(async () => {
          await this.#resolver.listening();
          this.#operator.mistake(random);
          this.#resolver.signal('SIGHUP');
          await sleep(250);
          this.#operator.restore();
          await this.#resolver.listening();
          this.#resolver.signal('SIGHUP');
        });
        break;
      case 'clock-jump': {
        const { clockAheadMs } = this.#volumes;
        const ahead = clockAheadMs > 0 && random() < 0.4 ? 0 : clockAheadMs + JUMP_MS;
        if (this.#clock === undefined) return;
        this.#volumes.jump(ahead, () => this.#clock?.set(ahead));
        break;
      }
    }
    this.#tally.add(action);
  }

  // ---- what disturbs -----------------------------------------------------------------------------------------

  #disturb({ action, seed }: Planned<Disturbance>): void {
    const random = randomFrom(seed);
    const peer = pick(random, this.#peers);
    // Without other UIDs the peer is the supervisor itself, whose own share a flood may use up.
    if (!this.#root && (action.endsWith('flood') || action === 'half-open')) return;
    const under = this.#disturbing.get(peer) ?? new Set<Promise<void>>();
    this.#disturbing.set(peer, under);
    if (under.size >= MAX_DISTURBANCES) return;
    const acting = this.#act(peer, action, below(random, 2 ** 32)).then(() => {
      under.delete(acting);
    });
    under.add(acting);
  }

  async #act(peer: Peer, action: Disturbance, seed: number): Promise<void> {
    const isAgent = this.#root && peer === this.#peers[0];
    const who = isAgent ? 'by the agent' : 'by a listed peer';
    const { connections, bytes } = await peer.act(action, seed);
    this.#tally.add(`${action} ${who}`);
    this.#tally.add(`connections ${who}`, connections);
    if (!isAgent) return;
    this.#tally.add('bytes sent to the agent', bytes);
    this.#judge.stranger(now(), bytes, action);
  }

  // ---- what attacks ------------------------------------------------------------------------------------------

  /** By a program, which knows nothing of our client. Nothing excuses the resolver meanwhile. */
  async #attack({ action, seed }: Planned<Attack>): Promise<void> {
    if (!this.#root) return;
    const random = randomFrom(seed);
    this.#attacked = true;
    await this.#attackBy(action, random);
    this.#attacked = false;
  }

  async #attackBy(action: Attack, random: () => number): Promise<void> {
    const ms = 1_500 + random() * 2_000;
    const targets = Object.values(this.#ports).map((port) => `127.0.0.1,${port}`);
    const agent = { checkout: this.#checkout, uid: ROOT_RUN.agent };
    let by = 'the agent';
    switch (action) {
      case 'port-flood':
        await attack(agent, 'observe/attackers/flood.ts', [pick(random, PORT_FLOODS), ...targets], ms);
        break;
      case 'port-junk':
        await attack(agent, 'observe/attackers/flood.ts', ['junk', ...targets], ms);
        break;
      case 'execs':
        by = 'kubelet';
        for (let count = 0; count < EXECS; count++) await this.#exec();
        break;
      default: {
        const listed = random() < 0.7;
        const attacker = listed ? { ...agent, uid: ROOT_RUN.neighbour } : agent;
        if (listed) by = 'a listed peer';
        const counts = await attack(attacker, 'endurance/flooder.ts', [action, this.#workspace.socket], ms);
        // It prints them each second.
        if (!listed && counts !== '') this.#judge.stranger(now(), JSON.parse(counts).bytes, action);
      }
    }
    this.#tally.add(`${action} by ${by}`);
  }

  /** Whatever it finds on this machine, it is no reason for the resolver to end. */
  async #exec(): Promise<void> {
    const { configFile } = this.#workspace;
    const args = [join(this.#product.folder, 'dist/main.js'), 'check', '--config', configFile];
    const child = spawn(join(this.#checkout, 'node_modules/.bin/node'), args, {
      env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent' },
      stdio: 'ignore',
      uid: ROOT_RUN.resolver,
      gid: ROOT_RUN.resolver,
    });
    await once(child, 'exit');
  }

  // ---- what strikes ------------------------------------------------------------------------------------------

  async #strike({ action, seed }: Planned<Blow>): Promise<void> {
    const random = randomFrom(seed);
    switch (action) {
      case 'kill':
        await this.#kill(random() < 0.2);
        break;
      case 'freeze-resolver':
        await this.#alone(() =>
          this.#excused(undefined, async () => {
            this.#resolver.signal('SIGSTOP');
            await sleep(200 + random() * 2_800);
            this.#resolver.signal('SIGCONT');
          }),
        );
        break;
      case 'freeze-watcher':
        await this.#excused('supervisor', async () => {
          this.#callers[0]?.kill('SIGSTOP');
          await sleep(200 + random() * 3_800);
          this.#callers[0]?.kill('SIGCONT');
          await sleep(200);
        });
        break;
      case 'shortage':
        if (!this.#root) return;
        await this.#alone(() =>
          this.#excused(undefined, async () => {
            await this.#resolver.listening();
            const restore = this.#resolver.shorten(below(random, 3));
            this.#disturb({ action: 'flood', atMs: 0, seed });
            await sleep(500 + random() * 2_000);
            restore();
            // The next try of a read that failed comes within a second.
            await sleep(1_500);
          }),
        );
        break;
      case 'no-more-processes':
        if (!this.#root) return;
        // Nothing is excused: what it ever needs of them it has.
        await this.#alone(async () => {
          await this.#resolver.listening();
          const restore = this.#resolver.forbidThreads();
          for (const each of ['garbage', 'huge-headers', 'flood'] as const)
            this.#disturb({ action: each, atMs: 0, seed });
          await sleep(500 + random() * 2_000);
          restore();
        });
        break;
    }
    this.#tally.add(action);
  }

  async #kill(frozen: boolean): Promise<void> {
    const excuse = this.#history.excuse(now());
    if (frozen) {
      this.#resolver.signal('SIGSTOP');
      await sleep(200);
      this.#tally.add('kill of a stopped process');
    }
    const recovered = this.#nextSnapshot(this.#stream);
    const killedAt = now();
    const ownWait = coreWaitMs(process.pid);
    this.#history.died(killedAt);
    await this.#resolver.end('SIGKILL');
    const warm = this.#isToBeWarm(killedAt);
    this.#operator.keepsNeighbour = warm;
    if (warm) this.#operator.listNeighbour();
    // A wrong configuration that was just tried is the operator's to take back: kubelet would start it in vain.
    this.#operator.restore();
    this.#resolver.start();
    // Three take turns: the harness until the spawn, the resolver until it listens, the supervisor until it has a snapshot.
    let waited = coreWaitMs(process.pid) - ownWait;
    const { life } = this.#resolver;
    const supervisor = this.#callers[0]?.pid ?? -1;
    void this.#resolver.listening().then(() => {
      waited += coreWaitMs(life.pid) - coreWaitMs(supervisor);
    });
    const bareStart = bareStartMs();
    const at = await recovered;
    waited += coreWaitMs(supervisor);
    excuse.until = now();
    // Nothing is taken off where the watch was faster than the word of it.
    const coreWait = life.listeningAt === undefined ? 0 : waited;
    const machine = { bareStartMs: await bareStart, coreWaitMs: coreWait };
    this.#judge.recovered(killedAt, at, machine);
    this.#tally.recoveries.push({
      spawnedMs: life.spawnedAt - killedAt,
      listeningMs: (life.listeningAt ?? Number.NaN) - killedAt,
      startCpuMs: life.startCpuMs,
      snapshotMs: (at ?? Number.POSITIVE_INFINITY) - killedAt,
      machine,
    });
    if (warm) void this.#warmUp();
  }

  /** Whether the life that begins will be long enough to be judged for growth. A kill may come later than planned. */
  #isToBeWarm(from: number): boolean {
    const at = from - this.#startedAt;
    const nextKill = this.#killsAtMs.find((atMs) => atMs > at) ?? Number.POSITIVE_INFINITY;
    return this.#root && nextKill - at >= SHORTEST_LIFE_MS / 2;
  }

  /**
   * Brings a life to its working size as soon as it begins: what it takes for the most that one UID may ask stays
   * with it, and whether that comes sooner or later is chance and no growth. It is the neighbour's UID that asks,
   * and off the list it would flood a closed door: so the operator keeps it there meanwhile.
   */
  async #warmUp(): Promise<void> {
    const [rogue] = this.#peers.slice(-1);
    if (rogue === undefined) return;
    const { life } = this.#resolver;
    const lasts = () => !this.#ending && this.#resolver.life === life;
    for (let round = 0; round < WARM_UP.rounds && lasts(); round++)
      await Promise.all(Array.from({ length: WARM_UP.atOnce }, () => this.#act(rogue, 'call-flood', round)));
    for (const each of ['unfinished', 'unread'] as const) {
      if (!lasts()) break;
      const attacker = { checkout: this.#checkout, uid: ROOT_RUN.neighbour };
      await attack(attacker, 'endurance/flooder.ts', [each, this.#workspace.socket], 1_000);
    }
    if (lasts()) this.#operator.keepsNeighbour = false;
  }

  #restartAfter(how: string): void {
    if (this.#ending) return;
    this.#judge.report('ended-by-itself', now(), `the resolver ended: ${how}`);
    const excuse = this.#history.excuse(now());
    this.#history.died(now());
    setTimeout(() => {
      this.#operator.restore();
      this.#resolver.start();
      void this.#resolver.listening().then(() => {
        excuse.until = now() + 1_000;
      });
    }, 200);
  }

  async #excused(client: string | undefined, work: () => Promise<void>): Promise<void> {
    const excuse: Excuse = this.#history.excuse(now(), client);
    await work();
    excuse.until = now();
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    const turn = this.#exclusive.then(work);
    this.#exclusive = turn.catch(() => {});
    await turn;
  }

  // ---- what is seen ------------------------------------------------------------------------------------------

  #hear(name: string, report: Report): void {
    switch (report.type) {
      case 'seen': {
        const { observation, stream } = report;
        this.#judge.observe(observation);
        this.#tally.add(
          { poll: 'snapshots polled', snapshot: 'snapshots watched', held: 'looks at what a watch holds' }[
            observation.kind
          ],
        );
        if (name !== 'supervisor') return;
        if (observation.kind === 'poll') this.#last = observation;
        this.#stream = Math.max(this.#stream, stream);
        if (observation.kind === 'snapshot') this.#onSnapshot?.(stream, observation.at);
        break;
      }
      case 'failed':
        this.#tally.add(`calls of the ${name} that failed: ${report.code}`);
        // A neighbour that is unlisted for a while, or shares its places with a rogue, is refused with reason.
        if (name === 'supervisor') this.#judge.failed(report.client, report.from, report.at, report.code);
        break;
      case 'answered':
        this.#tally.add(`calls of the ${name} that were answered`);
        break;
      case 'watchers':
        if (name === 'supervisor') this.#watchers = report.watchers;
        break;
    }
  }

  /** When the supervisor's watch had a snapshot of a stream after this one; undefined where it never had. */
  #nextSnapshot(after: number): Promise<number | undefined> {
    return new Promise((done) => {
      const timer = setTimeout(() => finish(undefined), RECOVERY_TIMEOUT_MS);
      const finish = (at: number | undefined) => {
        clearTimeout(timer);
        this.#onSnapshot = undefined;
        done(at);
      };
      this.#onSnapshot = (stream, at) => {
        if (stream > after) finish(at);
      };
    });
  }

  async #sample(): Promise<void> {
    const sum = (list: readonly number[]) => list.reduce((total, each) => total + each, 0);
    const watches = sum(await Promise.all(this.#peers.map((peer) => peer.watches())));
    const connections = this.#root
      ? sum([...this.#callers, ...this.#peers].map(({ pid }) => connectionsOf(pid)))
      : 0;
    this.#resolver.sample(this.#watchers, this.#attacked ? undefined : { connections, watches });
  }

  async #judgeEnd(): Promise<void> {
    const at = now();
    await this.#sample();
    for (const [index, { samples }] of this.#resolver.lives.entries()) {
      for (const what of growth(samples)) this.#judge.report('growth', at, `life ${index + 1}: ${what}`);
      // Whether it was a leak or a load can be told from the course of it alone.
      if (samples.length > 0)
        writeFileSync(join(ARTIFACTS, `life-${index + 1}`, 'samples.json'), JSON.stringify(samples));
    }
    if (this.#signal.aborted) return;
    if (this.#last === undefined) this.#judge.report('unserved', at, 'the supervisor never got an answer');
    else this.#judge.settled(this.#last);
    if ((this.#watchers ?? 0) > this.#callers.length)
      this.#judge.report('growth', at, `${this.#watchers} watches are open, of ${this.#callers.length}`);
  }

  /** Reports each violation once, during the run: a crash at the end could lose them. */
  #tellViolations(): void {
    for (const { invariant, at, what } of this.#judge.violations.slice(this.#told))
      console.log(`${invariant} at ${((at - this.#startedAt) / 1000).toFixed(1)} s: ${what}`);
    this.#told = this.#judge.violations.length;
  }

  #progress(): void {
    this.#tellViolations();
    const seconds = Math.round((now() - this.#startedAt) / 1000);
    const sample = this.#resolver.life.samples.at(-1);
    const slowest = Math.max(0, ...this.#tally.recoveries.map(({ snapshotMs }) => snapshotMs));
    console.log(
      [
        `${seconds} s of ${this.#minutes * 60}`,
        `rotations ${this.#tally.get('rotate')}`,
        `snapshots ${this.#tally.get('snapshots polled') + this.#tally.get('snapshots watched')}`,
        `kills ${this.#tally.get('kill')} (slowest recovery ${slowest.toFixed(0)} ms)`,
        `RSS ${sample?.rssMiB.toFixed(0) ?? '?'} MiB`,
        `descriptors ${sample?.descriptors ?? 'not counted'}`,
        `watchers ${this.#watchers ?? '?'}`,
        `violations ${this.#judge.violations.length}`,
      ].join(', '),
    );
  }
}

/** Milliseconds that the main thread of a process was ready to run and had no core; 0 where the kernel does not tell. */
function coreWaitMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1_000_000;
  } catch {
    return 0;
  }
}

/** Milliseconds that this machine needs to run a node that does nothing. */
async function bareStartMs(): Promise<number> {
  const from = now();
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  await once(child, 'exit');
  return now() - from;
}
