/** `man`: the help of each command as a manual page. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { CommandError, ExitCode, errorCode } from '../domain/errors.ts';
import { VERSION } from '../domain/version.ts';
import type { CommandContext, Commands } from './context.ts';
import { createProgram, examples, helpAfter } from './program.ts';

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
      const program = await createProgram(commands, context);
      if (directory !== undefined) writeAll(program, directory);
      else context.stdout.write(page(find(program, names)));
    });
}

function find(program: Command, names: readonly string[]): Command {
  return names.reduce((command, name) => {
    const next = command.commands.find((child) => child.name() === name);
    if (next === undefined)
      throw new CommandError(`unknown command ${names.join(' ')} (--help lists them)`, ExitCode.usage);
    return next;
  }, program);
}

function writeAll(command: Command, directory: string): void {
  const file = join(directory, `${title(command)}.1`);
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, page(command));
  } catch (error) {
    throw new CommandError(
      `${file}: cannot be written: ${errorCode(error)} (check the path, and that this user has access to it)`,
      ExitCode.usage,
      { cause: error },
    );
  }
  for (const child of command.commands) writeAll(child, directory);
}

/** `secret-resolver-config-validate`, as git names its pages. */
function title(command: Command): string {
  return command.parent === null ? command.name() : `${title(command.parent)}-${command.name()}`;
}

function page(command: Command): string {
  const help = command.createHelp();
  const [summary = '', ...description] = command.description().split(/\n+/);
  const list = (heading: string, entries: readonly (readonly [term: string, text: string])[]) =>
    entries.length === 0
      ? []
      : [
          `.SH ${heading}`,
          ...entries.flatMap(([term, text]) => ['.TP', `\\fB${roff(term)}\\fR`, roff(text)]),
        ];
  return [
    `.TH ${roff(title(command).toUpperCase())} 1 "" "secret\\-resolver ${VERSION}"`,
    '.SH NAME',
    `${roff(title(command))} \\- ${roff(summary.split(/[;:]/)[0] ?? '')}`,
    '.SH SYNOPSIS',
    `\\fB${roff(help.commandUsage(command))}\\fR`,
    '.SH DESCRIPTION',
    ...[summary, ...description].flatMap((text) => ['.PP', roff(text)]).slice(1),
    ...list(
      'ARGUMENTS',
      help.visibleArguments(command).map((each) => [each.name(), help.argumentDescription(each)]),
    ),
    ...list(
      'OPTIONS',
      help.visibleOptions(command).map((each) => [each.flags, help.optionDescription(each)]),
    ),
    ...list(
      'COMMANDS',
      help.visibleCommands(command).map((each) => [each.name(), each.description()]),
    ),
    ...after(helpAfter(command)),
    ...seeAlso(command),
    '',
  ].join('\n');
}

/** The text behind the options: `Word:` begins a section, an indented line is kept as it is. */
function after(text: string): string[] {
  return text
    .trim()
    .split(/\n{2,}/)
    .flatMap((block) => {
      const lines = block.split('\n');
      const heading = /^(.+):$/.exec(lines[0] ?? '')?.[1];
      const rest = heading === undefined ? lines : lines.slice(1);
      const kept = rest.map((line) => (line.startsWith('  ') ? `.nf\n${roff(line)}\n.fi` : roff(line)));
      return [
        heading === undefined ? '.SH NOTES' : `.SH "${roff(heading.toUpperCase())}"`,
        ...kept.join('\n').replaceAll('\n.fi\n.nf\n', '\n').split('\n'),
      ];
    })
    .filter((line, index, lines) => line !== '.SH NOTES' || !lines.slice(0, index).includes(line));
}

function seeAlso(command: Command): string[] {
  const others = [command.parent, ...command.commands].filter((each) => each !== null);
  return ['.SH SEE ALSO', others.map((each) => `\\fB${roff(title(each))}\\fR(1)`).join(',\n')];
}

/** Text in which roff finds no requests. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replace(/^(\s*)([.'])/gm, '$1\\&$2');
}
