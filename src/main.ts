#!/usr/bin/env node
import { COMMANDS } from './cli/commands.ts';
import { ExitCode } from './domain/errors.ts';
import { nodeComplaint } from './domain/node-version.ts';

const complaint = nodeComplaint();
if (complaint === undefined) {
  const { run } = await import('./cli/run.ts');
  await run(process.argv.slice(2), COMMANDS);
} else {
  process.stderr.write(`secret-resolver: ${complaint}\n`);
  process.exitCode = ExitCode.usage;
}
