/**
 * Secrets for tests: made at run time and written down where the leak search finds them. Every test that
 * needs a secret takes it from here, so that none can escape the search at the end of the run.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Folder of this run's artifacts: output of every child process, logs, audit, cores. Kept until the next run. */
export const RUN_DIRECTORY = process.env.TEST_RUN_DIRECTORY ?? join(process.cwd(), '.test-run');
/** What the run's secrets are written to; the one file that the search leaves out. */
export const LEDGER = join(RUN_DIRECTORY, 'secrets.ledger');
/** Everything in here is searched. */
export const ARTIFACTS = join(RUN_DIRECTORY, 'artifacts');

mkdirSync(ARTIFACTS, { recursive: true });

/** Writes a secret down for the search, and returns it. */
export function registerSecret<T extends string | Uint8Array>(secret: T): T {
  appendFileSync(LEDGER, `${Buffer.from(secret as string).toString('base64')}\n`, { mode: 0o600 });
  return secret;
}

/** A secret that never was before: 32 random hex digits behind a prefix that tells where it came from. */
export function newSecret(prefix = 'tst'): string {
  return registerSecret(`${prefix}-${randomBytes(16).toString('hex')}`);
}
