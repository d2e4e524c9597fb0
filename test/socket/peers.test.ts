/** Who is let in. Real UIDs, a real resolver under its own UID, and peers that send before they are known. */
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, copyFileSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { type CliProcess, cli, startServe, until } from '../support/cli.ts';
import { describeAsRoot } from '../support/root.ts';
import { ARTIFACTS, newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';

const RESOLVER = 10_771;
const SUPERVISOR = 20_001;
const SUPERVISOR_GID = 20_002;
const STRANGER = 20_003;
const AGENT = 1_000;

interface PeerReport {
  readonly received?: number;
  readonly error?: string;
  readonly status?: string;
}

/** Runs raw-peer.ts under a UID and returns what it saw. */
async function rawPeer(uid: number, gid: number, args: readonly string[], node = NODE): Promise<PeerReport> {
  const child = spawn(node, [join(CHECKOUT, 'test/support/raw-peer.ts'), ...args], {
    uid,
    gid,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const folder = mkdtempSync(join(ARTIFACTS, 'raw-peer-'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    appendFileSync(join(folder, 'stdout'), text);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => appendFileSync(join(folder, 'stderr'), text));
  await new Promise((done) => child.once('close', done));
  return JSON.parse(output) as PeerReport;
}

describeAsRoot('peers', () => {
  let workspace: Workspace;
  let serve: CliProcess;
  let otherNode: string;

  beforeAll(async () => {
    workspace = new Workspace();
    workspace.writeBulkProvider('nvbugs', 'nvbugs');
    workspace.secret('nvbugs').write({ TOKEN: newSecret() });
    otherNode = join(workspace.root, 'other-node');
    copyFileSync(NODE, otherNode);
    chmodSync(otherNode, 0o755);
    workspace.writeConfig({
      callers: [
        { name: 'supervisor', uid: SUPERVISOR, gid: SUPERVISOR_GID, providers: ['*'] },
        { name: 'root', uid: 0, providers: ['*'] },
        { name: 'own-program', uid: RESOLVER, exe: NODE, providers: ['*'] },
        { name: 'unreadable-program', uid: STRANGER + 1, exe: NODE, providers: ['*'] },
      ],
    });
    serve = await startServe(workspace.configFile, [], { uid: RESOLVER, gid: RESOLVER });
  });

  afterAll(async () => {
    await serve?.[Symbol.asyncDispose]();
    workspace?.[Symbol.dispose]();
  });

  /** Audit records of connections that were closed unheard, of this UID. */
  const refusals = (uid: number) =>
    serve
      .lines('stdout')
      .map(({ unmapped }) => unmapped as { outcome?: string; reason?: string; caller?: { uid?: number } })
      .filter(({ outcome, caller }) => outcome === 'peer-refused' && caller?.uid === uid)
      .map(({ reason }) => reason);

  const expectRefused = async (uid: number, reason: string) =>
    until(
      () => refusals(uid).includes(reason),
      5_000,
      () => `no ${reason} for ${uid} in the audit:\n${serve.stdout}`,
    );

  it('with a listed UID and gid is served', async () => {
    const got = await cli(['get', '--socket', workspace.socket], { uid: SUPERVISOR, gid: SUPERVISOR_GID });
    expect(got).toMatchObject({ code: 0 });
    expect(got.stdout).toContain('TOKEN');
    // The control for the tests below: a listed peer hears HTTP/2 at once.
    expect(
      (await rawPeer(SUPERVISOR, SUPERVISOR_GID, ['listen', workspace.socket])).received,
    ).toBeGreaterThan(8);
  });

  it('with an unlisted UID is closed with not a byte sent, and none of its own parsed', async () => {
    expect((await rawPeer(STRANGER, STRANGER, ['listen', workspace.socket])).received).toBe(0);
    // An HTTP/2 server that saw the preface would answer SETTINGS, and the garbage behind it GOAWAY.
    expect((await rawPeer(STRANGER, STRANGER, ['preface', workspace.socket])).received).toBe(0);
    await expectRefused(STRANGER, 'uid-not-listed');
    const got = await cli(['get', '--socket', workspace.socket], { uid: STRANGER, gid: SUPERVISOR_GID });
    expect(got.code).toBe(3);
    expect(got.stderr).toContain(`UID ${STRANGER}`);
  });

  it('with a listed UID and another gid is refused', async () => {
    expect((await rawPeer(SUPERVISOR, STRANGER, ['preface', workspace.socket])).received).toBe(0);
    await expectRefused(SUPERVISOR, 'gid-not-listed');
  });

  it('with a listed UID and the listed gid as a supplementary group is served', async () => {
    const output = execFileSync(
      'setpriv',
      [
        `--reuid=${SUPERVISOR}`,
        `--regid=${STRANGER}`,
        `--groups=${SUPERVISOR_GID}`,
        NODE,
        join(CHECKOUT, 'src/main.ts'),
        'list',
        '--socket',
        workspace.socket,
      ],
      { encoding: 'utf8' },
    );
    expect(output).toContain('TOKEN');
  });

  it('that runs another program than the listed one is refused', async () => {
    expect((await rawPeer(RESOLVER, RESOLVER, ['listen', workspace.socket])).received).toBeGreaterThan(8);
    expect((await rawPeer(RESOLVER, RESOLVER, ['preface', workspace.socket], otherNode)).received).toBe(0);
    await expectRefused(RESOLVER, 'exe-not-listed');
  });

  it('whose program cannot be read is refused where the rule names one', async () => {
    expect((await rawPeer(STRANGER + 1, STRANGER + 1, ['preface', workspace.socket])).received).toBe(0);
    await expectRefused(STRANGER + 1, 'exe-unreadable');
  });

  it('that takes the UID of the agent after it has connected gets nothing more', async () => {
    // The control: root that stays root.
    expect(await rawPeer(0, 0, ['become', workspace.socket, '0'])).toMatchObject({ status: '0' });
    const { status, received } = await rawPeer(0, 0, ['become', workspace.socket, `${AGENT}`]);
    expect(received).toBe(0);
    expect(status).not.toBe('0');
    await expectRefused(0, 'uid-changed');
  });

  it('with uid 65534 is refused, whatever the rules', async () => {
    expect((await rawPeer(65_534, SUPERVISOR_GID, ['preface', workspace.socket])).received).toBe(0);
    await expectRefused(65_534, 'unmapped-uid');
  });

  it('that inherited a connection is refused once the process that opened it has ended', async () => {
    // The control: while it runs, the child cannot be told from it, and SECURITY.md says so.
    const shared = await rawPeer(SUPERVISOR, SUPERVISOR_GID, ['hand-over', workspace.socket, 'stay']);
    expect(shared).toMatchObject({ status: '0' });
    expect(shared.received).toBeGreaterThan(5);

    const orphaned = await rawPeer(SUPERVISOR, SUPERVISOR_GID, ['hand-over', workspace.socket, 'leave']);
    expect(orphaned.received).toBe(0);
    expect(orphaned.status).not.toBe('0');
    await expectRefused(SUPERVISOR, 'peer-gone');
  });

  it('of another user namespace, without a number in ours, is refused as 65534', async () => {
    using inner = new Workspace();
    inner.writeConfig({ callers: [{ name: 'root-inside', uid: 0, providers: ['*'] }] });
    execFileSync('chmod', ['-R', 'a+rwX', inner.root]);
    // A resolver whose namespace maps nobody but itself: to it, everybody outside is 65534.
    const serve = spawn(
      'unshare',
      [
        '--user',
        '--map-user=0',
        '--map-group=0',
        NODE,
        join(CHECKOUT, 'src/main.ts'),
        'serve',
        '--relaxed',
        '--config',
        inner.configFile,
      ],
      { uid: RESOLVER, gid: RESOLVER, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let audit = '';
    let log = '';
    serve.stdout.setEncoding('utf8').on('data', (text: string) => {
      audit += text;
    });
    serve.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    try {
      await until(
        () => log.includes('"msg":"listening"'),
        10_000,
        () => log,
      );
      expect((await rawPeer(STRANGER, STRANGER, ['preface', inner.socket])).received).toBe(0);
      await until(
        () => audit.includes('"reason":"unmapped-uid"'),
        5_000,
        () => audit,
      );
    } finally {
      serve.kill('SIGKILL');
    }
  });

  it('that floods the socket is written down a few times and counted, and costs the supervisor nothing', async () => {
    const before = refusals(STRANGER + 2).length;
    execFileSync(
      NODE,
      [
        '-e',
        `
      const net = require('node:net'); let left = 1000;
      const next = () => { if (left-- <= 0) return; const s = net.connect(${JSON.stringify(workspace.socket)}); s.on('error', () => {}); s.on('close', next); };
      for (let i = 0; i < 20; i++) next();`,
      ],
      { uid: STRANGER + 2, gid: STRANGER + 2 },
    );
    expect(refusals(STRANGER + 2).length - before).toBeLessThanOrEqual(6);
    const got = await cli(['get', '--socket', workspace.socket], { uid: SUPERVISOR, gid: SUPERVISOR_GID });
    expect(got.code).toBe(0);
    await until(
      () => serve.stdout.includes('"left_out":'),
      15_000,
      () => 'the flood was not counted',
    );
  });
});
