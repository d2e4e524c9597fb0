import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exposeCheckout } from './checkout.ts';

/** Folder of all runs of this checkout. */
const RUNS = join(process.cwd(), '.test-run');

/**
 * Each run has a folder of its own for what its processes leave behind, so that two at a time do not disturb
 * each other; what the search at its end finds is of that run. Folders of runs that have ended are removed.
 */
export default function setup(): () => void {
  mkdirSync(RUNS, { recursive: true });
  for (const run of readdirSync(RUNS)) {
    if (!existsSync(`/proc/${run}`)) rmSync(join(RUNS, run), { recursive: true, force: true });
  }
  process.env.TEST_RUN_DIRECTORY = join(RUNS, String(process.pid));
  writeFileSync(join(RUNS, 'latest'), process.env.TEST_RUN_DIRECTORY);
  return exposeCheckout();
}
