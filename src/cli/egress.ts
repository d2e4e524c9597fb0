/** `egress`: the kit that makes a stock Envoy a supervisor. */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Command } from 'commander';
import { harden } from '../boundary/harden.ts';
import { reexecOnce } from '../boundary/reexec.ts';
import { ConfigFiles, readUnchanged } from '../config/files.ts';
import { loadConfig } from '../consumers/load-config.ts';
import { CommandError, ConfigError, ExitCode, errorCode } from '../domain/errors.ts';
import { FILES, socketPath } from '../egress/bootstrap.ts';
import { Kit } from '../egress/kit.ts';
import { createLog } from '../observe/log.ts';
import { ConfigWatch } from '../sources/config-watch.ts';
import type { CommandContext } from './context.ts';
import { examples } from './program.ts';
import { configPath } from './serve.ts';

interface Options {
  readonly config?: string;
  readonly ready?: true;
}

export function createCommand(context: CommandContext): Command {
  return new Command('egress')
    .description('make a stock Envoy the supervisor: write its configuration and replace placeholders for it')
    .option('--config <file>', "the resolver's configuration file; SECRET_RESOLVER_CONFIG unless given")
    .option('--ready', 'only ask whether it is running: exit 0 if it is, 3 if not')
    .addHelpText(
      'after',
      `
Runs beside Envoy 1.40 or newer, under the same UID, which the configuration lists as a caller. It needs no Secret: it
watches the credentials on the resolver's socket. Until it has them, and whenever the resolver does not answer, it
refuses every request with a placeholder.

Files, in the folders that \`egress\` of the configuration names:
  directory    envoy.yaml to start Envoy with, and the socket that Envoy asks. For the kit and Envoy alone
  caDirectory  ca.crt, which the agent trusts. Its key is made at start and never leaves the process
${examples('secret-resolver egress --config /etc/secret-resolver/config.yaml', 'envoy -c /run/secret-resolver-egress/envoy.yaml --disable-hot-restart')}`,
    )
    .action(async (options: Options) => {
      const file = configPath(options.config, context);
      if (options.ready === true) await ready(file, context);
      else await egress(file, context);
    });
}

async function egress(file: string, context: CommandContext): Promise<void> {
  const { env, signal } = context;
  let files = new ConfigFiles();
  const config = loadConfig(file, env, { files });
  const { directory, caDirectory } = config.egress;
  reexecOnce({ ...config, audit: { path: undefined } }, [directory, caDirectory]);
  // Before a value is here: no core, no ptrace by a process of the same UID.
  harden();
  await using log = createLog({ level: config.log.level }, context.stderr);
  await using kit = await Kit.start({ config, log });
  await using _ = new ConfigWatch({
    files: () => files,
    reload: () => {
      const read = readUnchanged((reading) => loadConfig(file, env, { files: reading }));
      files = read.files;
      if (read.loaded === undefined) return;
      if (read.loaded instanceof ConfigError) {
        log.error(
          { issues: read.loaded.message.split('\n') },
          'the new configuration is wrong; the old one stays in force',
        );
        return;
      }
      kit.reload(read.loaded);
      log.info('the configuration was read again');
    },
    log,
  });
  log.info({ directory }, 'Envoy can be started');
  if (!signal.aborted) await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
}

async function ready(file: string, context: CommandContext): Promise<void> {
  const { egress } = loadConfig(file, context.env);
  const bootstrap = join(egress.directory, FILES.bootstrap);
  if (!existsSync(bootstrap)) throw new CommandError(`${bootstrap} is not there yet`, ExitCode.unavailable);
  const socket = socketPath(egress);
  await new Promise<void>((resolve, reject) => {
    const connection = connect(socket, () => {
      connection.destroy();
      resolve();
    }).on('error', (error) =>
      reject(new CommandError(`no answer on ${socket}: ${errorCode(error)}`, ExitCode.unavailable)),
    );
  });
}
