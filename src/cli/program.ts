/** The tree of commands, with what all of them have in common. */
import { Command } from 'commander';
import { VERSION } from '../domain/version.ts';
import type { CommandContext, Commands } from './context.ts';

export const PROGRAM = 'secret-resolver';

/** Behind the help of each command. */
const EXIT_CODES = `
Exit codes:
   0  done
   1  refused: the boundary, a credential, a manifest or a check
   2  the command line or a file is wrong
   3  no answer on the socket
  70  an internal error; please report it`;

/** The program with all commands, or with the one that is named. */
export async function createProgram(
  commands: Commands,
  context: CommandContext,
  only?: string,
): Promise<Command> {
  const program = new Command(PROGRAM)
    .description(
      'Serves credentials from mounted Kubernetes Secrets to a listed supervisor over a Unix socket, and proves that the agent beside it cannot reach them.',
    )
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpText(
      'after',
      examples(
        'secret-resolver config validate /etc/secret-resolver/config.yaml',
        'secret-resolver lint -f pod.yaml',
        'secret-resolver status',
      ),
    )
    .addHelpText('afterAll', EXIT_CODES);
  for (const [name, load] of Object.entries(commands))
    if (only === undefined || only === name)
      program.addCommand((await load()).createCommand(context, commands));
  prepare(program, context);
  return program;
}

/** The section of a help text with example command lines. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

/** What `addHelpText` put behind the help of a command. */
export function helpAfter(command: Command): string {
  const written: string[] = [];
  const before = command.configureOutput();
  command.configureOutput({ ...before, writeOut: (text) => written.push(text) });
  command.outputHelp();
  command.configureOutput(before);
  return written.slice(1).join('');
}

/** Lets every command throw instead of exiting, write where the context says, and help in the same words. */
function prepare(command: Command, context: CommandContext): void {
  command
    .exitOverride()
    .helpOption('-h, --help', 'print this help')
    .helpCommand(command.commands.length > 0)
    .showHelpAfterError('(--help lists what can be written here)')
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
    });
  for (const child of command.commands) prepare(child, context);
}
