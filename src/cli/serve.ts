/** `serve`: the command line of the daemon. */
import { Command } from 'commander';
import type { ServeOptions } from '../consumers/consumer.ts';
import { CONSUMERS } from '../consumers/index.ts';
import { Daemon } from '../daemon/daemon.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { SANDBOX_ID_SOURCES } from '../domain/sandbox-id.ts';
import type { CommandContext } from './context.ts';
import { examples } from './program.ts';

export function createCommand(context: CommandContext): Command {
  const command = new Command('serve')
    .description('watch the mounted Secrets and serve them on the Unix socket, until SIGTERM')
    .option('--config <file>', 'the configuration file, a YAML file; SECRET_RESOLVER_CONFIG unless given')
    .option(
      '--relaxed',
      'serve even where the isolation boundary is not proven: for laptops, refused in a cluster',
    )
    .addHelpText(
      'after',
      `
Checks the isolation boundary before reading any Secret, then at least every 15 s and whenever a new UID connects.
If an enforced check fails, it serves nothing and exits with 1; \`secret-resolver check\` shows the same table.

Signals:
  SIGTERM, SIGINT  end: streams end with UNAVAILABLE, the socket is removed, exit 0 within 5 s;
                   exit 1 at once while a failed check is being confirmed
  SIGHUP           read the configuration again; a wrong one is reported and changes nothing.
                   It is read again without a signal when one of its files changes

Streams:
  stdout           audit, one OCSF 1.8.0 JSON object a line (or the file that audit.path names)
  stderr           log, one JSON object a line

Environment:
  SECRET_RESOLVER_CONFIG, and from the downward API, each overridden by \`sandbox\` in the file:
  SECRET_RESOLVER_SANDBOX_NAME, SECRET_RESOLVER_SANDBOX_NAMESPACE,
  and for the id the first that is set of
${SANDBOX_ID_SOURCES.map(({ variable }) => `  ${variable}`).join(',\n')}

\`secret-resolver config validate FILE\` checks a file without serving; \`config schema\` prints its JSON Schema.
${examples('secret-resolver serve --config /etc/secret-resolver/config.yaml', 'secret-resolver serve --relaxed --config config.yaml')}`,
    )
    .action(async (options: Options) => {
      await serve(context, configPath(options.config, context), options);
    });
  for (const { flags, description } of CONSUMERS.flatMap(({ options = [] }) => options))
    command.option(flags, description);
  return command;
}

interface Options extends ServeOptions {
  readonly config?: string;
  readonly relaxed?: true;
}

/** The file that the command line or the environment names. */
export function configPath(option: string | undefined, context: CommandContext): string {
  const path = option ?? context.env.SECRET_RESOLVER_CONFIG;
  if (path === undefined || path === '') {
    throw new CommandError(
      'no configuration file: write --config FILE, or set SECRET_RESOLVER_CONFIG',
      ExitCode.usage,
    );
  }
  return path;
}

async function serve(context: CommandContext, configFile: string, options: Options): Promise<void> {
  const { env, stdout, stderr, signal } = context;
  await using daemon = await Daemon.create({
    configFile,
    relaxed: options.relaxed === true,
    consumers: options,
    env,
    stdout,
    stderr,
    signal,
  });
  await daemon.start();
  const reason = await daemon.ended;
  await daemon.destroy();
  if (reason.kind === 'boundary-broken') context.exit(ExitCode.refused);
}
