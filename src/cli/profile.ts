import { Command } from 'commander';
import type { ConfigFinding } from '../config/finding.ts';
import { lintProfiles } from '../config/profile/lint.ts';
import { readFile } from '../config/read.ts';
import { ConfigError, ExitCode } from '../domain/errors.ts';
import type { CommandContext } from './context.ts';
import { count, countLine, findingData, findingsText } from './findings.ts';
import { type OutputFormat, outputOption, print } from './output.ts';
import { examples } from './program.ts';

export function createCommand(context: CommandContext): Command {
  const command = new Command('profile').description('check OpenShell provider profiles');
  command
    .command('lint')
    .description(
      `check profile files as OpenShell 0.0.x and as this resolver do; each finding says whose rule it is;
exit 0, or 2 with every error found; warnings do not change the exit code`,
    )
    .argument('<file...>', 'profile files in YAML, with several documents or a list of profiles in one file')
    .addOption(outputOption())
    .addHelpText('after', examples('secret-resolver profile lint profiles/*.yaml'))
    .action((files: string[], { output }: { readonly output: OutputFormat }) => {
      const { findings, profiles } = lintFiles(files);
      const failed = findings.some(({ severity }) => severity === 'error');
      const data = { valid: !failed, profiles, findings: findings.map(findingData) };
      const last = `${count(profiles, 'profile')}, ${countLine(findings)}\n`;
      print(context, output, data, () => `${findingsText(context, findings)}${last}`);
      context.exit(failed ? ExitCode.usage : ExitCode.ok);
    });
  return command;
}

/** Every finding in every file: one that cannot be read does not hide the others. */
function lintFiles(files: readonly string[]): { findings: ConfigFinding[]; profiles: number } {
  const findings: ConfigFinding[] = [];
  const ids = new Map<string, string>();
  let profiles = 0;
  for (const file of files) {
    try {
      for (const { source, id, findings: found } of lintProfiles(file, readFile(file))) {
        profiles++;
        findings.push(...found);
        const other = id === undefined ? undefined : ids.get(id);
        if (other !== undefined) {
          const issue = source.issueAt(
            ['id'],
            `is the id of a profile in ${other} too`,
            'give each an id of its own',
          );
          findings.push({ severity: 'error', by: 'both', issue });
        }
        if (id !== undefined) ids.set(id, file);
      }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      findings.push(...error.issues.map((issue) => ({ severity: 'error', by: 'both', issue }) as const));
    }
  }
  return { findings, profiles };
}
