/**
 * 5,000 rotations of 20 keys by an atomic writer in another process, with 8 watchers and 4 pollers reading:
 * no mixed generation, no value after its removal was seen, every watcher ends on the last revision, and no watcher or
 * descriptor leaks.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { connect, eraseEnvironment, type ProviderEnvironment } from '../../src/client/index.ts';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { startServe, until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';

const ROTATIONS = 5_000;
const KEYS = 20;
const WATCHERS = 8;
const POLLERS = 4;

/** The rotation that a snapshot shows; `undefined` for an empty one. Throws if it mixes rotations. */
function rotationOf(environment: ProviderEnvironment, prefix: string): number | undefined {
  const seen = new Set<string>();
  for (const { key, value } of environment.credentials.values()) {
    const [rotation, index] = value
      .reveal()
      .toString()
      .slice(prefix.length + 1)
      .split('-');
    if (key !== `KEY_${index}`) throw new Error(`${key} carries the value of another key`);
    seen.add(rotation ?? '');
  }
  if (seen.size > 1) throw new Error(`a mixture of rotations ${[...seen].join(', ')}`);
  const rotation = seen.size === 0 ? undefined : Number([...seen][0]);
  if (rotation !== undefined) {
    const expected = rotation % 10 === 0 ? KEYS - 1 : KEYS;
    if (environment.credentials.size !== expected)
      throw new Error(`rotation ${rotation} with ${environment.credentials.size} of ${expected} keys`);
  }
  return rotation;
}

/** Open descriptors of the resolver. It is non-dumpable, so only root can count them; other users skip the check. */
const descriptors = (pid: number) => (process.getuid?.() === 0 ? readdirSync(`/proc/${pid}/fd`).length : 0);

it(`${ROTATIONS} rotations of ${KEYS} keys, ${WATCHERS} watchers, ${POLLERS} pollers`, async () => {
  using workspace = new Workspace();
  const prefix = newSecret('rot');
  workspace.writeBulkProvider('nvbugs', 'nvbugs');
  workspace.secret('nvbugs');
  await using serve = await startServe(workspace.configFile);
  const before = descriptors(serve.pid);
  const stop = new AbortController();
  const newest: number[] = Array.from({ length: WATCHERS }, () => 0);
  const revisions: bigint[] = Array.from({ length: WATCHERS }, () => 0n);
  let snapshots = 0;
  let polls = 0;
  const failures: unknown[] = [];

  const watcher = async (index: number) => {
    using client = connect({ socket: workspace.socket });
    for await (const environment of client.watchProviderEnvironment({ signal: stop.signal })) {
      const rotation = rotationOf(environment, prefix);
      snapshots += 1;
      // An older rotation must never reappear: that would be a value after its removal was seen.
      if (rotation !== undefined && rotation < (newest[index] ?? 0))
        throw new Error(`rotation ${rotation} after ${newest[index]}`);
      newest[index] = rotation ?? newest[index] ?? 0;
      revisions[index] = environment.revision;
      eraseEnvironment(environment);
    }
  };
  const poller = async () => {
    using client = connect({ socket: workspace.socket });
    let last = 0;
    // Within the calls a second that one UID may make.
    while (!stop.signal.aborted) {
      const environment = await client.getProviderEnvironment();
      const rotation = rotationOf(environment, prefix);
      polls += 1;
      if (rotation !== undefined && rotation < last) throw new Error(`rotation ${rotation} after ${last}`);
      last = rotation ?? last;
      eraseEnvironment(environment);
      await new Promise((wake) => setTimeout(wake, 40));
    }
  };
  const running = [
    ...Array.from({ length: WATCHERS }, (_, index) => watcher(index)),
    ...Array.from({ length: POLLERS }, () => poller()),
  ].map((work) => work.catch((error: unknown) => failures.push(error)));

  const writer = spawn(
    NODE,
    [
      join(CHECKOUT, 'test/support/rotate.ts'),
      join(workspace.secretsRoot, 'tenant-nvbugs-prod', 'nvbugs'),
      String(ROTATIONS),
      String(KEYS),
      '4',
    ],
    {
      env: { VALUE_PREFIX: prefix },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const code = await new Promise((done) => writer.once('close', done));
  expect(code).toBe(0);
  await until(
    () => newest.every((rotation) => rotation === ROTATIONS) || failures.length > 0,
    15_000,
    () => `watchers ended on ${newest.join(', ')}`,
  );
  expect(failures).toEqual([]);
  using client = connect({ socket: workspace.socket });
  const last = await client.getProviderEnvironment();
  expect(rotationOf(last, prefix)).toBe(ROTATIONS);
  expect(new Set(revisions)).toEqual(new Set([last.revision]));
  expect((await client.getStatus()).watchers).toHaveLength(WATCHERS);

  stop.abort();
  await Promise.all(running);
  expect(failures).toEqual([]);
  await until(async () => (await client.getStatus()).watchers.length === 0);
  client.close();
  // The first Secret may have added the watch of its directory; nothing else may remain.
  await until(
    () => descriptors(serve.pid) <= before,
    5_000,
    () => `${descriptors(serve.pid)} descriptors, ${before} at the start`,
  );
  console.log(
    `rotations ${ROTATIONS}, snapshots seen by watchers ${snapshots}, polls ${polls}, ${process.getuid?.() === 0 ? `descriptors ${before} → ${descriptors(serve.pid)}` : 'descriptors not counted: that takes root'}`,
  );
}, 180_000);
