import { Command, InvalidArgumentError } from 'commander';
import { stringify } from 'yaml';
import {
  eraseEnvironment,
  type ProviderEnvironment,
  type ResolverError,
  type WatchedEnvironment,
} from '../client/index.ts';
import { errorText } from '../domain/errors.ts';
import { printable } from '../domain/printable.ts';
import { CALLER_HELP, commandError, providerOption, socketOption, withClient } from './caller.ts';
import type { CommandContext } from './context.ts';
import { type OutputFormat, outputOption } from './output.ts';
import { examples } from './program.ts';

interface WatchCommandOptions {
  readonly socket: string;
  readonly provider?: string[];
  readonly count?: number;
  readonly wait?: true;
  readonly output: OutputFormat;
}

/** `watch`: one line a change, until interrupted. Never a value. */
export function createCommand(context: CommandContext): Command {
  return new Command('watch')
    .description('follow the credentials and print what changes, by name; reconnects by itself')
    .addOption(socketOption())
    .addOption(providerOption())
    .option('--count <n>', 'end after this many snapshots', positive)
    .option('--wait', 'wait for a resolver that does not answer yet, instead of exiting with 3')
    .addOption(outputOption())
    .addHelpText(
      'after',
      CALLER_HELP +
        examples(
          'secret-resolver watch --provider nvbugs-gitlab',
          'secret-resolver watch --wait --count 1 -o json',
        ),
    )
    .action((options: WatchCommandOptions) => watch(context, options));
}

async function watch(context: CommandContext, options: WatchCommandOptions): Promise<void> {
  // `watch | head`: the reader has closed the pipe, so the watch ends.
  const gone = new AbortController();
  context.stdout.once('error', () => gone.abort());
  let connected = false;
  // Since the last snapshot. While it waits for the first, a new cause is a new thing to fix.
  const said = new Set<string>();
  let failed: ResolverError | undefined;
  const onDisconnect = (error: ResolverError): void => {
    const text = errorText(commandError(error, options.socket));
    if (!connected && options.wait !== true) {
      failed = error;
      gone.abort();
    } else if (connected ? said.size === 0 : !said.has(text)) {
      context.stderr.write(`${text}Retrying.\n`);
    }
    said.add(text);
  };
  await withClient(options, async (client) => {
    const snapshots = client.watchProviderEnvironment({
      signal: AbortSignal.any([context.signal, gone.signal]),
      ...(options.provider === undefined ? {} : { providers: options.provider }),
      onDisconnect,
    });
    for await (const event of follow(snapshots, options.count)) {
      connected = true;
      said.clear();
      context.stdout.write(`${textOf(event, options.output)}\n`);
    }
    if (failed !== undefined) throw failed;
  });
}

interface Change {
  readonly event: 'loaded' | 'rotated' | 'withdrawn' | 'refused';
  readonly provider: string;
  readonly key: string;
  readonly reason?: string;
}

interface Snapshot {
  readonly event: 'snapshot';
  readonly revision: string;
  readonly served: number;
  readonly refused: number;
}

type WatchEvent = { readonly at: string } & (Snapshot | Change);

/** One JSON object a line, one YAML document, or a line of text. */
function textOf(event: WatchEvent, output: OutputFormat): string {
  if (output === 'json') return JSON.stringify(event);
  if (output === 'yaml') return `---\n${stringify(event).trimEnd()}`;
  if (event.event === 'snapshot') {
    return `${event.at} revision ${event.revision}: ${event.served} served, ${event.refused} refused`;
  }
  const reason = event.reason === undefined ? '' : `: ${event.reason}`;
  return `${event.at}   ${event.event} ${printable(`${event.provider}:${event.key}${reason}`)}`;
}

async function* follow(
  snapshots: AsyncIterable<WatchedEnvironment>,
  count = Number.POSITIVE_INFINITY,
): AsyncIterable<WatchEvent> {
  let before: ProviderEnvironment | undefined;
  let seen = 0;
  for await (const snapshot of snapshots) {
    const at = new Date().toISOString();
    const { revision, credentials, refusals } = snapshot;
    const [served, refused] = [credentials.size, refusals.length];
    yield { at, event: 'snapshot', revision: String(revision), served, refused };
    for (const change of differences(before, snapshot)) yield { at, ...change };
    if (before !== undefined) eraseEnvironment(before);
    before = snapshot;
    seen += 1;
    if (seen >= count) break;
  }
}

function* differences(before: ProviderEnvironment | undefined, after: ProviderEnvironment): Iterable<Change> {
  for (const { key, provider, value } of after.credentials.values()) {
    const old = before?.credentials.get(key);
    if (old === undefined) yield { event: 'loaded', provider, key };
    else if (!old.value.equals(value)) yield { event: 'rotated', provider, key };
  }
  for (const { key, provider } of before?.credentials.values() ?? [])
    if (!after.credentials.has(key)) yield { event: 'withdrawn', provider, key };
  const id = ({ provider, key, reason }: (typeof after.refusals)[number]) => `${provider}:${key} ${reason}`;
  const known = new Set(before?.refusals.map(id));
  for (const refusal of after.refusals) {
    const { provider, key, reason } = refusal;
    if (!known.has(id(refusal))) yield { event: 'refused', provider, key, reason };
  }
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('write a whole number above 0.');
  return Number(text);
}
