/**
 * Entry of the image's start-up snapshot. Node runs this file once with `--build-snapshot`, when the image is made,
 * and writes its heap down with all modules of `serve` loaded; each start of a container goes on from there.
 *
 * Nothing that must differ between two pods may be drawn or read while this file is loaded: no random bytes, no
 * clock, no environment. What a call makes of them is made after the start.
 */
import { join } from 'node:path';
import { startupSnapshot } from 'node:v8';
import { run } from './cli/run.ts';
import * as serve from './cli/serve.ts';
import { warmUp } from './warm-up.ts';

void warmUp(serve);

/** Every other command is rare, and is loaded from its files: this process becomes it, without `serve`'s restrictions. */
function becomeMain(argv: readonly string[]): void {
  if (process.execve === undefined)
    throw new Error('this Node.js cannot replace a process: it has no execve');
  process.execve(
    process.execPath,
    [process.execPath, join(import.meta.dirname, 'main.js'), ...argv],
    process.env as NodeJS.ProcessEnv & Record<string, string>,
  );
}

startupSnapshot.setDeserializeMainFunction(() => {
  const argv = process.argv.slice(2);
  if (argv[0] === 'serve') void run(argv, { serve: () => Promise.resolve(serve) });
  else becomeMain(argv);
});
