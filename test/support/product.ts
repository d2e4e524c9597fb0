/** The product as the image has it: built from the checkout into a folder of its own, and started in the same way. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ENTRY_FLAGS, startFlags } from '../../src/boundary/reexec.ts';
import { CHECKOUT } from './checkout.ts';

/** What the image sets besides the command. */
export const IMAGE_ENVIRONMENT = { MALLOC_ARENA_MAX: '1' };

const OWN = resolve(import.meta.dirname, '../..');

/** Laid out as in the image: dist with `serve` in one file and its compiled code, package.json and node_modules. */
export class Product implements Disposable {
  readonly folder: string;
  /** What node runs. */
  readonly program: string;

  /** Builds what the image holds: some seconds. `checkout` is where other UIDs find node_modules. */
  constructor(checkout = CHECKOUT) {
    this.folder = mkdtempSync(join(tmpdir(), 'msr-product-'));
    chmodSync(this.folder, 0o755);
    const dist = join(this.folder, 'dist');
    this.program = join(dist, 'start.cjs');
    copyFileSync(join(OWN, 'package.json'), join(this.folder, 'package.json'));
    symlinkSync(join(checkout, 'node_modules'), join(this.folder, 'node_modules'));
    const options = { cwd: OWN, stdio: 'inherit' } as const;
    const tsc = ['node_modules/.bin/tsc', '-p', 'tsconfig.build.json', '--outDir', dist];
    execFileSync('nice', tsc, options);
    for (const step of ['bundle', 'compile'])
      execFileSync('nice', [process.execPath, `deploy/image/${step}.ts`, dist], options);
  }

  /** What stands between node and `serve` in the image, with this socket in place of the default one. */
  entry(socket: string): readonly string[] {
    return [...this.nodeFlags(socket), this.program];
  }

  nodeFlags(socket: string, audit?: string): readonly string[] {
    return [...startFlags({ socket: { path: socket }, audit: { path: audit } }), ...ENTRY_FLAGS];
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
