import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config/config.ts';
import { YAML_FILE } from '../config/files.ts';
import { loadConfig } from '../consumers/load-config.ts';
import { changeResources, RESOLVER_RESOURCES, RESOURCES_FORM } from '../domain/container-resources.ts';
import { CommandError, ConfigError, ExitCode, errorCode } from '../domain/errors.ts';
import { DEFAULT_UID } from '../domain/kubernetes.ts';
import { isNamespaceName } from '../domain/names.ts';
import { printable, printableLines } from '../domain/printable.ts';
import { VERSION } from '../domain/version.ts';
import { unifiedDiff } from '../manifest/diff.ts';
import { DEFAULT_ENVOY_IMAGE } from '../manifest/egress.ts';
import { type InjectRequest, inject, type Rewritten, uninject } from '../manifest/inject.ts';
import { KNOWN_KINDS } from '../manifest/kinds.ts';
import { lint } from '../manifest/lint.ts';
import { Annotation } from '../manifest/names.ts';
import { lintFindingText } from '../manifest/report.ts';
import type { Rule } from '../manifest/rule.ts';
import { type InjectionSettings, PULL_POLICIES } from '../manifest/situation.ts';
import type { CommandContext } from './context.ts';
import { count } from './findings.ts';
import { encode, type ManifestInput, readManifests, replaceFile, rulesWithout } from './manifest-io.ts';
import { wantsColour } from './output.ts';
import { examples } from './program.ts';

/** Options that are settings have the names of these. */
interface InjectOptions
  extends Omit<InjectionSettings, 'image' | 'imagePullSecrets' | 'providerFiles' | 'profileFiles'>,
    Pick<InjectRequest, 'only'> {
  readonly filename: string;
  readonly config?: string;
  readonly image?: string;
  readonly imagePullSecret?: readonly string[];
  readonly providers?: string;
  readonly profiles?: string;
  readonly namespace?: string;
  readonly agent?: string | false;
  readonly supervisor?: readonly string[];
  readonly uninject?: boolean;
  readonly replaceEdited?: boolean;
  readonly ignore?: readonly string[];
  readonly diff?: boolean;
  readonly inPlace?: boolean;
}

export function createCommand(context: CommandContext): Command {
  return new Command('inject')
    .description('put the resolver and its self-test into the pod templates of a stream of manifests')
    .requiredOption('-f, --filename <file>', 'manifests to read, one file; - for standard input', onlyFile)
    .option('-c, --config <file>', 'the configuration that the resolver will run with')
    .addOption(new Option('--image <image>', 'image of the resolver').env('SECRET_RESOLVER_IMAGE'))
    .addOption(new Option('--image-pull-policy <policy>', 'pull policy of the images').choices(PULL_POLICIES))
    .option('--image-pull-secret <name...>', 'Secrets in imagePullSecrets that the image needs')
    .option('--resources <list>', `changes to the resolver's resources: ${RESOURCES_FORM}`, parseResources)
    .option('--self-test-resources <list>', "changes to the self-test's resources", parseResources)
    .option('--only <kind/name...>', 'the objects to work on; all others are passed through')
    .option('--providers <folder>', 'the provider files (default: providers, beside the configuration)')
    .option('--profiles <folder>', 'the profiles (default: profiles, beside the configuration)')
    .option('-n, --namespace <namespace>', 'namespace of manifests that name none', parseNamespace)
    .option('--agent <container>', 'container of the agent (default: as annotated, or agent)')
    .option('--no-agent', 'the pod has no agent in it: no self-test is added')
    .option(
      '--supervisor <container...>',
      'containers that may use the socket (default: as annotated, or known); envoy adds one',
    )
    .option('--envoy-image <image>', `image of the Envoy that is added (default: ${DEFAULT_ENVOY_IMAGE})`)
    .option('--uid <uid>', 'UID and GID of the resolver', parseUid, DEFAULT_UID)
    .option(
      '--config-map <name>',
      'ConfigMap of the configuration and provider files',
      'secret-resolver-config',
    )
    .option('--profiles-config-map <name>', 'ConfigMap of the profiles', 'secret-resolver-profiles')
    .option('--uninject', 'take out what inject added')
    .option('--replace-edited', 'take over additions that were changed by hand since')
    .option('--ignore <rule...>', 'ids of lint rules that the result may break')
    .option('--diff', 'show what would change instead of the result')
    .option('-i, --in-place', 'write the result to the file it came from')
    .addHelpText(
      'after',
      `
Kinds: ${KNOWN_KINDS.join(', ')}, and lists of them. Everything else is passed through,
and so are pods with neither an agent nor a supervisor. Comments, order and formatting are kept. Injecting again updates
what was injected and nothing else; pull policy, pull secrets and resources stay unless given again.

Annotations of a pod template:
  ${Annotation.agent}: NAME          the agent's container
  ${Annotation.supervisors}: A,B     containers that may use the socket, or envoy
  ${Annotation.inject}: "false"      leave this template as it is
  ${Annotation.resources}: LIST      as --resources
  ${Annotation.selfTestResources}: LIST

--supervisor envoy adds a stock Envoy and the process that tells it what to do, and gives the agent placeholders, the
proxy's address and the CA by environment variables. A pod with a container envoy of its own keeps that one.
${examples(
  'secret-resolver inject -f sandbox.yaml -c config.yaml --image registry/secret-resolver:1 | kubectl apply -f -',
  'secret-resolver inject -f sandbox.yaml -c config.yaml --image registry/secret-resolver:1 --diff',
  'secret-resolver inject -f agent.yaml -c config.yaml --image registry/secret-resolver:1 --supervisor envoy',
  'secret-resolver inject -f sandbox.yaml --uninject --in-place',
)}`,
    )
    .action(async (options: InjectOptions) => {
      const [input, second] = await readManifests(options.filename, false, context);
      if (input === undefined || second !== undefined) {
        throw new CommandError(`${printable(options.filename)}: inject takes one file`, ExitCode.usage);
      }
      const rules = rulesWithout(options.ignore ?? []);
      const { file, text } = input;
      const request = { file, text, replaceEdited: options.replaceEdited === true, only: options.only };
      const result = options.uninject ? uninject(request) : inject({ ...request, ...additionsOf(options) });
      if (!options.uninject) refuseFaults(context, rules, options.image, file, result.text);
      write(context, options, input, result);
    });
}

/** What was injected must not stand beside something that breaks it: errors end the command, the rest is shown. */
function refuseFaults(
  context: CommandContext,
  rules: readonly Rule[],
  image: string | undefined,
  file: string,
  text: string,
): void {
  const { findings } = lint({ file, text, choice: {}, image, rules });
  const worse = findings.filter(({ severity }) => severity !== 'note');
  for (const finding of worse) context.stderr.write(lintFindingText(finding, false));
  const errors = worse.filter(({ severity }) => severity === 'error').length;
  if (errors === 0) return;
  throw new CommandError(
    `${printable(file)}: nothing was written: the pod would break the boundary in ${count(errors, 'place')} (change the manifest, or accept a rule by --ignore RULE)`,
    ExitCode.refused,
  );
}

function additionsOf(
  options: InjectOptions,
): Pick<InjectRequest, 'version' | 'choice' | 'settings' | 'configFor'> {
  const config = required(options.config, '--config');
  const image = required(options.image, '--image');
  const folders = {
    providersDir: options.providers ?? join(dirname(config), 'providers'),
    profilesDir: options.profiles ?? join(dirname(config), 'profiles'),
  };
  return {
    version: VERSION,
    choice: {
      agent: typeof options.agent === 'string' ? options.agent : undefined,
      noAgent: options.agent === false,
      supervisors: options.supervisor,
    },
    settings: {
      ...options,
      image,
      imagePullSecrets: options.imagePullSecret,
      providerFiles: filesOf(folders.providersDir),
      profileFiles: existsSync(folders.profilesDir) ? filesOf(folders.profilesDir) : [],
    },
    configFor: (namespace) => configFor(config, folders, namespace ?? options.namespace),
  };
}

/** The configuration as it will read in the pod, where id, name and namespace come from the downward API. */
function configFor(
  file: string,
  folders: { providersDir: string; profilesDir: string },
  namespace: string | undefined,
): Config {
  try {
    return loadConfig(
      file,
      {
        SECRET_RESOLVER_SANDBOX_ID: 'set-by-the-downward-api',
        SECRET_RESOLVER_SANDBOX_NAME: 'set-by-the-downward-api',
        SECRET_RESOLVER_SANDBOX_NAMESPACE: namespace,
      },
      folders,
    );
  } catch (error) {
    if (!(error instanceof ConfigError) || namespace !== undefined) throw error;
    throw new ConfigError(
      error.issues.map((issue) =>
        issue.field === 'sandbox.namespace'
          ? {
              ...issue,
              message: 'neither the manifest nor the configuration names a namespace',
              hint: 'write metadata.namespace in the manifest, or pass --namespace',
            }
          : issue,
      ),
    );
  }
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => YAML_FILE.test(name))
      .sort();
  } catch (error) {
    throw new CommandError(
      `${printable(folder)}: cannot be read: ${errorCode(error)} (say where the provider files are with --providers)`,
      ExitCode.usage,
      { cause: error },
    );
  }
}

/** Reached only when everything worked: until here nothing was written. */
function write(
  context: CommandContext,
  options: InjectOptions,
  input: ManifestInput,
  result: Rewritten,
): void {
  const { text: before, encoding } = input;
  for (const passed of result.passed) context.stderr.write(`passed through: ${printable(passed)}\n`);
  for (const note of result.notes) context.stderr.write(`note: ${printable(note)}\n`);
  if (options.diff) {
    // For `patch` as it is.
    const shown = (text: string) => (context.stdout.isTTY === true ? printableLines(text) : text);
    const colour = wantsColour(context);
    context.stdout.write(unifiedDiff(options.filename, shown(before), shown(result.text), colour));
  } else if (options.inPlace && options.filename !== '-') {
    if (result.text !== before) replaceFile(options.filename, encode(result.text, encoding));
    const done = `${options.filename}: ${result.done.join(', ') || 'nothing to do'}`;
    context.stderr.write(`${printable(done)}\n`);
  } else {
    context.stdout.write(encode(result.text, encoding));
  }
}

function required(value: string | undefined, flag: string): string {
  if (value !== undefined && value !== '') return value;
  throw new CommandError(`${flag} is missing (inject needs it; --uninject does not)`, ExitCode.usage);
}

/** kubectl takes -f several times; here the second would hide the first. */
function onlyFile(file: string, before: string | undefined): string {
  if (before !== undefined) throw new InvalidArgumentError('inject takes one file; call it once for each.');
  return file;
}

function parseNamespace(text: string): string {
  if (!isNamespaceName(text)) throw new InvalidArgumentError('It is not a Kubernetes namespace.');
  return text;
}

function parseResources(text: string): string {
  if (changeResources(RESOLVER_RESOURCES, text) === undefined) {
    throw new InvalidArgumentError(`Write for example ${RESOURCES_FORM}.`);
  }
  return text;
}

/** Largest `runAsUser` that the API server accepts. */
const MAX_POD_UID = 2 ** 31 - 1;

function parseUid(text: string): number {
  const uid = Number(text);
  if (!/^\d+$/.test(text) || uid > MAX_POD_UID)
    throw new InvalidArgumentError(`Write a UID that Kubernetes takes, at most ${MAX_POD_UID}.`);
  return uid;
}
