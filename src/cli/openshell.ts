import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { partOf } from '../config/config.ts';
import { noPlaces } from '../config/places.ts';
import { profileSources } from '../config/profile/documents.ts';
import { readYaml } from '../config/read.ts';
import { type Examined, examine, providerCommand } from '../consumers/gateway-driver/doctor.ts';
import { gatewayFile } from '../consumers/gateway-driver/gateway-toml.ts';
import { gatewaySlot, REFERENCE_NAME } from '../consumers/gateway-driver/settings.ts';
import { loadConfig } from '../consumers/load-config.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { ENVIRONMENT_NAME } from '../domain/names.ts';
import { printable } from '../domain/printable.ts';
import type { CommandContext } from './context.ts';
import { countLine, findingData, findingsText } from './findings.ts';
import { readManifests } from './manifest-io.ts';
import { type OutputFormat, outputOption, print } from './output.ts';
import { examples } from './program.ts';

interface DoctorOptions {
  readonly config: string;
  readonly gatewayConfig?: string;
  readonly profiles?: string;
  readonly workspace: string;
  readonly type?: string;
  readonly credential?: ReadonlyMap<string, string>;
  readonly socket?: string | false;
  readonly output: OutputFormat;
}

export function createCommand(context: CommandContext): Command {
  const command = new Command('openshell').description(
    'check what an OpenShell gateway needs of this resolver',
  );
  command
    .command('doctor')
    .description(
      'find what keeps a gateway from handing out a credential of this resolver, and print the next command for each fault',
    )
    .requiredOption('-c, --config <file>', "the driver's configuration, with gatewayDriver")
    .option(
      '-g, --gateway-config <file>',
      'gateway.toml, or a manifest with the ConfigMap that holds it, or -',
    )
    .option('--profiles <file>', 'what `openshell provider list-profiles -o json` prints for the workspace')
    .option('-w, --workspace <name>', 'the workspace of the provider', name, 'default')
    .option('--type <id>', 'the type of the provider', name)
    .option('--credential <key=reference>', 'a credential of the provider (may be repeated)', credential)
    .option('--socket <path>', "the driver's socket (default: gatewayDriver.socket.path)")
    .option('--no-socket', 'do not look for the socket: it cannot be reached from here')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Reads files and calls the driver's socket. It does not call the gateway, and prints no value.
The folders providers and profiles are those beside the configuration, if they exist.
${examples(
  'secret-resolver openshell doctor -c config.yaml -g gateway.toml',
  'helm template openshell CHART | secret-resolver openshell doctor -c config.yaml -g - --no-socket',
  'secret-resolver openshell doctor -c config.yaml --type gitlab --credential GITLAB_TOKEN=secret-resolver://gitlab',
)}`,
    )
    .action((options: DoctorOptions) => doctor(context, options));
  return command;
}

async function doctor(context: CommandContext, options: DoctorOptions): Promise<void> {
  const examined = await readFiles(context, options);
  const findings = await examine(examined);
  const failed = findings.some(({ severity }) => severity === 'error');
  const next =
    failed || examined.type === undefined ? undefined : providerCommand(examined, examined.workspace);
  const data = { ok: !failed, findings: findings.map(findingData), ...(next && { next }) };
  const last = `${countLine(findings)}\n${next === undefined ? '' : `next: ${printable(next)}\n`}`;
  print(context, options.output, data, () => `${findingsText(context, findings)}${last}`);
  context.exit(failed ? ExitCode.refused : ExitCode.ok);
}

async function readFiles(context: CommandContext, options: DoctorOptions): Promise<Examined> {
  const places = noPlaces();
  const beside = (folder: string) => {
    const path = join(dirname(options.config), folder);
    return existsSync(path) ? path : undefined;
  };
  const [providersDir, profilesDir] = [beside('providers'), beside('profiles')];
  const config = loadConfig(options.config, context.env, {
    places,
    ...(providersDir && { providersDir }),
    ...(profilesDir && { profilesDir }),
  });
  const settings = partOf(config, gatewaySlot);
  if (settings === undefined) {
    throw new CommandError(
      `${options.config}: has no gatewayDriver, so it serves no gateway (write {socket, callers, handleKey, workspaces})`,
      ExitCode.usage,
    );
  }
  const { gatewayConfig, profiles, workspace, type, credential: credentials = new Map(), socket } = options;
  const [gateway] = gatewayConfig === undefined ? [] : await readManifests(gatewayConfig, false, context);
  return {
    config,
    places,
    settings,
    gateway: gateway && gatewayFile(gateway.file, gateway.text),
    profiles:
      profiles === undefined ? undefined : { file: profiles, sources: profileSources(readYaml(profiles)) },
    workspace,
    type,
    credentials,
    socket: socket ?? settings.socket.path,
  };
}

function name(text: string): string {
  if (!REFERENCE_NAME.test(text)) throw new InvalidArgumentError('Write letters, digits, ".", "_" and "-".');
  return text;
}

/** What stands behind the `=` may be a raw secret: no error repeats it. */
function credential(
  text: string,
  before: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const [key = '', ...reference] = text.split('=');
  if (!ENVIRONMENT_NAME.test(key) || reference.length === 0)
    throw new CommandError(
      '--credential is not KEY=REFERENCE, KEY being an environment name',
      ExitCode.usage,
    );
  return new Map([...before, [key, reference.join('=')]]);
}
