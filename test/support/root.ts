import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'vitest';

/**
 * A suite that needs root. Without root it is skipped, and its name says why. With CI=true it fails instead, so that no
 * suite can drop out of CI unnoticed.
 */
export function describeAsRoot(name: string, body: () => void): void {
  describeIf(name, process.getuid?.() === 0 ? undefined : 'run the tests as root', body);
}

/** Runs the suite unless `missing` says what the machine lacks. Then the suite is skipped, or fails if CI=true. */
export function describeIf(name: string, missing: string | undefined, body: () => void): void {
  if (missing === undefined) {
    describe(name, body);
  } else if (process.env.CI === 'true') {
    it(name, () => {
      throw new Error(`CI must run this suite but cannot: ${missing}`);
    });
  } else {
    describe.skip(`${name} (left out: ${missing})`, body);
  }
}

/** Runs the suite where a program of `.ci/install` is installed. */
export function describeWith(program: string, name: string, body: () => void): void {
  const found = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
  describeIf(name, found ? undefined : `install ${program}`, body);
}
