/**
 * The product in a real pod: podman runs the output of `secret-resolver inject` with the edits of for-podman.ts, with
 * boundary checks enforced and the self-test before the agent.
 */
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, until } from '../support/cli.ts';
import { importToolbox, RESOLVER_IMAGE, resolverImage } from '../support/images.ts';
import { describeWithPodman, Podman } from '../support/podman.ts';
import { newSecret } from '../support/secrets.ts';
import { type AgentPod, HEALTH_PORT, METRICS_PORT, prepareAgentPod, TOOLBOX } from './agent-pod.ts';
import { forPodman } from './for-podman.ts';
import { startPod } from './kubelet.ts';

/** An image build fetches packages where npm's cache is cold. In milliseconds. */
const BUILD_TIMEOUT_MS = 300_000;

/** Whether a process of this UID and name runs on the machine, in whatever container. */
function runsAs(uid: number, name: string): boolean {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .some((pid) => {
      try {
        return (
          statSync(`/proc/${pid}`).uid === uid && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name
        );
      } catch {
        return false;
      }
    });
}

/** Facts are taken every 15 s, and taking them takes a moment. In milliseconds. */
const DRIFT_MS = 18_000;

/** Runs `secret-resolver inject` on the manifest of a pod. */
async function inject(pod: AgentPod, name: string, ...more: string[]) {
  const file = join(pod.work, '..', `${name}.yaml`);
  writeFileSync(file, pod.manifest);
  return cli([
    'inject',
    ...['-f', file, '-c', pod.configFile, '--image', RESOLVER_IMAGE, '--image-pull-policy', 'Never'],
    // The test's own files come from folders of this machine: podman has no other volume for them.
    ...['--ignore', 'host-path'],
    ...more,
  ]);
}

describeWithPodman('a pod', () => {
  let podman: Podman;

  beforeAll(async () => {
    podman = await Podman.open();
    await resolverImage(podman);
    await importToolbox(podman, TOOLBOX);
  }, BUILD_TIMEOUT_MS);

  afterAll(() => podman?.[Symbol.asyncDispose](), BUILD_TIMEOUT_MS);

  describe('as inject wrote it', () => {
    const name = 'sandbox';
    let pod: AgentPod;
    let token = newSecret();
    let requests = 0;

    const log = (container: string) => podman.logs(`${name}-${container}`);
    const events = async (container: string) =>
      (await log(container))
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);

    /** Tells the running agent what to ask for, and returns what it was answered, and by which of its processes. */
    async function agentRequests(what: string): Promise<{ process: string; body: string; status: number }> {
      requests += 1;
      const file = join(pod.work, `request-${requests}`);
      writeFileSync(`${file}.new`, `${what}\n`);
      renameSync(`${file}.new`, file);
      const [, process = '', body = '', status] = await podman.waitForLog(
        `${name}-agent`,
        new RegExp(`^answer ${requests} (\\d+) (.*) (\\d{3}) *$`, 'm'),
      );
      return { process, body: body.trim(), status: Number(status) };
    }

    /** What arrived at the upstream with the last request. */
    async function lastArrival(): Promise<Record<string, unknown> | undefined> {
      return (await events('upstream')).findLast(({ event }) => event === 'arrived');
    }

    const fingerprint = (text: string) => createHmac('sha256', pod.fingerprintKey).update(text).digest('hex');

    beforeAll(async () => {
      pod = await prepareAgentPod(podman, name);
      pod.secret.write({ token });
      const injected = await inject(pod, name);
      expect(injected.stderr).toBe('');
      expect(injected.code).toBe(0);
      const { exitCode, stderr } = await startPod(
        podman,
        forPodman(injected.stdout, pod.volumes),
        HEALTH_PORT,
      );
      if (exitCode !== 0)
        throw new Error(`the pod did not start: ${stderr}\n${await log('secret-resolver-self-test')}`);
      // What a platform does for its sandboxes: hand the agent the environment that the supervisor made.
      await podman.waitForLog(`${name}-supervisor`, /"event":"applied"/);
      await podman.waitForLog(`${name}-upstream`, /"event":"listening"/);
      const said = await events('supervisor');
      const { url, ca } = said.find(({ event }) => event === 'proxy') ?? {};
      const { agentEnvironment } = said.find(({ event }) => event === 'applied') ?? {};
      const environment = { ...(agentEnvironment as Record<string, string>), AGENT_PROXY: String(url) };
      writeFileSync(join(pod.work, 'ca.pem'), String(ca));
      writeFileSync(
        join(pod.work, 'environment'),
        Object.entries(environment)
          .map(([key, value]) => `${key}='${value}'\n`)
          .join(''),
      );
      writeFileSync(join(pod.work, 'start'), '');
    }, 120_000);

    it('passes the boundary check in the pod without --relaxed', async () => {
      const text = await log('secret-resolver');
      expect(text).toContain('the isolation boundary is proven');
      expect(text).not.toContain('"relaxed"');
      const { stdout } = await podman.exec(`${name}-upstream`, [
        'curl',
        '--silent',
        `http://127.0.0.1:${METRICS_PORT}/metrics`,
      ]);
      expect(stdout).toContain('\nsecret_resolver_boundary_proven 1\n');
    });

    it('runs the resolver from its compiled code, as the process that the image started', async () => {
      const { pid } = await podman.state(`${name}-secret-resolver`);
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      expect(words[0]).toBe('/app/node');
      // A process that had replaced itself would have left this one out.
      expect(words).toContain('--allow-child-process');
      expect(words.slice(words.indexOf('/app/dist/start.cjs'))).toEqual([
        '/app/dist/start.cjs',
        'serve',
        '--config',
        '/etc/secret-resolver/config.yaml',
        '',
      ]);
      const { stdout } = await podman.exec(
        `${name}-secret-resolver`,
        ['/usr/local/bin/secret-resolver', 'status'],
        { user: '1337:1337', mayFail: true },
      );
      expect(stdout).toContain('serving');
    });

    it('lets the self-test, as the agent, find nothing', async () => {
      expect(await podman.state(`${name}-secret-resolver-self-test`)).toMatchObject({ exitCode: 0 });
    });

    it('runs resolver, supervisor and agent under separate UIDs without capabilities', async () => {
      const seen: Record<string, object> = {};
      for (const container of ['secret-resolver', 'supervisor', 'agent']) {
        const { pid } = await podman.state(`${name}-${container}`);
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        const field = (key: string) => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/);
        seen[container] = {
          uids: [...new Set(field('Uid'))],
          permitted: field('CapPrm'),
          noNewPrivileges: field('NoNewPrivs'),
          seccomp: field('Seccomp'),
        };
      }
      const rights = { permitted: ['0000000000000000'], noNewPrivileges: ['1'], seccomp: ['2'] };
      expect(seen).toEqual({
        'secret-resolver': { uids: ['10771'], ...rights },
        supervisor: { uids: ['1337'], ...rights },
        agent: { uids: ['1000'], ...rights },
      });
    });

    it.each(['header', 'query'])(
      'sends the real value where the agent wrote a placeholder: %s',
      async (where) => {
        expect(await agentRequests(where)).toMatchObject({ body: 'welcome', status: 200 });
        expect(await lastArrival()).toMatchObject({ where, credential: fingerprint(token) });
      },
    );

    it('sends the real value where the agent wrote a placeholder: Basic', async () => {
      expect(await agentRequests('basic')).toMatchObject({ body: 'welcome', status: 200 });
      expect(await lastArrival()).toMatchObject({
        where: 'basic',
        user: 'oauth2',
        credential: fingerprint(token),
      });
    });

    it('refuses the credential for another endpoint', async () => {
      const before = await events('upstream');
      expect(await agentRequests('elsewhere')).toMatchObject({
        status: 403,
        body: '{"error":"credential_endpoint_mismatch"}',
      });
      expect(await events('upstream')).toEqual(before);
    });

    it('gives the same running agent the rotated value with its next request', async () => {
      const first = await agentRequests('header');
      expect(await lastArrival()).toMatchObject({ credential: fingerprint(token) });
      token = newSecret();
      const applied = (await events('supervisor')).filter(({ event }) => event === 'applied').length;
      pod.secret.write({ token });
      await podman.waitForLog(`${name}-supervisor`, new RegExp(`(?:"event":"applied"[^]*){${applied + 1}}`));
      const second = await agentRequests('header');
      expect(second).toEqual(first);
      expect(await lastArrival()).toMatchObject({ where: 'header', credential: fingerprint(token) });
    });

    it('refuses the next request once the key is deleted', async () => {
      const before = await events('upstream');
      pod.secret.write({ other: newSecret() });
      await podman.waitForLog(`${name}-supervisor`, /"keys":\[\]/);
      expect(await agentRequests('header')).toMatchObject({
        status: 500,
        body: '{"error":"credential_unavailable"}',
      });
      expect(await events('upstream')).toEqual(before);
    });

    it('audits every step', async () => {
      const outcomes = (await events('secret-resolver')).map(
        ({ unmapped }) => (unmapped as { outcome?: string } | undefined)?.outcome,
      );
      for (const outcome of ['loaded', 'served', 'acknowledged', 'rotated', 'revoked'])
        expect(outcomes).toContain(outcome);
    });

    it('exits with 0 within seconds of SIGTERM', async () => {
      await podman.run(['stop', '--time=5', `${name}-secret-resolver`]);
      expect(await podman.state(`${name}-secret-resolver`)).toMatchObject({ state: 'exited', exitCode: 0 });
    });
  });

  describe('with a shared PID namespace', () => {
    const name = 'shared';

    it("starts after a probe that attacked the resolver's process, and ends once somebody else has its UID", {
      timeout: 120_000,
    }, async () => {
      const pod = await prepareAgentPod(podman, name, { sharedPid: true });
      pod.secret.write({ token: newSecret() });
      const injected = await inject(pod, name);
      expect(injected.code).toBe(0);
      const started = await startPod(podman, forPodman(injected.stdout, pod.volumes), HEALTH_PORT);
      const attacks = await podman.logs(`${name}-secret-resolver-self-test`);
      expect(started, attacks).toMatchObject({ exitCode: 0 });
      for (const attack of ['process-environment', 'process-memory', 'process-root', 'ptrace', 'signals'])
        expect(attacks).toMatch(new RegExp(`^${attack} +held `, 'm'));
      expect(await podman.logs(`${name}-secret-resolver`)).toContain('the isolation boundary is proven');

      const intruder = podman.exec(`${name}-agent`, ['sleep', '60'], { user: '10771:10771', mayFail: true });
      // The time starts when the intruder runs, because podman needs a moment to start it.
      await until(
        () => runsAs(10_771, 'sleep'),
        20_000,
        () => 'podman never started the intruder',
      );
      const [evidence] = await podman.waitForLog(
        `${name}-secret-resolver`,
        /"check":"process-same-uid","evidence":"[^"]*/,
        DRIFT_MS,
      );
      expect(evidence).toContain('is in another container');
      // Within seconds, though the intruder is still there and the supervisor keeps asking.
      await until(async () => (await podman.state(`${name}-secret-resolver`)).state === 'exited', 10_000);
      expect(await podman.state(`${name}-secret-resolver`)).toMatchObject({ exitCode: 1 });
      await podman.removePod(name);
      await intruder;
    });
  });

  describe('whose agent mounts the Secret', () => {
    const name = 'leaky';

    it('is refused by inject, and by the self-test where inject was overruled: its agent never starts', {
      timeout: 120_000,
    }, async () => {
      const pod = await prepareAgentPod(podman, name, { leaky: true });
      pod.secret.write({ token: newSecret() });
      const refused = await inject(pod, name);
      expect(refused.code).toBe(1);
      expect(refused.stdout).toBe('');
      const [, rule = ''] = /error: .*\[([a-z-]+)\]/.exec(refused.stderr) ?? [];
      const injected = await inject(pod, name, '--ignore', rule);
      expect(injected.code).toBe(0);
      const started = await startPod(podman, forPodman(injected.stdout, pod.volumes), HEALTH_PORT);
      expect(started.exitCode).not.toBe(0);
      expect(await podman.state(`${name}-secret-resolver-self-test`)).toMatchObject({
        state: 'exited',
        exitCode: 1,
      });
      for (const container of ['agent', 'supervisor', 'upstream'])
        expect(await podman.state(`${name}-${container}`)).toMatchObject({ state: 'created', pid: 0 });
    });
  });
});
