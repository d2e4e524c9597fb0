/** The daemon's states. It must end by itself in each story: whatever it left open would keep the process alive. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CHECKOUT } from '../support/checkout.ts';
import { CliProcess } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';

const program = join(CHECKOUT, 'test/boundary/fixtures/daemon-child.ts');

it.each([
  ['never-started', [false], []],
  [
    'destroyed-twice',
    [true, 'start() of a daemon that is running', true, false],
    ['resolver started', 'resolver stopped'],
  ],
  ['destroyed-while-it-starts', [false], []],
  ['asked-before-it-starts', ['draining', false], []],
])('%s: ends, with nothing left', async (story, expected, lifecycle) => {
  using workspace = new Workspace();
  workspace.writeBulkProvider('nvbugs', 'nvbugs');
  workspace.secret('nvbugs').write({ TOKEN: newSecret() });
  await using child = new CliProcess([story, workspace.configFile, workspace.socket], { program });
  const { code, stdout, stderr } = await child.finished;
  expect(code, stderr).toBe(0);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { seen?: unknown; message?: string });
  expect(lines.at(-1)?.seen).toEqual(expected);
  const messages = lines.map(({ message }) => message);
  expect(messages.filter((message) => message?.startsWith('resolver '))).toEqual(lifecycle);
});
