/**
 * Secrets for tests, generated at run time and recorded for the leak search. Every test takes its secrets from here, so
 * that the search at the end of the run covers all of them.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Folder of this run's artifacts: output of every child process, logs, audit, cores. Kept until the next run. */
export const RUN_DIRECTORY = process.env.TEST_RUN_DIRECTORY ?? join(process.cwd(), '.test-run');
/** File that records the run's secrets; the only file that the search skips. */
export const LEDGER = join(RUN_DIRECTORY, 'secrets.ledger');
/** Everything in here is searched. */
export const ARTIFACTS = join(RUN_DIRECTORY, 'artifacts');

mkdirSync(ARTIFACTS, { recursive: true });

/** Records a secret for the search, and returns it. */
export function registerSecret<T extends string | Uint8Array>(secret: T): T {
  appendFileSync(LEDGER, `${Buffer.from(secret as string).toString('base64')}\n`, { mode: 0o600 });
  return secret;
}

/** A new secret: 32 random hex digits after a prefix that says where it came from. */
export function newSecret(prefix = 'tst'): string {
  return registerSecret(`${prefix}-${randomBytes(16).toString('hex')}`);
}
