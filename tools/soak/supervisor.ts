/**
 * A listed caller with the public client library: a watch that survives restarts of the resolver, and pollers. Reports
 * its observations to the harness, without values.
 *
 *   supervisor.ts <name> <socket> <provider,provider>     the values' prefix comes in VALUE_PREFIX
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connect,
  eraseEnvironment,
  type ProviderEnvironment,
  ResolverError,
} from '../../src/client/index.ts';
import type { Observation } from './observation.ts';
import { now, summarise } from './observation.ts';

/** What a listed caller reports. */
export type Report =
  | { readonly type: 'seen'; readonly stream: number; readonly observation: Observation }
  | {
      readonly type: 'failed';
      readonly client: string;
      readonly from: number;
      readonly at: number;
      readonly code: string;
    }
  | { readonly type: 'answered'; readonly client: string }
  | { readonly type: 'watchers'; readonly watchers: number };

const [name = '', socket = '', providers = ''] = process.argv.slice(2);
const prefix = process.env.VALUE_PREFIX ?? '';
const sees = providers.split(',');
let stream = 1;
let held: { readonly summary: ReturnType<typeof summarise>; readonly stream: number } | undefined;
let connected = false;

function tell(report: Report): void {
  process.send?.(report);
}

function seen(
  client: string,
  kind: Observation['kind'],
  from: number,
  summary: ReturnType<typeof summarise>,
  handles: Observation['handles'] = {},
): void {
  const observation = { client: `${name} ${client}`, kind, sees, from, at: now(), handles, ...summary };
  tell({ type: 'seen', stream, observation });
}

const handlesOf = ({ credentials }: ProviderEnvironment) =>
  Object.fromEntries([...credentials.values()].map(({ identity, handle }) => [identity, handle]));

async function watch(): Promise<void> {
  using client = connect({ socket });
  const onDisconnect = () => {
    connected = false;
    stream += 1;
  };
  for await (const environment of client.watchProviderEnvironment({ onDisconnect })) {
    const summary = summarise(environment, prefix);
    connected = true;
    held = { summary, stream };
    seen(`watch#${stream}`, 'snapshot', now(), summary, handlesOf(environment));
    eraseEnvironment(environment);
  }
}

/** Tells again and again what the watch holds: a revocation that never came has no event of its own. */
async function tellHeld(): Promise<void> {
  for (;;) {
    await sleep(500);
    if (held !== undefined && connected && held.stream === stream)
      seen(`watch#${stream}`, 'held', now(), held.summary);
  }
}

async function poll(what: string, pauseMs: number, call: (from: number) => Promise<void>): Promise<void> {
  for (;;) {
    const from = now();
    try {
      await call(from);
      tell({ type: 'answered', client: `${name} ${what}` });
    } catch (error) {
      if (!(error instanceof ResolverError)) throw error;
      tell({ type: 'failed', client: `${name} ${what}`, from, at: now(), code: error.code });
    }
    await sleep(pauseMs);
  }
}

/** A refusal ends a watch for good; a caller that is listed again later must ask anew. */
async function forever(work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ResolverError)) throw error;
      connected = false;
      stream += 1;
    }
    await sleep(200);
  }
}

process.on('disconnect', () => process.exit(0));
const client = connect({ socket });
await Promise.all([
  forever(watch),
  tellHeld(),
  poll('get', 50, async (from) => {
    const environment = await client.getProviderEnvironment();
    seen('get', 'poll', from, summarise(environment, prefix));
    eraseEnvironment(environment);
  }),
  poll('list', 250, async () => {
    await client.listCredentials();
  }),
  poll('status', 500, async () => {
    tell({ type: 'watchers', watchers: (await client.getStatus()).watchers.length });
  }),
]);
