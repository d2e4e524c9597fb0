import { Command, Option } from 'commander';
import { RULES } from '../boundary/catalogue.ts';
import { CommandError, ExitCode, formatIssue } from '../domain/errors.ts';
import { printable } from '../domain/printable.ts';
import { VERSION } from '../domain/version.ts';
import { isAtLeast, lintAll, SEVERITIES } from '../manifest/lint.ts';
import { jsonReport, sarifReport, textReport } from '../manifest/report.ts';
import type { Severity } from '../manifest/rule.ts';
import type { CommandContext } from './context.ts';
import { readManifests, rulesWithout, wantsColour } from './manifest-io.ts';
import { examples } from './program.ts';

interface LintOptions {
  readonly filename?: readonly string[];
  readonly recursive?: boolean;
  readonly output: 'text' | 'json' | 'sarif';
  readonly agent?: string;
  readonly supervisor?: readonly string[];
  readonly image?: string;
  readonly ignore?: readonly string[];
  readonly failOn: Severity;
  readonly rules?: boolean;
}

/** `lint`: what in a manifest breaks the boundary or the rotation. */
export function createCommand(context: CommandContext): Command {
  return new Command('lint')
    .description('find what in a stream of manifests breaks the boundary or keeps a rotation from arriving')
    .option('-f, --filename <file...>', 'manifests to read: a file, a folder, or - for standard input')
    .option('-R, --recursive', 'read the folders below a folder, too')
    .addOption(
      new Option('-o, --output <format>', 'form of the findings')
        .choices(['text', 'json', 'sarif'])
        .default('text'),
    )
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
        for (const { id, severity, why } of RULES) context.stdout.write(`${id} (${severity}): ${why}\n`);
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
      switch (options.output) {
        case 'text':
          context.stdout.write(textReport(result, wantsColour(context)));
          break;
        case 'json':
          context.stdout.write(jsonReport(result));
          break;
        case 'sarif':
          context.stdout.write(sarifReport(result, RULES, VERSION));
          break;
      }
      const failed = result.findings.some(({ severity }) => isAtLeast(severity, options.failOn));
      context.exit(result.errors.length > 0 ? ExitCode.usage : failed ? ExitCode.refused : ExitCode.ok);
    });
}
