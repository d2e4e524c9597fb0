/**
 * Makes the checkout readable for other UIDs. Test UIDs cannot enter a clone in a private folder of root (as mktemp -d
 * creates), so tests run by root see it through a read-only bind mount.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const OWN = resolve(import.meta.dirname, '../..');

/** Set by the global setup for all workers. */
const VARIABLE = 'TEST_CHECKOUT';

/** Path of the checkout for child processes, whatever their UID. */
export const CHECKOUT = process.env[VARIABLE] ?? OWN;
/** The node that the tests themselves run on. */
export const NODE = process.execPath.startsWith(OWN)
  ? join(CHECKOUT, process.execPath.slice(OWN.length))
  : process.execPath;
export const MAIN = join(CHECKOUT, 'src/main.ts');

/** Folders of the checkout that child processes of other UIDs need. */
export const CHECKOUT_FOLDERS = ['src', 'test', 'tools', 'examples', 'proto', 'deploy', 'node_modules'];

/** Makes the checkout reachable if it is not; returns a function that undoes this. */
export function exposeCheckout(): () => void {
  if (process.getuid?.() !== 0 || reachable(OWN)) return () => {};
  const exposed = mkdtempSync(join(tmpdir(), 'msr-checkout-'));
  chmodSync(exposed, 0o755);
  for (const entry of readdirSync(OWN, { withFileTypes: true })) {
    if (entry.isFile()) copyFileSync(join(OWN, entry.name), join(exposed, entry.name));
  }
  // One mount for each folder: a mount of the whole checkout would be as inaccessible as the checkout.
  for (const folder of CHECKOUT_FOLDERS) {
    mkdirSync(join(exposed, folder));
    execFileSync('mount', ['--bind', join(OWN, folder), join(exposed, folder)]);
  }
  process.env[VARIABLE] = exposed;
  return () => {
    for (const folder of CHECKOUT_FOLDERS) execFileSync('umount', ['--lazy', join(exposed, folder)]);
    rmSync(exposed, { recursive: true });
  };
}

/** Whether every user may enter every folder on the path. */
function reachable(path: string): boolean {
  if ((statSync(path).mode & 0o005) !== 0o005) return false;
  return path === '/' || reachable(dirname(path));
}
