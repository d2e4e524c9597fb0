/** What is made from the registry of commands: help, completion and man pages. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { COMMANDS } from '../../src/cli/commands.ts';
import { createProgram } from '../../src/cli/program.ts';
import { CHECKOUT } from '../support/checkout.ts';
import { keptContext, runInProcess } from '../support/in-process.ts';
import { describeWith } from '../support/root.ts';
import { Terminal } from '../support/terminal.ts';

let folder: string;
let leaves: string[][];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'msr-commands-'));
  writeFileSync(join(folder, 'subject.yaml'), '');
  leaves = leavesOf(await createProgram(COMMANDS, keptContext().context), []);
});
afterAll(() => rmSync(folder, { recursive: true }));

function leavesOf({ commands }: Command, path: readonly string[]): string[][] {
  return commands.flatMap((child) => {
    const own = [...path, child.name()];
    return child.commands.length === 0 ? [own] : leavesOf(child, own);
  });
}

describe('help', () => {
  test('of every command has examples, which are command lines that it takes, and the exit codes', async () => {
    expect(leaves.length).toBeGreaterThan(12);
    for (const path of leaves) {
      const { code, stdout } = await runInProcess(...path, '--help');
      expect({ path, code }).toEqual({ path, code: 0 });
      expect(stdout).toMatch(/\nExit codes:\n {3}0 {2}done\n(.*\n){3} {2}70 {2}an internal error/);
      const examples = /\nExamples:\n((?: {2}.*\n)+)/.exec(stdout)?.[1] ?? '';
      const lines = examples.split('\n').filter((line) => line.includes(`secret-resolver ${path.join(' ')}`));
      expect({ path, examples: lines.length > 0 }).toEqual({ path, examples: true });
      for (const line of lines) await parses(line);
      expect((await runInProcess('help', ...path.slice(0, 1))).code).toBe(0);
    }
  });
});

describe('output', () => {
  /** What they write is a file, a script or a stream of its own. */
  const OTHERS = ['serve', 'egress', 'config schema', 'inject', 'completion', 'man'];

  test('of every command that reports something is a table, JSON or YAML', async () => {
    const program = await createProgram(COMMANDS, keptContext().context);
    for (const path of leaves) {
      const command = path.reduce(
        (at, name) => at.commands.find((each) => each.name() === name) ?? at,
        program,
      );
      const choices = command.options.find(({ long }) => long === '--output')?.argChoices;
      if (OTHERS.includes(path.join(' '))) expect({ path, choices }).toEqual({ path, choices: undefined });
      else
        expect({ path, choices }).toMatchObject({
          path,
          choices: expect.arrayContaining(['table', 'wide', 'json', 'yaml']),
        });
    }
  });

  test('in YAML says the same as in JSON, and words and numbers are no sentences', async () => {
    writeFileSync(
      join(folder, 'pod.yaml'),
      'apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: n}\nspec:\n  hostPID: true\n  initContainers: [{name: secret-resolver, image: i}]\n  containers: [{name: agent, image: i}]\n',
    );
    const commands = [
      ['lint', '-f', join(folder, 'pod.yaml')],
      ['lint', '--rules'],
      ['profile', 'lint', join(CHECKOUT, 'deploy/profiles/gitlab.yaml'), join(folder, 'pod.yaml')],
      ['config', 'validate', join(folder, 'pod.yaml')],
    ];
    for (const command of commands) {
      const json = JSON.parse((await runInProcess(...command, '-o', 'json')).stdout);
      expect(parse((await runInProcess(...command, '-o', 'yaml')).stdout)).toEqual(json);
      for (const { severity, line, remedy } of json.findings ?? json) {
        expect(['error', 'warning', 'note']).toContain(severity);
        expect(remedy).toMatch(/\w/);
        if (command[1] !== '--rules') expect(line).toEqual(expect.any(Number));
      }
    }
  });
});

/** Reads a command line as a shell would, up to a pipe, and runs nothing. */
async function parses(line: string): Promise<void> {
  const words =
    /secret-resolver (?!-- )([^|>)]*)/
      .exec(line.replace(/.* -- /, ''))?.[1]
      ?.trim()
      .split(/\s+/) ?? [];
  const program = await createProgram(COMMANDS, keptContext().context);
  disarm(program);
  await program.parseAsync(words, { from: 'user' });
}

function disarm(command: Command): void {
  for (const child of command.commands) disarm(child);
  if (command.commands.length === 0) command.action(() => {});
}

async function script(shell: string): Promise<string> {
  const file = join(folder, shell === 'zsh' ? '_secret-resolver' : `completion.${shell}`);
  writeFileSync(file, (await runInProcess('completion', shell)).stdout);
  return file;
}

/** Command line, what must be offered, and what must not. */
const LINES: readonly (readonly [line: string, offered: readonly string[], absent: readonly string[]])[] = [
  ['secret-resolver ', ['serve', 'config', 'self-test', 'completion', 'help'], ['validate', 'demo']],
  ['secret-resolver config ', ['validate', 'schema'], ['serve']],
  ['secret-resolver config validate --', ['--strict', '--output'], ['--reveal']],
  ['secret-resolver list -o ', ['table', 'wide', 'json', 'yaml'], ['html']],
  ['secret-resolver lint --fail-on ', ['error', 'warning', 'note'], ['json']],
  ['secret-resolver lint -f sub', ['subject.yaml'], ['error']],
  ['secret-resolver config validate sub', ['subject.yaml'], ['schema']],
  ['secret-resolver completion ', ['bash', 'zsh', 'fish'], ['serve']],
  ['secret-resolver help ', ['serve', 'lint'], ['validate']],
];

describe('completion in bash', () => {
  test('offers what may follow', async () => {
    const file = await script('bash');
    const asked = LINES.map(
      ([line]) =>
        `ask ${line
          .split(' ')
          .map((word) => `'${word}'`)
          .join(' ')}`,
    );
    // compopt works only below Readline, so this shell has a function in its place.
    const program = `compopt() { :; }
source '${file}'
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _secret_resolver; echo "\${COMPREPLY[*]}"; }
${asked.join('\n')}`;
    const answers = execFileSync('bash', ['-c', program], { cwd: folder, encoding: 'utf8' }).split('\n');
    expectOffered(answers);
  });
});

describeWith('fish', 'completion in fish', () => {
  test('offers what may follow', async () => {
    const file = await script('fish');
    const program = LINES.map(([line]) => `complete -C '${line}' | string join ' '`).join('; echo ===; ');
    const answers = execFileSync('fish', ['--no-config', '-c', `source '${file}'; ${program}`], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, HOME: folder },
    }).split('===\n');
    expectOffered(answers);
  });
});

describeWith('zsh', 'completion in zsh, on a terminal', () => {
  test('offers what may follow', async () => {
    await script('zsh');
    await using terminal = new Terminal(['zsh', '-f', '-i'], folder);
    terminal.write(
      `PS1=; LISTMAX=999; setopt NO_BEEP; fpath=(${folder} $fpath); autoload -Uz compinit; compinit -D -u; print R''EADY\n`,
    );
    await terminal.shows('READY');
    const answers: string[] = [];
    for (const [line, offered] of LINES) {
      terminal.text = '';
      terminal.write(`${line}\t`);
      await terminal.shows(...offered);
      answers.push(terminal.text);
      terminal.text = '';
      terminal.write("\u0015print E''ND\n");
      await terminal.shows('END');
    }
    expectOffered(answers);
  });
});

function expectOffered(answers: readonly string[]): void {
  for (const [index, [line, offered, absent]] of LINES.entries()) {
    const answer = answers[index] ?? '';
    const words = new Set(answer.split(/[\s\u0007]+/));
    const missing = offered.filter((word) => !words.has(word));
    const wrong = absent.filter((word) => words.has(word));
    expect({ line, answer, missing, wrong }).toEqual({ line, answer, missing: [], wrong: [] });
  }
}

describe('man pages', () => {
  test('there is one for each command, with every option of its help', async () => {
    await runInProcess('man', '--directory', join(folder, 'man'));
    const pages = readdirSync(join(folder, 'man'));
    for (const path of leaves) expect(pages).toContain(`secret-resolver-${path.join('-')}.1`);
    for (const path of leaves) {
      const { stdout } = await runInProcess('man', ...path);
      const flags = (await runInProcess(...path, '--help')).stdout.matchAll(/^ {2}(?:-\w, )?(--[-a-z]+)/gm);
      for (const [, flag = ''] of flags) expect(stdout).toContain(flag.replaceAll('-', '\\-'));
    }
    expect(await runInProcess('man', 'nothing')).toMatchObject({ code: 2, stdout: '' });
  });
});

describeWith('mandoc', 'mandoc', () => {
  test('finds no fault in the man pages', async () => {
    await runInProcess('man', '--directory', join(folder, 'man'));
    const pages = readdirSync(join(folder, 'man')).map((name) => join(folder, 'man', name));
    const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', ...pages], { encoding: 'utf8' });
    expect(stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'))).toEqual([]);
    const text = execFileSync('mandoc', ['-T', 'ascii', join(folder, 'man', 'secret-resolver-lint.1')], {
      encoding: 'utf8',
    });
    expect(text.replaceAll(/.\u0008/g, '')).toMatch(/^OPTIONS\n +-f, --filename <file\.\.\.>\n/m);
  });
});
