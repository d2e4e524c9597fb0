/** "Try it with your own configuration" of the README, with the files of docs/quick-start/laptop.md, word for word on a terminal. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { blocks } from '../docs/blocks.ts';
import { MAIN, NODE } from '../support/checkout.ts';
import { cli, until } from '../support/cli.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { Terminal } from '../support/terminal.ts';

test("four lines serve a folder like kubelet's, with a log that a person can read", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'msr-laptop-'));
  try {
    const [files = '', ...others] = blocks('docs/quick-start/laptop.md', 'sh');
    const rotate = others.find((code) => code.includes('urandom')) ?? '';
    const start = blocks('README.md', 'sh').find((code) => code.includes('--relaxed')) ?? '';
    expect(start.trim().split('\n')).toHaveLength(4);
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin/secret-resolver'), `#!/bin/sh\nexec '${NODE}' '${MAIN}' "$@"\n`, {
      mode: 0o755,
    });
    const PATH = `${join(folder, 'bin')}:${process.env.PATH}`;
    const sh = (code: string) => execFileSync('sh', ['-ec', code], { cwd: folder, env: { PATH } });
    sh(files);
    writeFileSync(join(folder, 'try.sh'), start);
    const socket = join(folder, 'socket/resolver.sock');
    const token = newSecret();
    const fingerprint = async () =>
      JSON.parse((await cli(['get', '-s', socket, '-o', 'json'])).stdout)[0]?.fingerprint;
    {
      await using terminal = new Terminal(['sh', '-e', 'try.sh'], folder, { PATH, GITLAB_TOKEN: token });
      await terminal.shows('listening');
      const shown = terminal.text.replaceAll('\r\n', '\n').replaceAll(/\x1b\[\d+m/g, '');
      expect(shown).toMatch(
        /^\d\d:\d\d:\d\d warn +boundary check failed; serving anyway because of --relaxed {2}failed=\[/m,
      );
      expect(shown).toMatch(/^\d\d:\d\d:\d\d info +audit records are not shown on a terminal: /m);
      expect(shown).toMatch(/^\d\d:\d\d:\d\d info +listening {2}socket=\S+ {2}serving=true/m);
      expect(terminal.text).not.toContain('class_uid');
      const before = await fingerprint();
      expect(before).toMatch(/^[0-9a-f]+$/);
      // Its last line asks for the fingerprint, from a shell that has the socket's path.
      sh(`SECRET_RESOLVER_SOCKET=${socket}; export SECRET_RESOLVER_SOCKET; ${rotate}`);
      await until(async () => ![before, undefined].includes(await fingerprint()), 15_000);
      const rotated = readFileSync(join(folder, 'secrets/team-a/gitlab/..data/gitlab-token'), 'utf8');
      for (const value of [token, registerSecret(rotated)]) expect(terminal.text).not.toContain(value);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
