/** "Try it with your own configuration" of the README, and docs/laptop.md, word for word on a terminal. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MAIN, NODE } from '../support/checkout.ts';
import { cli, until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Terminal } from '../support/terminal.ts';

/** Blocks of code in a language, without their indentation. */
function blocks(file: string, language: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^ *\`\`\`$`, 'gms'))].map(
    ([, indent = '', code = '']) => code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );
}

test("four lines serve a folder like kubelet's, with a log that a person can read", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'msr-laptop-'));
  try {
    const [config = '', provider = ''] = blocks('docs/laptop.md', 'yaml');
    const [rotate = ''] = blocks('docs/laptop.md', 'sh');
    const start = blocks('README.md', 'sh').find((code) => code.includes('--relaxed')) ?? '';
    expect(start.trim().split('\n')).toHaveLength(4);
    mkdirSync(join(folder, 'providers'));
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin/secret-resolver'), `#!/bin/sh\nexec '${NODE}' '${MAIN}' "$@"\n`, {
      mode: 0o755,
    });
    writeFileSync(
      join(folder, 'laptop.yaml'),
      config.replaceAll('FOLDER', folder).replace('UID', String(process.getuid?.())),
    );
    writeFileSync(join(folder, 'providers/gitlab.yaml'), provider);
    writeFileSync(join(folder, 'try.sh'), start);
    const socket = join(folder, 'socket/resolver.sock');
    const tokens = [newSecret(), newSecret()] as const;
    const fingerprint = async () =>
      JSON.parse((await cli(['get', '-s', socket, '-o', 'json'])).stdout)[0]?.fingerprint;
    {
      const PATH = `${join(folder, 'bin')}:${process.env.PATH}`;
      await using terminal = new Terminal(['sh', '-e', 'try.sh'], folder, { PATH, GITLAB_TOKEN: tokens[0] });
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
      execFileSync('sh', ['-ec', rotate], { cwd: folder, env: { ...process.env, NEW_TOKEN: tokens[1] } });
      await until(async () => ![before, undefined].includes(await fingerprint()), 15_000);
      for (const token of tokens) expect(terminal.text).not.toContain(token);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
