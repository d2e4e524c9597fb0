import { Command, InvalidArgumentError } from 'commander';
import { formatReport } from '../boundary/attacks/report.ts';
import { type RunOptions, runSelfTest } from '../boundary/attacks/runner.ts';
import { ATTACKS } from '../boundary/catalogue.ts';
import { referencedSecrets, secretId, socketPaths } from '../config/config.ts';
import { selfTestCalls } from '../consumers/index.ts';
import { loadConfig } from '../consumers/load-config.ts';
import { DEFAULT_SECRETS_ROOT, DEFAULT_SOCKET } from '../domain/default-paths.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { repeated } from './caller.ts';
import type { CommandContext } from './context.ts';
import { type OutputFormat, outputOption, print, wantsColour } from './output.ts';
import { examples } from './program.ts';

const SECRET_ID = /^[a-z0-9][-a-z0-9]*\/[a-z0-9][-.a-z0-9]*$/;

interface SelfTestFlags {
  readonly config?: string;
  readonly socket?: readonly string[];
  readonly secretsRoot?: string;
  readonly resolverUid?: number;
  readonly secret?: readonly string[];
  readonly allowMount?: readonly string[];
  readonly search?: readonly string[];
  readonly accept?: readonly string[];
  readonly only?: readonly string[];
  readonly signals?: true;
  readonly lenient?: true;
  readonly output: OutputFormat;
}

export function createCommand(context: CommandContext): Command {
  return new Command('self-test')
    .description(
      'attack the resolver as the agent would; exit 0 only if every attack failed for the right reason\n\nRun it with the UID, the mounts and the security context of the agent, beside a running resolver.\nIt needs no configuration, takes back each change that succeeds, and prints nothing that it obtains.',
    )
    .option(
      '--socket <path>',
      `the resolver's socket (default: ${DEFAULT_SOCKET}); may be repeated for those of its consumers`,
      repeated(absolutePath),
    )
    .option(
      '--secrets-root <path>',
      `the folder of the Secrets in the resolver's container (default: ${DEFAULT_SECRETS_ROOT})`,
      absolutePath,
    )
    .option('--resolver-uid <uid>', 'the UID that must be the one listening on the socket', userId)
    .option(
      '--config <file>',
      'take these, and the names of the Secrets, from a configuration that can be read',
    )
    .option('--secret <namespace/name>', 'a Secret to look for (may be repeated)', repeated(secret))
    .option(
      '--allow-mount <path>',
      'a tmpfs that the agent is meant to read (may be repeated)',
      repeated(absolutePath),
    )
    .option(
      '--search <path>',
      'a folder to search for credentials besides the usual ones (may be repeated)',
      repeated(absolutePath),
    )
    .option(
      '--accept <attack>',
      'show an attack that succeeds, and do not count it (may be repeated)',
      repeated(attackId),
    )
    .option('--only <attack>', 'make this attack alone (may be repeated)', repeated(attackId))
    .option('--signals', 'send real signals where signal 0 was allowed; ends what it reaches')
    .option('--lenient', 'let an attack that failed for another reason count as held')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `\nAttacks:\n${ATTACKS.map(({ id, what }) => `  ${id.padEnd(24)}${what}`).join('\n')}\n${examples('secret-resolver self-test', 'secret-resolver self-test --secret team-a/app-gitlab --only secret-paths -o json')}`,
    )
    .action((flags: SelfTestFlags) => selfTest(flags, context));
}

async function selfTest(flags: SelfTestFlags, context: CommandContext): Promise<void> {
  const report = await runSelfTest(runOptions(flags, context));
  print(context, flags.output, report, (wide) => formatReport(report, wantsColour(context), wide));
  context.exit(report.passed ? ExitCode.ok : ExitCode.refused);
}

function runOptions(flags: SelfTestFlags, context: CommandContext): RunOptions {
  const config = flags.config === undefined ? undefined : loadConfig(flags.config, context.env);
  const uid = process.getuid?.();
  if (uid === 0) {
    // Root would succeed at everything and prove nothing, and would trace every process of the machine on the way.
    throw new CommandError(
      'this is root, and no boundary holds against root: run the self-test with the UID of the agent (runAsUser)',
      ExitCode.refused,
    );
  }
  if (config !== undefined && uid !== config.agent.uid) {
    throw new CommandError(
      `this is uid ${uid}, and the agent of ${flags.config} has ${config.agent.uid}: run the self-test as the agent, or without --config`,
      ExitCode.usage,
    );
  }
  const [socketPath = DEFAULT_SOCKET, ...otherSockets] = flags.socket ?? (config ? socketPaths(config) : []);
  return {
    context: {
      socketPath,
      otherSockets,
      secretsRoot: flags.secretsRoot ?? config?.secretsRoot ?? DEFAULT_SECRETS_ROOT,
      secrets: [
        ...(flags.secret ?? []),
        ...(config === undefined ? [] : referencedSecrets(config).map(secretId)),
      ],
      resolverUid: flags.resolverUid,
      rpcs: selfTestCalls(config?.sandbox.id ?? context.env.SECRET_RESOLVER_SANDBOX_ID ?? ''),
      allowedMounts: flags.allowMount ?? [],
      searchPaths: flags.search ?? [],
      realSignals: flags.signals === true,
      env: context.env,
    },
    attacks: ATTACKS.filter(({ id }) => flags.only?.includes(id) ?? true),
    accepted: flags.accept ?? [],
    lenient: flags.lenient === true,
    signal: context.signal,
  };
}

function attackId(id: string): string {
  if (ATTACKS.some((attack) => attack.id === id)) return id;
  throw new InvalidArgumentError('There is no such attack; --help lists them.');
}

function absolutePath(text: string): string {
  if (!/^\/[^\0]*$/.test(text)) throw new InvalidArgumentError('Write an absolute path.');
  return text;
}

function secret(text: string): string {
  if (!SECRET_ID.test(text)) throw new InvalidArgumentError('Write <namespace>/<name>.');
  return text;
}

function userId(text: string): number {
  const uid = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(uid <= 4294967294)) throw new InvalidArgumentError('Write a numeric user id, for example 1337.');
  return uid;
}
