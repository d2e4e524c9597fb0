/**
 * `npm run soak -- MINUTES [--seed N] [--json FILE]`: runs the real resolver under random actions for MINUTES, and
 * checks its invariants throughout. Exits with 1 if one was violated, or if there was nothing to check.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CHECKOUT, exposeCheckout } from '../../test/support/checkout.ts';
import { enterOwnNamespaces } from '../../test/support/own-namespaces.ts';
import { Product } from '../../test/support/product.ts';

const USAGE = 'usage: npm run soak -- MINUTES [--seed N] [--json FILE]';
const OWN = resolve(import.meta.dirname, '../..');

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly json: string | undefined;
}

function options(): Options | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { seed: { type: 'string' }, json: { type: 'string' } },
    });
    const minutes = Number(positionals[0]);
    const seed = values.seed === undefined ? randomInt(2 ** 32) : Number(values.seed);
    if (positionals.length !== 1 || !(minutes > 0) || !Number.isInteger(seed)) return undefined;
    return { minutes, seed, json: values.json };
  } catch {
    return undefined;
  }
}

async function soak({ minutes, seed, json }: Options): Promise<boolean> {
  using _exposed = { [Symbol.dispose]: exposeCheckout() };
  const checkout = process.env.TEST_CHECKOUT ?? CHECKOUT;
  using product = new Product(checkout);
  // Named after this process: the test runner removes the folders of those that have ended.
  const runDirectory = join(OWN, '.test-run', String(process.pid));
  rmSync(runDirectory, { recursive: true, force: true });
  mkdirSync(runDirectory, { recursive: true });
  process.env.TEST_RUN_DIRECTORY = runDirectory;
  const { run } = await import('./run.ts');
  const { tableOf } = await import('./tally.ts');
  console.log(`soak: ${minutes} minutes, seed ${seed}`);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(name));
  const summary = await run({
    minutes,
    seed,
    checkout,
    product,
    signal: stop.signal,
  });
  const search = spawnSync(process.execPath, [join(OWN, 'test/support/leak-search.ts')], {
    cwd: OWN,
    encoding: 'utf8',
    env: { ...process.env, TEST_RUN_DIRECTORY: runDirectory },
  });
  if (search.status !== 0)
    summary.violations.push({ invariant: 'leak', atSeconds: minutes * 60, what: search.stderr.trim() });
  console.log(tableOf(summary));
  console.log(search.stdout.trim());
  for (const what of summary.leftOut) console.log(`left out: ${what}`);
  for (const { atSeconds, what } of summary.notJudged)
    console.log(`NOT JUDGED at ${atSeconds} s, for the machine had no time: ${what}`);
  for (const { invariant, atSeconds, what } of summary.violations)
    console.log(`VIOLATION ${invariant} at ${atSeconds} s, seed ${seed}: ${what}`);
  if (stop.signal.aborted) console.log('the run was ended early');
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(summary, null, 2)}\n`);
  // As with the test suites, nothing may be skipped unnoticed in CI.
  const whole = process.env.CI !== 'true' || summary.leftOut.length === 0;
  if (!whole) console.log('CI must carry out the whole of it and cannot');
  const judged = summary.notJudged.length <= (summary.counts.kill ?? 0) / 2;
  if (!judged) console.log('most recoveries could not be judged: run it on a machine with time for node');
  const clean = summary.violations.length === 0 && whole && judged && !stop.signal.aborted;
  if (clean) rmSync(runDirectory, { recursive: true });
  else console.log(`what every process printed is kept in ${runDirectory}`);
  return clean;
}

const wanted = options();
if (wanted === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  // The tmpfs of the run is in a mount namespace of its own.
  enterOwnNamespaces();
  process.exitCode = (await soak(wanted)) ? 0 : 1;
}
