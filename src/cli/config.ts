import { Argument, Command } from 'commander';
import { z } from 'zod';
import { CHECKS } from '../boundary/catalogue.ts';
import { type Config, secretId } from '../config/config.ts';
import { ConfigFiles } from '../config/files.ts';
import type { ConfigFinding } from '../config/finding.ts';
import { noPlaces } from '../config/places.ts';
import { collecting } from '../config/read.ts';
import { loadConfig, SCHEMAS } from '../consumers/load-config.ts';
import { CommandError, type ConfigIssue, ExitCode } from '../domain/errors.ts';
import { matchGlob } from '../domain/glob.ts';
import { DEFAULT_UID } from '../domain/kubernetes.ts';
import { printable } from '../domain/printable.ts';
import { COLUMNS, wrapped } from '../domain/wrapped.ts';
import { referenceText } from '../observe/audit/record.ts';
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
  const data = validation(file, !failed, findings, config);
  print(context, options.output, data, (wide) => summary(context, findings, data, wide));
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
  const folders = {
    ...(providers !== undefined && { providersDir: providers }),
    ...(profiles !== undefined && { profilesDir: profiles }),
  };
  const issues: ConfigIssue[] = [];
  const config = collecting(issues, () => loadConfig(file, context.env, { files, places, ...folders }));
  if (config === undefined)
    return { config, findings: issues.map((issue) => ({ severity: 'error', by: 'secret-resolver', issue })) };
  const enforced = new Set(CHECKS.filter(({ severity }) => severity === 'enforce').map(({ id }) => id));
  const { passedBy } = files;
  return { config, findings: predict({ config, places, passedBy, resolverUid, enforced, now: Date.now() }) };
}

function validation(
  file: string,
  valid: boolean,
  findings: readonly ConfigFinding[],
  { providers, callers }: Pick<Config, 'providers' | 'callers'> = { providers: [], callers: [] },
) {
  return {
    file,
    valid,
    findings: findings.map(findingData),
    providers: providers.map(providerData),
    callers: callers.map(({ name, uid, providers: patterns }) => ({
      name,
      uid,
      providers: providers
        .map((provider) => provider.name)
        .filter((provider) => patterns.some((pattern) => matchGlob(pattern, provider))),
    })),
  };
}

function providerData({ name, type, credentials, from, endpoints }: Config['providers'][number]) {
  return {
    name,
    type,
    credentials: credentials.map(({ key, reference, required }) => ({
      key,
      reference: referenceText(reference),
      required,
    })),
    from: from.map(({ mode, secret }) => ({ mode, secret: secretId(secret) })),
    endpoints,
  };
}

function summary(
  context: CommandContext,
  findings: readonly ConfigFinding[],
  { file, valid, providers, callers }: ReturnType<typeof validation>,
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
  const verdict = valid ? 'ok' : 'refused';
  const counts = findings.length === 0 ? '' : `, ${countLine(findings)}`;
  return `${findingsText(context, findings)}${printable(file)}: ${verdict}${counts}\n${lines.map((line) => `${line}\n`).join('')}`;
}
