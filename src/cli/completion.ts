/** `completion`: scripts for shells, made from the commands and options that there are. */
import { Argument, Command } from 'commander';
import type { CommandContext, Commands } from './context.ts';
import { createProgram, examples, PROGRAM } from './program.ts';

const SHELLS = { bash, zsh, fish } as const;

export function createCommand(context: CommandContext, commands: Commands): Command {
  return new Command('completion')
    .description('print a script that completes commands, options and their values in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      examples(
        'source <(secret-resolver completion bash)',
        'source <(secret-resolver completion zsh)',
        'secret-resolver completion fish > ~/.config/fish/completions/secret-resolver.fish',
      ),
    )
    .action(async (shell: keyof typeof SHELLS) => {
      context.stdout.write(SHELLS[shell](places('', await createProgram(commands, context))));
    });
}

/** What may follow: some of these words, the path of a file, or what no shell can know. */
type Value = readonly string[] | 'file' | 'free';

interface Word {
  /** All spellings. */
  readonly names: readonly string[];
  readonly description: string;
  /** What follows an option that takes a value. */
  readonly value?: Value;
}

/** A place in a command line: the names of the commands before it, each behind a space. */
interface Place {
  readonly at: string;
  readonly commands: readonly Word[];
  readonly options: readonly Word[];
  readonly argument: Value;
}

function places(at: string, command: Command): Place[] {
  const help = command.createHelp();
  const children = help.visibleCommands(command);
  const last = command.registeredArguments.at(-1);
  const place: Place = {
    at,
    commands: children.map((child) => ({ names: [child.name()], description: short(child.description()) })),
    options: help.visibleOptions(command).map((option) => ({
      names: [option.short, option.long].filter((name) => name !== undefined),
      description: short(option.description),
      ...(option.required || option.optional ? { value: following(option.flags, option.argChoices) } : {}),
    })),
    argument: last === undefined ? 'free' : following(`<${last.name()}>`, last.argChoices),
  };
  return [
    place,
    ...children.flatMap((child) =>
      child.name() === 'help'
        ? [
            {
              at: `${at} help`,
              commands: [],
              options: [],
              argument: command.commands.map((each) => each.name()),
            },
          ]
        : places(`${at} ${child.name()}`, child),
    ),
  ];
}

function following(flags: string, choices: readonly string[] | undefined): Value {
  return choices ?? (/<(file|folder|path)(\.\.\.)?>/.test(flags) ? 'file' : 'free');
}

/** The first clause: a shell shows it beside the word. */
function short(description: string): string {
  return description.split(/[;:\n]/)[0] ?? '';
}

/** What a shell is to do with a value: where nobody knows it, for a file, or with the words that there are. */
function inShell(value: Value, free: string, file: string, some: (words: string) => string): string {
  if (value === 'free') return free;
  return value === 'file' ? file : some(value.join(' '));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Patterns of `case` for the places before which what follows is a command. */
function ways(all: readonly Place[]): string {
  return all
    .filter(({ at }) => at !== '')
    .map(({ at }) => quoted(at))
    .join(' | ');
}

/** Options with a value, as patterns of `case`, each with what follows it. */
function valued(all: readonly Place[]): { readonly pattern: string; readonly value: Value }[] {
  return all.flatMap(({ at, options }) =>
    options.flatMap(({ names, value }) =>
      value === undefined
        ? []
        : [{ pattern: names.map((name) => quoted(`${at} ${name}`)).join(' | '), value }],
    ),
  );
}

function bash(all: readonly Place[]): string {
  const file = 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return';
  const reply = (value: Value) => inShell(value, 'return', file, (words) => `words=${quoted(words)}`);
  const last = ({ commands, options, argument }: Place) => {
    const names = [...commands, ...options].flatMap((word) => word.names);
    const own = Array.isArray(argument) ? [...argument, ...names] : names;
    const words = `words=${quoted(own.join(' '))}`;
    return argument === 'file' ? `if [[ $cur == -* ]]; then ${words}; else ${reply('file')}; fi` : words;
  };
  return `# bash completion for ${PROGRAM}
_secret_resolver() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at='' words='' i
  if [[ $cur == = ]]; then cur=''
  elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${ways(all)}) at+=" \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $prev" in
${valued(all)
  .map(({ pattern, value }) => `    ${pattern}) ${reply(value)} ;;\n`)
  .join('')}    *)
      case "$at" in
${all.map((place) => `        ${quoted(place.at)}) ${last(place)} ;;\n`).join('')}      esac ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _secret_resolver ${PROGRAM}
`;
}

function zsh(all: readonly Place[]): string {
  const add = (value: Value) => inShell(value, ':', '_files', (words) => `compadd -- ${words}`);
  const described = (words: readonly Word[]) =>
    words
      .flatMap(({ names, description }) => names.map((name) => quoted(`${name}:${description}`)))
      .join(' ');
  const last = ({ commands, options, argument }: Place) =>
    [
      ...(commands.length === 0 ? [] : [`known=(${described(commands)}); _describe command known`]),
      `[[ $words[CURRENT] == -* ]] && { known=(${described(options)}); _describe -o option known } || ${add(argument)}`,
    ].join('; ');
  return `#compdef ${PROGRAM}
# zsh completion for ${PROGRAM}
_secret-resolver() {
  local at='' prev=$words[CURRENT-1] i
  local -a known
  if [[ $words[CURRENT] == --*=* ]]; then
    prev=\${words[CURRENT]%%=*}
    compset -P '*='
  fi
  for ((i = 2; i < CURRENT; i++)); do
    case "$at $words[i]" in
      ${ways(all)}) at+=" $words[i]" ;;
    esac
  done
  case "$at $prev" in
${valued(all)
  .map(({ pattern, value }) => `    ${pattern}) ${add(value)}; return ;;\n`)
  .join('')}  esac
  case "$at" in
${all.map((place) => `    ${quoted(place.at)}) ${last(place)} ;;\n`).join('')}  esac
}
if [[ $funcstack[1] == _secret-resolver ]]; then _secret-resolver "$@"; else compdef _secret-resolver ${PROGRAM}; fi
`;
}

function fish(all: readonly Place[]): string {
  const taken = (value: Value) => inShell(value, '-x', '-r -F', (words) => `-x -a ${quoted(words)}`);
  const line = (at: string, rest: string) =>
    `complete -c ${PROGRAM} -n "__secret_resolver_at '${at}'" ${rest}\n`;
  return `# fish completion for ${PROGRAM}
function __secret_resolver_at
  set -l at ''
  for word in (commandline -opc)[2..]
    switch "$at $word"
      case ${ways(all).replaceAll(' | ', ' ')}
        set at "$at $word"
    end
  end
  test "$at" = "$argv[1]"
end
complete -c ${PROGRAM} -f
${all
  .map(({ at, commands, options, argument }) =>
    [
      ...commands.map(({ names, description }) => line(at, `-a ${names[0]} -d ${quoted(description)}`)),
      ...options.map(({ names, description, value }) => {
        const flags = names.map((name) =>
          name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
        );
        if (value !== undefined) flags.push(taken(value));
        return line(at, `${flags.join(' ')} -d ${quoted(description)}`);
      }),
      inShell(argument, '', line(at, '-F'), (words) => line(at, `-a ${quoted(words)}`)),
    ].join(''),
  )
  .join('')}`;
}
