import { Argument, Command } from 'commander';
import { z } from 'zod';
import { CHECKS } from '../boundary/catalogue.ts';
import { type Config, secretId } from '../config/config.ts';
import { ConfigFiles } from '../config/files.ts';
import type { ConfigFinding } from '../config/finding.ts';
import { noPlaces } from '../config/places.ts';
import { loadConfig, SCHEMAS } from '../consumers/load-config.ts';
import { CommandError, ConfigError, ExitCode } from '../domain/errors.ts';
import { matchGlob } from '../domain/glob.ts';
import { DEFAULT_UID } from '../domain/kubernetes.ts';
import { printable } from '../domain/printable.ts';
import { COLUMNS, wrapped } from '../domain/wrapped.ts';
import { predict } from '../snapshot/predict.ts';
import type { CommandContext } from './context.ts';
import { countLine, findingData, findingsText } from './findings.ts';
import { type OutputFormat, outputOption, print } from './output.ts';
import { examples } from './program.ts';

interface ValidateOptions {
  readonly output: OutputFormat;
  readonly strict?: true;
  readonly resolverUid: string;
  readonly providers?: string;
  readonly profiles?: string;
}

export function createCommand(context: CommandContext): Command {
  const command = new Command('config').description('check a configuration, or print the JSON Schema of one');
  command
    .command('validate')
    .description(
      `check a configuration file with its provider files and profiles, and predict what is refused whatever the Secrets hold;
exit 0, or 2 with every mistake found, or where a required credential is certain to be refused`,
    )
    .argument('<file>', 'the configuration file')
    .option('--strict', 'exit 2 for warnings, too')
    .option('--providers <folder>', 'the provider files, in place of those in providersDir')
    .option('--profiles <folder>', 'the profiles, in place of those in profilesDir')
    .option('--resolver-uid <uid>', 'UID that the resolver runs as', String(DEFAULT_UID))
    .addOption(outputOption())
    .addHelpText(
      'after',
      examples(
        'secret-resolver config validate /etc/secret-resolver/config.yaml',
        'secret-resolver config validate config.yaml --providers providers --profiles profiles --strict',
      ),
    )
    .action((file: string, options: ValidateOptions) => validate(context, file, options));
  command
    .command('schema')
    .description('print a JSON Schema, for editors and for CI')
    .addArgument(new Argument('[name]', 'the kind of file').choices(Object.keys(SCHEMAS)).default('config'))
    .addHelpText('after', examples('secret-resolver config schema provider > provider.schema.json'))
    .action((name: keyof typeof SCHEMAS) => {
      context.stdout.write(`${JSON.stringify(jsonSchema(name), null, 2)}\n`);
    });
  return command;
}

/** The published JSON Schema of one kind of file. */
export function jsonSchema(name: keyof typeof SCHEMAS): object {
  const { $schema, description, ...rest } = z.toJSONSchema(SCHEMAS[name], { io: 'input' });
  return { $schema, $id: `urn:secret-resolver:schema:${name}`, title: description, ...rest };
}

function validate(context: CommandContext, file: string, options: ValidateOptions): void {
  const resolverUid = Number(options.resolverUid);
  if (!/^\d{1,10}$/.test(options.resolverUid))
    throw new CommandError('--resolver-uid is not a UID', ExitCode.usage);
  const { config, findings } = examine(context, file, resolverUid, options);
  const failed = findings.some(({ severity }) => options.strict === true || severity === 'error');
  const data = {
    file,
    valid: !failed,
    findings: findings.map(findingData),
    providers: config === undefined ? [] : config.providers.map(providerData),
    callers: config === undefined ? [] : config.callers.map((caller) => callerData(config, caller)),
  };
  print(context, options.output, data, (wide) => summary(context, failed, findings, data, wide));
  if (failed) context.exit(ExitCode.usage);
}

/** Every mistake, or the configuration and what can be predicted of it. */
function examine(
  context: CommandContext,
  file: string,
  resolverUid: number,
  { providers, profiles }: Pick<ValidateOptions, 'providers' | 'profiles'>,
): { readonly config: Config | undefined; readonly findings: readonly ConfigFinding[] } {
  const files = new ConfigFiles();
  const places = noPlaces();
  try {
    const folders = {
      ...(providers === undefined ? {} : { providersDir: providers }),
      ...(profiles === undefined ? {} : { profilesDir: profiles }),
    };
    const config = loadConfig(file, context.env, { files, places, ...folders });
    const enforced = new Set(CHECKS.filter(({ severity }) => severity === 'enforce').map(({ id }) => id));
    const { passedBy } = files;
    return {
      config,
      findings: predict({ config, places, passedBy, resolverUid, enforced, now: Date.now() }),
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const findings = error.issues.map(
      (issue) => ({ severity: 'error', by: 'secret-resolver', issue }) as const,
    );
    return { config: undefined, findings };
  }
}

function providerData({ name, type, credentials, from, endpoints }: Config['providers'][number]) {
  return {
    name,
    type,
    credentials: credentials.map(({ key, reference, required }) => ({
      key,
      reference: `${secretId(reference)}/${reference.key}`,
      required,
    })),
    from: from.map(({ mode, secret }) => ({ mode, secret: secretId(secret) })),
    endpoints,
  };
}

function callerData({ providers }: Config, { name, uid, providers: patterns }: Config['callers'][number]) {
  const seen = providers.filter((provider) => patterns.some((pattern) => matchGlob(pattern, provider.name)));
  return { name, uid, providers: seen.map((provider) => provider.name) };
}

interface Summary {
  readonly file: string;
  readonly providers: readonly ReturnType<typeof providerData>[];
  readonly callers: readonly ReturnType<typeof callerData>[];
}

function summary(
  context: CommandContext,
  failed: boolean,
  findings: readonly ConfigFinding[],
  { file, providers, callers }: Summary,
  wide: boolean,
): string {
  const lines = providers.flatMap(({ name, type, credentials, from }) => {
    const parts = [
      ...credentials.map(({ key, reference }) => `${key} = ${reference}`),
      ...from.map(({ mode, secret }) => `${mode} of ${secret}`),
    ].map(printable);
    const head = printable(`  provider ${name} (${type}):`);
    const line = `${head} ${parts.join(', ')}`;
    if (wide || line.length <= COLUMNS) return [line];
    return [wrapped(head, 4), ...parts.map((part) => wrapped(`    ${part}`, 6))];
  });
  for (const { name, uid, providers: seen } of callers) {
    const line = printable(`  caller ${name} (uid ${uid}): ${seen.join(', ') || 'matches no provider'}`);
    lines.push(wide ? line : wrapped(line, 4));
  }
  const verdict = failed ? 'refused' : 'ok';
  const counts = findings.length === 0 ? '' : `, ${countLine(findings)}`;
  return `${findingsText(context, findings)}${printable(file)}: ${verdict}${counts}\n${lines.map((line) => `${line}\n`).join('')}`;
}
