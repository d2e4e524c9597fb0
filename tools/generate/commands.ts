/** docs/reference/cli.md: the help of each command, from the registry that `help`, `man` and `completion` use. */
import { PassThrough } from 'node:stream';
import { type CommandPage, commandPages, type Entry } from '../../src/cli/command-page.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { createProgram, PROGRAM } from '../../src/cli/program.ts';
import { code, inline, table } from './markdown.ts';

const [program, ...pages] = commandPages(
  await createProgram(COMMANDS, {
    env: {},
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    signal: new AbortController().signal,
    exit: () => {},
  }),
);
const HELP = '-h, --help';
const EXIT_CODES = 'Exit codes';

export function commandFiles(): ReadonlyMap<string, string> {
  if (program === undefined) throw new Error('no program');
  const exits = program.sections
    .filter(({ heading }) => heading === EXIT_CODES)
    .flatMap(({ lines }) => lines.map((line) => line.trim().split(/ {2,}/)));
  const text = [
    `# Commands\n\n<!-- Generated from src/cli by \`npm run generate\`. -->\n`,
    `${code(`${PROGRAM} COMMAND --help`)} prints the same text, ${code(`${PROGRAM} man COMMAND`)} a manual page.\n`,
    table(
      ['command', 'what it does'],
      pages.map(({ name, summary }) => {
        const words = short(name);
        return [`[${words}](#${words.replaceAll(' ', '-')})`, inline(summary.replace(/;$/, ''))];
      }),
    ),
    `## Exit codes\n\n${table(['code', 'meaning'], exits)}`,
    ...pages.flatMap(section),
  ].join('\n');
  return new Map([['docs/reference/cli.md', text]]);
}

/** The name without that of the program. */
function short(name: string): string {
  return name.slice(PROGRAM.length + 1);
}

function section(page: CommandPage): string[] {
  const list = (heads: readonly string[], entries: readonly Entry[]) =>
    entries.length === 0
      ? []
      : [
          table(
            heads,
            entries.map(([term, text]) => [code(term), inline(text)]),
          ),
        ];
  const options = page.options.filter(([flags]) => flags !== HELP);
  return [
    `## ${short(page.name)}\n`,
    block('sh', [page.usage]),
    ...page.description.map((text) => `${inline(text)}\n`),
    ...list(['argument', 'meaning'], page.arguments),
    ...list(['option', 'meaning'], options),
    ...page.sections.filter(({ heading }) => heading !== EXIT_CODES).flatMap(after),
  ];
}

/** The text behind the options: an indented line is kept as it is. */
function after({ heading, lines }: CommandPage['sections'][number]): string[] {
  const indented = lines.every((line) => line.startsWith('  '));
  const language = heading === 'Examples' ? 'sh' : 'text';
  return [
    ...(heading === undefined ? [] : [`${inline(heading)}:\n`]),
    indented
      ? block(
          language,
          lines.map((line) => line.slice(2)),
        )
      : `${inline(lines.join('\n'))}\n`,
  ];
}

function block(language: string, lines: readonly string[]): string {
  return `\`\`\`${language}\n${lines.join('\n')}\n\`\`\`\n`;
}
