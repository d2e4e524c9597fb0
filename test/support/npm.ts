import { realpathSync } from 'node:fs';
import { join } from 'node:path';

/** npm as a program of Node.js, so that a test chooses the Node.js that it runs on. */
export function npmProgram(): string {
  const found = (process.env.PATH ?? '')
    .split(':')
    .map((folder) => join(folder, 'npm'))
    .flatMap((file) => {
      try {
        return [realpathSync(file)];
      } catch {
        return [];
      }
    });
  if (found[0] === undefined) throw new Error('no npm in PATH');
  return found[0];
}
