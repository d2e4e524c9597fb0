/**
 * What the kernel lets one container of a pod see of another's process, tried in real pods. The isolation checks
 * stand on this table (SECURITY.md): another UID is kept out of everything that could hold a value, the same UID
 * is not unless the process is non-dumpable, and a root sidecar with SYS_PTRACE sees all.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT } from '../support/checkout.ts';
import { importNodeBase, NODE_BASE, NODE_IN_IMAGE } from '../support/images.ts';
import { describeWithPodman, Podman } from '../support/podman.ts';
import { newSecret } from '../support/secrets.ts';

const SETUP_TIMEOUT_MS = 120_000;

/** Stands for the resolver's UID. */
const TARGET_UID = 10771;
const VOLUME = '/var/lib/secret-resolver/secrets/tenant/credentials';

/** What /proc shows of a process only to those who may trace it. */
const TRACEABLE = ['environ', 'mem', 'maps', 'root', 'cwd', 'exe', 'fd', 'ns'];
/** What it shows to everybody, whatever the UID. */
const PUBLIC = ['cmdline', 'status', 'comm', 'mountinfo', 'limits'];

/** A process that holds the volume's value, as the resolver does, and one that has made itself non-dumpable. */
const HOLDER = `const value = require('node:fs').readFileSync('${VOLUME}/token');
  setInterval(() => value.length, 60000); console.log('ready');`;
const GUARDED_HOLDER = `const { setNonDumpable } = await import('/repository/src/native/native.ts');
  setNonDumpable(); const { readFileSync } = await import('node:fs');
  const value = readFileSync('${VOLUME}/token'); setInterval(() => value.length, 60000); console.log('ready');`;
const IDLER = `setInterval(() => {}, 60000); console.log('ready');`;

/** Run inside a container: tries each file of each holder's /proc folder and prints what came of it as JSON. */
const LOOK = `
  const fs = require('node:fs');
  const attempt = (action) => { try { action(); return 'allowed'; } catch (error) { return error.code; } };
  const holders = {};
  for (const pid of fs.readdirSync('/proc').filter((name) => Number(name) > 0)) {
    const argv = fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8').split('\\0');
    const role = argv.find((word) => word.startsWith('--title=holder'));
    if (role === undefined) continue;
    const at = (name) => '/proc/' + pid + '/' + name;
    const seen = {};
    for (const name of ['environ', 'maps', 'cmdline', 'status', 'comm', 'mountinfo', 'limits'])
      seen[name] = attempt(() => fs.readFileSync(at(name)));
    seen.mem = attempt(() => fs.closeSync(fs.openSync(at('mem'), 'r')));
    for (const name of ['cwd', 'exe']) seen[name] = attempt(() => fs.readlinkSync(at(name)));
    seen.root = attempt(() => fs.readdirSync(at('root/')));
    seen.fd = attempt(() => fs.readdirSync(at('fd')));
    seen.ns = attempt(() => fs.readlinkSync(at('ns/mnt')));
    seen.value = attempt(() => fs.readFileSync(at('root${VOLUME}/token')));
    seen.signal = attempt(() => process.kill(Number(pid), 0));
    holders[role.slice(8)] = seen;
  }
  console.log(JSON.stringify({ holders, volume: attempt(() => fs.readdirSync('${VOLUME}')) }));`;

/** Outcome of each attempt: `allowed`, or the error code. */
type Sight = Readonly<Record<string, string>>;
interface View {
  readonly holders: Readonly<Record<string, Sight>>;
  readonly volume: string;
}

describeWithPodman('what containers of one pod see of each other', () => {
  let podman: Podman;

  beforeAll(async () => {
    podman = await Podman.open();
    await importNodeBase(podman, NODE_BASE);
    const secret = await podman.tmpfs('secret');
    writeFileSync(join(secret, 'token'), newSecret(), { mode: 0o444 });
    for (const shared of [true, false]) {
      await podman.playPod(pod(podman, shared));
      for (const name of ['holder', 'guarded', 'agent', 'twin', 'tracer']) {
        await podman.waitForLog(`${podName(shared)}-${name}`, /ready/);
      }
    }
  }, SETUP_TIMEOUT_MS);

  afterAll(() => podman?.[Symbol.asyncDispose](), SETUP_TIMEOUT_MS);

  async function look(shared: boolean, container: string): Promise<View> {
    const { stdout } = await podman.exec(`${podName(shared)}-${container}`, [NODE_IN_IMAGE, '-e', LOOK]);
    return JSON.parse(stdout) as View;
  }

  describe('with a shared PID namespace', () => {
    it('another UID without capabilities is denied all that may be traced, and sees the public part', async () => {
      const { holders, volume } = await look(true, 'agent');
      expect(Object.keys(holders).sort()).toEqual(['holder', 'holder-guarded']);
      for (const sight of Object.values(holders)) {
        expect(pick(sight, [...TRACEABLE, 'value'])).toEqual(all([...TRACEABLE, 'value'], 'EACCES'));
        expect(pick(sight, PUBLIC)).toEqual(all(PUBLIC, 'allowed'));
        expect(sight.signal).toBe('EPERM');
      }
      expect(volume).toBe('ENOENT');
    });

    it('the same UID in another container sees everything, the value in the mount included', async () => {
      const { holders, volume } = await look(true, 'twin');
      const names = [...TRACEABLE, ...PUBLIC, 'value', 'signal'];
      expect(pick(holders.holder, names)).toEqual(all(names, 'allowed'));
      expect(volume).toBe('ENOENT');
    });

    it('the same UID is denied where the process is non-dumpable, and may still signal it', async () => {
      const { holders } = await look(true, 'twin');
      const names = [...TRACEABLE, 'value'];
      expect(pick(holders['holder-guarded'], names)).toEqual(all(names, 'EACCES'));
      expect(pick(holders['holder-guarded'], [...PUBLIC, 'signal'])).toEqual(
        all([...PUBLIC, 'signal'], 'allowed'),
      );
    });

    it('root with SYS_PTRACE and DAC_READ_SEARCH sees everything of both', async () => {
      const { holders } = await look(true, 'tracer');
      const names = [...TRACEABLE, ...PUBLIC, 'value'];
      for (const sight of Object.values(holders)) expect(pick(sight, names)).toEqual(all(names, 'allowed'));
    });
  });

  describe('with a PID namespace for each container', () => {
    it.each(['agent', 'twin', 'tracer'])('%s finds no process of another container', async (container) => {
      expect(await look(false, container)).toEqual({ holders: {}, volume: 'ENOENT' });
    });
  });
});

function podName(shared: boolean): string {
  return shared ? 'one-pid-namespace' : 'own-pid-namespaces';
}

function pick(sight: Sight | undefined, names: readonly string[]): Sight {
  return Object.fromEntries(names.map((name) => [name, sight?.[name] ?? 'not tried']));
}

function all(names: readonly string[], outcome: string): Sight {
  return Object.fromEntries(names.map((name) => [name, outcome]));
}

function pod(podman: Podman, shared: boolean): object {
  const container = (
    name: string,
    uid: number,
    script: string,
    more: object = {},
    add: readonly string[] = [],
  ) => ({
    name,
    image: NODE_BASE,
    imagePullPolicy: 'Never',
    command: [
      NODE_IN_IMAGE,
      `--input-type=${script.includes('await') ? 'module' : 'commonjs'}`,
      '-e',
      script,
    ],
    args: ['--', `--title=${name === 'guarded' ? 'holder-guarded' : name}`],
    securityContext: {
      runAsUser: uid,
      runAsGroup: uid,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'], add },
    },
    ...more,
  });
  const volumeMounts = [{ name: 'secret', mountPath: VOLUME, readOnly: true }];
  const repository = { name: 'repository', mountPath: '/repository', readOnly: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: podName(shared) },
    spec: {
      shareProcessNamespace: shared,
      restartPolicy: 'Never',
      volumes: [
        { name: 'secret', hostPath: { path: join(podman.folder, 'secret'), type: 'Directory' } },
        { name: 'repository', hostPath: { path: CHECKOUT, type: 'Directory' } },
      ],
      containers: [
        container('holder', TARGET_UID, HOLDER, { volumeMounts }),
        container('guarded', TARGET_UID, GUARDED_HOLDER, { volumeMounts: [...volumeMounts, repository] }),
        container('agent', 1000, IDLER),
        container('twin', TARGET_UID, IDLER),
        container('tracer', 0, IDLER, {}, ['SYS_PTRACE', 'DAC_READ_SEARCH']),
      ],
    },
  };
}
