/** What manual pages and docs/reference say of a command: one walk over the tree of commands. */
import type { Command } from 'commander';
import { helpAfter } from './program.ts';

/** A term, such as the flags of an option, and what it means. */
export type Entry = readonly [term: string, text: string];

export interface CommandPage {
  /** The words that call it, `secret-resolver config validate`. */
  readonly name: string;
  readonly usage: string;
  /** The first line of the description. */
  readonly summary: string;
  /** The description by paragraphs. */
  readonly description: readonly string[];
  readonly arguments: readonly Entry[];
  readonly options: readonly Entry[];
  readonly commands: readonly Entry[];
  /** The text behind the options. An indented line is kept as it is. */
  readonly sections: readonly { readonly heading: string | undefined; readonly lines: readonly string[] }[];
  /** Names of the command above it and of those below it. */
  readonly related: readonly string[];
}

/** The page of a command, and those of the commands below it. */
export function commandPages(command: Command): readonly CommandPage[] {
  return [page(command), ...command.commands.flatMap(commandPages)];
}

function page(command: Command): CommandPage {
  const help = command.createHelp();
  return {
    name: nameOf(command),
    usage: help.commandUsage(command),
    summary: command.description().split('\n', 1).join(),
    description: command.description().split(/\n{2,}/),
    arguments: help.visibleArguments(command).map((each) => [each.name(), help.argumentDescription(each)]),
    options: help.visibleOptions(command).map((each) => [each.flags, help.optionDescription(each)]),
    commands: help.visibleCommands(command).map((each) => [each.name(), each.description()]),
    sections: sections(helpAfter(command)),
    related: [command.parent, ...command.commands].flatMap((each) => (each === null ? [] : [nameOf(each)])),
  };
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

/** Blocks with an empty line between them; a first line such as `Examples:` is a heading. */
function sections(text: string): CommandPage['sections'] {
  return text
    .trim()
    .split(/\n{2,}/)
    .map((block) => {
      const lines = block.split('\n');
      const heading = /^(.+):$/.exec(lines[0] ?? '')?.[1];
      return { heading, lines: heading === undefined ? lines : lines.slice(1) };
    });
}
