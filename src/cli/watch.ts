import { Command, InvalidArgumentError } from 'commander';
import { eraseEnvironment, type ProviderEnvironment, type WatchedEnvironment } from '../client/index.ts';
import { CALLER_HELP, repeated, socketOption, withClient } from './caller.ts';
import type { CommandContext } from './context.ts';

interface WatchCommandOptions {
  readonly socket: string;
  readonly provider?: string[];
  readonly count?: number;
}

/** `watch`: one line a change, until interrupted. Never a value. */
export function createCommand(context: CommandContext): Command {
  return new Command('watch')
    .description('follow the credentials and print what changes, by name; reconnects by itself')
    .addOption(socketOption())
    .option('--provider <name>', 'of this provider only (may be repeated)', repeated)
    .option('--count <n>', 'end after this many snapshots', positive)
    .addHelpText('after', CALLER_HELP)
    .action(async (options: WatchCommandOptions) => {
      // `watch | head`: nobody reads any more, so there is nothing left to follow for.
      const gone = new AbortController();
      context.stdout.once('error', () => gone.abort());
      await withClient(options.socket, (client) =>
        follow(
          context,
          client.watchProviderEnvironment({
            signal: AbortSignal.any([context.signal, gone.signal]),
            ...(options.provider === undefined ? {} : { providers: options.provider }),
            onDisconnect: (error) => context.stderr.write(`disconnected: ${error.code}: ${error.message}\n`),
          }),
          options.count ?? Number.POSITIVE_INFINITY,
        ),
      );
    });
}

async function follow(
  context: CommandContext,
  snapshots: AsyncIterable<WatchedEnvironment>,
  count: number,
): Promise<void> {
  let before: ProviderEnvironment | undefined;
  let seen = 0;
  for await (const snapshot of snapshots) {
    const stamp = new Date().toISOString();
    context.stdout.write(
      `${stamp} revision ${snapshot.revision}: ${snapshot.credentials.size} served, ${snapshot.refusals.length} refused\n`,
    );
    for (const line of differences(before, snapshot)) context.stdout.write(`${stamp}   ${line}\n`);
    if (before !== undefined) eraseEnvironment(before);
    before = snapshot;
    seen += 1;
    if (seen >= count) break;
  }
}

/** What changed, in words. */
function differences(before: ProviderEnvironment | undefined, after: ProviderEnvironment): string[] {
  const lines: string[] = [];
  for (const credential of after.credentials.values()) {
    const old = before?.credentials.get(credential.key);
    if (old === undefined) lines.push(`loaded ${credential.identity}`);
    else if (!old.value.equals(credential.value)) lines.push(`rotated ${credential.identity}`);
  }
  for (const old of before?.credentials.values() ?? []) {
    if (!after.credentials.has(old.key)) lines.push(`withdrawn ${old.identity}`);
  }
  const known = new Set(
    (before?.refusals ?? []).map(({ provider, key, reason }) => `${provider}:${key} ${reason}`),
  );
  for (const { provider, key, reason } of after.refusals) {
    if (!known.has(`${provider}:${key} ${reason}`)) lines.push(`refused ${provider}:${key}: ${reason}`);
  }
  return lines;
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('write a whole number above 0.');
  return Number(text);
}
