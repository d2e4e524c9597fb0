import { Command, Option } from 'commander';
import { RULES } from '../boundary/catalogue.ts';
import { CommandError, ExitCode, formatIssue } from '../domain/errors.ts';
import { printable } from '../domain/printable.ts';
import { VERSION } from '../domain/version.ts';
import { wrapped } from '../domain/wrapped.ts';
import { isAtLeast, lintAll, SEVERITIES } from '../manifest/lint.ts';
import { sarifReport, textReport } from '../manifest/report.ts';
import type { Severity } from '../manifest/rule.ts';
import type { CommandContext } from './context.ts';
import { readManifests, rulesWithout } from './manifest-io.ts';
import { type OutputFormat, outputOption, print, wantsColour } from './output.ts';
import { examples } from './program.ts';

interface LintOptions {
  readonly filename?: readonly string[];
  readonly recursive?: boolean;
  readonly output: OutputFormat | 'sarif';
  readonly agent?: string;
  readonly supervisor?: readonly string[];
  readonly image?: string;
  readonly ignore?: readonly string[];
  readonly failOn: Severity;
  readonly rules?: boolean;
}

export function createCommand(context: CommandContext): Command {
  return new Command('lint')
    .description('find what in a stream of manifests breaks the boundary or keeps a rotation from arriving')
    .option('-f, --filename <file...>', 'manifests to read: a file, a folder, or - for standard input')
    .option('-R, --recursive', 'read the folders below a folder, too')
    .addOption(outputOption('sarif'))
    .option('--agent <container>', 'container of the agent (default: as annotated, or agent)')
    .option('--supervisor <container...>', 'supervisor containers (default: as annotated, or known)')
    .option('--image <image>', 'the image that the resolver and its self-test must have')
    .option('--ignore <rule...>', 'ids of rules that are not applied')
    .addOption(
      new Option('--fail-on <severity>', 'exit 1 for findings as bad as this')
        .choices(SEVERITIES)
        .default('warning'),
    )
    .option('--rules', 'print the list of rules and exit')
    .addHelpText(
      'after',
      `
Checked: pods with a container secret-resolver, in objects of any kind, and the Secrets and ExternalSecrets beside them.
Several files are checked as one stream. A file that cannot be read, or has no Kubernetes object, is exit 2.

${examples(
  'kustomize build . | secret-resolver lint -f -',
  'secret-resolver lint -f sandbox.yaml -f overlays/ -R',
  'secret-resolver lint -f sandbox.yaml -o sarif > lint.sarif',
)}`,
    )
    .action(async (options: LintOptions) => {
      if (options.rules) {
        const rules = RULES.map(({ id, severity, why, remedy }) => ({ id, severity, why, remedy }));
        if (options.output === 'sarif') throw new CommandError('--rules has no SARIF form', ExitCode.usage);
        print(context, options.output, rules, (wide) =>
          rules
            .map(({ id, severity, why }) => `${id} (${severity}): ${why}`)
            .map((line) => `${wide ? line : wrapped(line, 4)}\n`)
            .join(''),
        );
        return;
      }
      const rules = rulesWithout(options.ignore ?? []);
      if (options.filename === undefined) {
        throw new CommandError(
          '--filename is missing (write -f FILE, or -f - for standard input)',
          ExitCode.usage,
        );
      }
      const inputs = [];
      for (const file of options.filename) {
        inputs.push(...(await readManifests(file, options.recursive === true, context)));
      }
      const result = lintAll(inputs, {
        choice: { agent: options.agent, supervisors: options.supervisor },
        image: options.image,
        rules,
      });
      for (const issue of result.errors) context.stderr.write(`secret-resolver: ${formatIssue(issue)}\n`);
      for (const passed of result.passed) context.stderr.write(`not checked: ${printable(passed)}\n`);
      if (options.output === 'sarif') context.stdout.write(sarifReport(result, RULES, VERSION));
      else print(context, options.output, result, (wide) => textReport(result, wantsColour(context), wide));
      const failed = result.findings.some(({ severity }) => isAtLeast(severity, options.failOn));
      context.exit(result.errors.length > 0 ? ExitCode.usage : failed ? ExitCode.refused : ExitCode.ok);
    });
}
