/** What an agent's processes may do to the look at them: real processes in user and mount namespaces of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { gatherProcesses } from '../../src/boundary/facts/facts-processes.ts';
import { readMounts } from '../../src/domain/mountinfo.ts';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { describeAsRoot } from '../support/root.ts';
import { unprivileged } from './pod.ts';

const BOMB = join(CHECKOUT, 'test/boundary/fixtures/mount-bomb.ts');
/** A UID of nobody else on the machine: another test may still be ending, and people have 1000. */
const AGENT_UID = 4_303;
const AS_AGENT = `exec setpriv ${unprivileged(AGENT_UID)}`;
const IN_NAMESPACES = 'unshare --user --map-root-user --mount';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) {
    // The whole group: the shell and what it started.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  }
});

async function start(script: string): Promise<ChildProcess> {
  const child = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  started.push(child);
  if (child.stdout === null) throw new Error('no stdout');
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('it ended'))),
  ]);
  return child;
}

function gather() {
  return gatherProcesses({ all: readMounts(), secrets: [], config: [] }, '/run');
}

/** The longest time, in milliseconds, that the event loop did not get its turn while `work` went on. */
async function longestPause(work: () => Promise<unknown>): Promise<number> {
  let last = performance.now();
  let longest = 0;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  await work();
  look();
  clearInterval(timer);
  return longest;
}

describeAsRoot('gatherProcesses', () => {
  it('takes nothing from a process that ends while it is read', async () => {
    // Forks that end at once, and one after another, with enough threads and mounts that ending takes time.
    await start(
      `${AS_AGENT} ${IN_NAMESPACES} bash -c 'echo up; for _ in 1 2; do (while :; do (:); done) & done; wait'`,
    );
    const one = `UV_THREADPOOL_SIZE=256 ${IN_NAMESPACES} ${NODE} ${BOMB} 9`;
    await start(`${AS_AGENT} bash -c 'while :; do ${one} $((RANDOM % 60)); done 2> /dev/null'`);
    let seen = 0;
    const until = Date.now() + 5_000;
    while (Date.now() < until || (seen <= 10 && Date.now() < until + 10_000)) {
      const { others } = await gather();
      const agents = others.filter(({ uids }) => uids.length === 1 && uids[0] === AGENT_UID);
      seen += agents.length;
      const counted = agents.filter(
        ({ capabilities, userNamespace }) => capabilities.length > 0 && userNamespace !== 'below',
      );
      expect(counted).toEqual([]);
    }
    expect(seen).toBeGreaterThan(10);
  }, 20_000);

  // UIDs of nobody else: what an earlier test started may still be ending.
  it.each([
    ['process.exit()', 4_301],
    ["process.kill(process.pid, 'SIGKILL')", 4_302],
  ])(
    'takes no process of our own container that ends by %s for one of another',
    async (end, uid) => {
      // While it ends, the kernel shows its status and no more its mounts: the longer, the more threads it has.
      const one = `${NODE} -e "require('fs').stat('/', () => setTimeout(() => ${end}, Math.random() * 30))"`;
      const loop = `export UV_THREADPOOL_SIZE=256; while :; do setpriv ${unprivileged(uid)} ${one}; done`;
      await start(`echo up; for _ in 1 2; do (${loop}) & done 2> /dev/null; wait`);
      let seen = 0;
      // Some three in a hundred were once mistaken.
      const until = Date.now() + 15_000;
      // On busy cores fewer are seen in that time.
      while (seen < 1_000 && (Date.now() < until || (seen <= 50 && Date.now() < until + 30_000))) {
        const { others } = await gather();
        const ours = others.filter(({ uids }) => uids.includes(uid));
        seen += ours.length;
        expect(ours.filter(({ container }) => container !== 'ours')).toEqual([]);
      }
      expect(seen).toBeGreaterThan(50);
    },
    60_000,
  );

  it('reads the mounts of a process whose leader has ended from a thread that lives on', async () => {
    const { pid } = await start(
      `cd ${CHECKOUT}; (${AS_AGENT} ${NODE} test/boundary/fixtures/end-leader.ts) & until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.02; done; echo up; wait`,
    ).then(({ pid: shell }) => ({
      pid: Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8')),
    }));
    const state = () => /^State:\t(.)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    await vi.waitFor(() => expect(state()).toBe('Z'), 5_000);
    const facts = (await gather()).others.find((process) => process.pid === pid);
    expect(facts).toMatchObject({ uids: [AGENT_UID], container: 'ours', userNamespace: 'ours' });
    expect(facts?.threads).toBeGreaterThan(1);
  }, 20_000);

  it('is not held up by a mount table of 50 MB in a user namespace of the agent', async () => {
    const { pid } = await start(`${AS_AGENT} ${IN_NAMESPACES} ${NODE} ${BOMB} 14`);
    const before = process.memoryUsage().rss;
    const pause = await longestPause(async () => {
      const bomb = (await gather()).others.find((process) => process.pid === pid);
      expect(bomb).toMatchObject({
        uids: [AGENT_UID],
        userNamespace: 'below',
        container: 'other',
        mountsCut: false,
      });
    });
    expect(pause).toBeLessThan(150);
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * 1024 * 1024);
  }, 30_000);

  it('says that it has not read all mounts of a process that is no agent', async () => {
    const { pid } = await start(`exec unshare --mount ${NODE} ${BOMB} 10`);
    const bomb = (await gather()).others.find((process) => process.pid === pid);
    expect(bomb).toMatchObject({ userNamespace: 'ours', container: 'other', mountsCut: true });
  }, 30_000);
});
