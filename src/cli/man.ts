/** `man`: the help of each command as a manual page. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { VERSION } from '../domain/version.ts';
import { type CommandPage, commandPages, type Entry } from './command-page.ts';
import type { CommandContext, Commands } from './context.ts';
import { guarded } from './manifest-io.ts';
import { createProgram, examples, PROGRAM } from './program.ts';

export function createCommand(context: CommandContext, commands: Commands): Command {
  return new Command('man')
    .description('print the manual page of a command, or write the pages of all commands')
    .argument('[command...]', 'the command, for example config validate; the program itself unless given')
    .option('--directory <folder>', 'write all pages to this folder')
    .addHelpText(
      'after',
      examples('secret-resolver man lint | man -l -', 'secret-resolver man --directory man1'),
    )
    .action(async (names: string[], { directory }: { readonly directory?: string }) => {
      const pages = commandPages(await createProgram(commands, context));
      if (directory !== undefined) writeAll(pages, directory);
      else context.stdout.write(roffPage(find(pages, names)));
    });
}

function find(pages: readonly CommandPage[], names: readonly string[]): CommandPage {
  const page = pages.find(({ name }) => name === [PROGRAM, ...names].join(' '));
  if (page === undefined)
    throw new CommandError(`unknown command ${names.join(' ')} (--help lists them)`, ExitCode.usage);
  return page;
}

function writeAll(pages: readonly CommandPage[], directory: string): void {
  for (const page of pages) {
    const file = join(directory, `${title(page.name)}.1`);
    guarded(file, 'cannot be written', () => {
      mkdirSync(directory, { recursive: true });
      writeFileSync(file, roffPage(page));
    });
  }
}

/** `secret-resolver-config-validate`, as git names its pages. */
function title(name: string): string {
  return name.replaceAll(' ', '-');
}

function roffPage(page: CommandPage): string {
  const list = (heading: string, entries: readonly Entry[]) =>
    entries.length === 0
      ? []
      : [
          `.SH ${heading}`,
          ...entries.flatMap(([term, text]) => ['.TP', `\\fB${roff(term)}\\fR`, roff(text)]),
        ];
  return [
    `.TH ${roff(title(page.name).toUpperCase())} 1 "" "secret\\-resolver ${VERSION}"`,
    '.SH NAME',
    `${roff(title(page.name))} \\- ${roff(page.summary.split(/[;:]/)[0] ?? '')}`,
    '.SH SYNOPSIS',
    `\\fB${roff(page.usage)}\\fR`,
    '.SH DESCRIPTION',
    ...page.description.flatMap((text) => ['.PP', roff(text)]).slice(1),
    ...list('ARGUMENTS', page.arguments),
    ...list('OPTIONS', page.options),
    ...list('COMMANDS', page.commands),
    ...after(page.sections),
    '.SH SEE ALSO',
    page.related.map((name) => `\\fB${roff(title(name))}\\fR(1)`).join(',\n'),
    '',
  ].join('\n');
}

/** The text behind the options. */
function after(sections: CommandPage['sections']): string[] {
  return sections
    .flatMap(({ heading, lines }) => {
      const kept = lines.map((line) => (line.startsWith('  ') ? `.nf\n${roff(line)}\n.fi` : roff(line)));
      return [
        heading === undefined ? '.SH NOTES' : `.SH "${roff(heading.toUpperCase())}"`,
        ...kept.join('\n').replaceAll('\n.fi\n.nf\n', '\n').split('\n'),
      ];
    })
    .filter((line, index, lines) => line !== '.SH NOTES' || !lines.slice(0, index).includes(line));
}

/** Text in which roff finds no requests. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replace(/^(\s*)([.'])/gm, '$1\\&$2');
}
