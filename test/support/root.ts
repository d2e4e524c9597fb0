import { describe, it } from 'vitest';

/**
 * A suite that needs root. An ordinary user's run leaves it out and its name says why; with CI=true a missing
 * root fails, so that no suite can drop out of CI unseen.
 */
export function describeAsRoot(name: string, body: () => void): void {
  describeIf(name, process.getuid?.() === 0 ? undefined : 'run the tests as root', body);
}

/** Runs the suite unless `missing` says what the machine lacks; then it is left out, or fails where CI=true. */
export function describeIf(name: string, missing: string | undefined, body: () => void): void {
  if (missing === undefined) {
    describe(name, body);
  } else if (process.env.CI === 'true') {
    it(name, () => {
      throw new Error(`CI must run this suite and cannot: ${missing}`);
    });
  } else {
    describe.skip(`${name} (left out: ${missing})`, body);
  }
}
