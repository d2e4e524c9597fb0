import { Command } from 'commander';
import type { ProvidedCredential } from '../client/environment.ts';
import { eraseEnvironment } from '../client/index.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { printable } from '../domain/printable.ts';
import { CredentialState } from '../gen/secretresolver/v1/resolver_pb.ts';
import { CALLER_HELP, providerOption, refuseTerminal, socketOption, withClient } from './caller.ts';
import type { CommandContext } from './context.ts';
import { destinations, plainListed } from './list.ts';
import { groupedTables, type OutputFormat, outputOption, plainTable, print } from './output.ts';
import { examples } from './program.ts';

interface GetOptions {
  readonly socket: string;
  readonly output: OutputFormat;
  readonly reveal?: true;
  readonly yes?: true;
  readonly provider?: string[];
}

/** `get`: the credentials that are served. Without --reveal no value leaves the resolver. */
export function createCommand(context: CommandContext): Command {
  return new Command('get')
    .description('show the credentials that are served: fingerprints, or the values themselves with --reveal')
    .argument('[key...]', 'environment names; all unless given')
    .addOption(socketOption())
    .addOption(outputOption())
    .addOption(providerOption())
    .option('--reveal', 'write the values; with one key and the table format, the value and nothing else')
    .option('--yes', 'together with --reveal: write them to a terminal too')
    .addHelpText(
      'after',
      CALLER_HELP +
        examples(
          'secret-resolver get',
          'secret-resolver get GITLAB_TOKEN --reveal | some-program --token-from-stdin',
        ),
    )
    .action(async (keys: string[], options: GetOptions) => {
      if (options.reveal === true) await reveal(context, keys, options);
      else await fingerprints(context, keys, options);
    });
}

async function fingerprints(
  context: CommandContext,
  keys: readonly string[],
  options: GetOptions,
): Promise<void> {
  const { credentials } = await withClient(options, (client) => client.listCredentials());
  const served = credentials.filter(
    ({ state, provider, key }) =>
      state === CredentialState.SERVED &&
      (options.provider === undefined || options.provider.includes(provider)) &&
      (keys.length === 0 || keys.includes(key)),
  );
  expectAll(options.provider ?? [], new Set(credentials.map(({ provider }) => provider)));
  expectAll(keys, new Set(served.map(({ key }) => key)));
  print(context, options.output, served.map(plainListed), (wide) =>
    groupedTables(
      served,
      wide,
      ({ provider }) => provider,
      [
        ['key', ({ key }) => key],
        ['provider', ({ provider }) => provider, 'wide'],
        ['fingerprint', ({ fingerprint }) => fingerprint],
        ['placeholder handle', ({ handle }) => handle, 'wide'],
        ['endpoints', (credential) => destinations([credential]).join(','), 'wide'],
      ],
      destinations,
    ),
  );
}

async function reveal(context: CommandContext, keys: readonly string[], options: GetOptions): Promise<void> {
  refuseTerminal(context, options.yes === true);
  const environment = await withClient(options, (client) =>
    client.getProviderEnvironment(options.provider === undefined ? {} : { providers: options.provider }),
  );
  const chosen = [...environment.credentials.values()].filter(
    ({ key }) => keys.length === 0 || keys.includes(key),
  );
  expectAll(keys, new Set(chosen.map(({ key }) => key)));
  const only = chosen[0];
  if ((options.output === 'table' || options.output === 'wide') && keys.length === 1 && only !== undefined) {
    context.stdout.write(only.value.reveal());
    return;
  }
  const text = ({ value }: ProvidedCredential) => value.reveal().toString('utf8');
  print(
    context,
    options.output,
    Object.fromEntries(chosen.map((credential) => [credential.key, text(credential)])),
    () =>
      plainTable(
        ['key', 'value'],
        chosen.map((credential) => [credential.key, text(credential)]),
      ),
  );
  eraseEnvironment(environment);
}

function expectAll(keys: readonly string[], found: ReadonlySet<string>): void {
  const missing = keys.filter((key) => !found.has(key));
  if (missing.length > 0) {
    throw new CommandError(
      `not served: ${printable(missing.join(', '))} (\`secret-resolver list\` shows the reason)`,
      ExitCode.refused,
    );
  }
}
