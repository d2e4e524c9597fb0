import { Command } from 'commander';
import { gatherFacts } from '../boundary/facts/facts.ts';
import { harden } from '../boundary/harden.ts';
import { requireTruthfulPeers } from '../boundary/peer-truth.ts';
import { reexecOnce } from '../boundary/reexec.ts';
import { type Report, renderTable, reportData } from '../boundary/report.ts';
import { renderHtml } from '../boundary/report-html.ts';
import { judge, runChecks } from '../boundary/verdict.ts';
import { loadConfig } from '../consumers/load-config.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { VERSION } from '../domain/version.ts';
import type { CommandContext } from './context.ts';
import { type OutputFormat, outputOption, print, wantsColour } from './output.ts';
import { examples } from './program.ts';

interface CheckOptions {
  readonly config?: string;
  readonly output: OutputFormat | 'html';
  readonly all?: true;
}

/** `check`: the findings that `serve` would judge itself by, for a person, a program or a review. */
export function createCommand(context: CommandContext): Command {
  return new Command('check')
    .description('prove the isolation boundary from here')
    .option('--config <file>', 'the configuration file; SECRET_RESOLVER_CONFIG unless given')
    .addOption(outputOption('html'))
    .option('--all', 'list the checks that passed, too')
    .addHelpText(
      'after',
      `
Run it where the resolver runs, as the resolver's user. It looks at its own process, at the mounts, at every process
in sight and at the socket. Exit 1: the boundary is broken.
${examples('kubectl exec POD -c secret-resolver -- secret-resolver check', 'secret-resolver check --output html > boundary.html')}`,
    )
    .action((options: CheckOptions) => check(options, context));
}

async function check(options: CheckOptions, context: CommandContext): Promise<void> {
  const file = options.config ?? context.env.SECRET_RESOLVER_CONFIG;
  if (file === undefined || file === '') {
    throw new CommandError('no configuration: give --config or set SECRET_RESOLVER_CONFIG', ExitCode.usage);
  }
  const config = loadConfig(file, context.env);
  reexecOnce(config);
  requireTruthfulPeers();
  const facts = await gatherFacts(config, { hardening: harden() });
  const findings = runChecks(facts, config);
  const state = judge(findings, { relaxed: false });
  const report: Report = {
    version: VERSION,
    checkedAtMs: facts.takenAtMs,
    sandbox: config.sandbox,
    state,
    findings,
  };
  if (options.output === 'html') context.stdout.write(renderHtml(report));
  else
    print(context, options.output, reportData(report), (wide) =>
      renderTable(report, { colour: wantsColour(context), all: options.all === true || wide }),
    );
  context.exit(state === 'proven' ? ExitCode.ok : ExitCode.refused);
}
