/** `watch` where the socket does not answer: the hint of `list`, once for each cause, and exit 3 unless it waits. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CliProcess, cli, until } from '../support/cli.ts';
import { describeAsRoot } from '../support/root.ts';
import { Workspace } from '../support/workspace.ts';

const STRANGER = { uid: 54_322, gid: 54_322 };
const MISSING =
  'no connection (ENOENT)\nThe socket does not exist. Is `secret-resolver serve` running, and is this its `socket.path`?\n';
const FORBIDDEN = `no connection (EACCES)\nUID ${STRANGER.uid} may not open the socket. Check \`socket.mode\` and the mode of each folder above it.\n`;

let workspace: Workspace;
let server: Server | undefined;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => {
  server?.close();
  server = undefined;
  workspace[Symbol.dispose]();
});

const said = (hint: string) => `secret-resolver: no answer on ${workspace.socket}: ${hint}`;

/** Somebody listens there, whom only some may reach. */
async function listen(mode: number, folderMode: number): Promise<void> {
  const folder = dirname(workspace.socket);
  mkdirSync(folder, { recursive: true });
  chmodSync(workspace.root, 0o755);
  const listening = createServer((connection) => connection.destroy());
  server = listening;
  await new Promise<void>((resolve) => listening.listen(workspace.socket, resolve));
  chmodSync(workspace.socket, mode);
  chmodSync(folder, folderMode);
}

test('with --wait it says once that the socket is missing, and goes on until it is ended', async () => {
  await using watch = new CliProcess(['watch', '--wait', '--socket', workspace.socket]);
  await until(() => watch.stderr !== '');
  // Tens of attempts.
  await sleep(2_500);
  watch.kill('SIGTERM');
  expect(await watch.finished).toMatchObject({
    code: 0,
    stdout: '',
    stderr: `${said(MISSING)}Retrying.\n`,
  });
});

describeAsRoot('as root, where another UID may not open the socket', () => {
  test.each([
    ['by its mode', 0o600, 0o755],
    ['by the mode of its folder', 0o666, 0o700],
  ])('%s: watch says what list says, and exits with 3', async (_, mode, folderMode) => {
    await listen(mode, folderMode);
    for (const command of [['list'], ['watch'], ['watch', '-o', 'json']])
      expect(await cli([...command, '--socket', workspace.socket], STRANGER)).toMatchObject({
        code: 3,
        stdout: '',
        stderr: said(FORBIDDEN),
      });
  });

  test('with --wait it says each cause once, also where the second comes later', async () => {
    await using watch = new CliProcess(['watch', '--wait', '--socket', workspace.socket], STRANGER);
    await until(() => watch.stderr !== '');
    await listen(0o600, 0o755);
    await until(() => watch.stderr.includes('EACCES'));
    rmSync(workspace.socket);
    await sleep(2_500);
    watch.kill('SIGTERM');
    expect(await watch.finished).toMatchObject({
      code: 0,
      stdout: '',
      stderr: `${said(MISSING)}Retrying.\n${said(FORBIDDEN)}Retrying.\n`,
    });
  });
});
