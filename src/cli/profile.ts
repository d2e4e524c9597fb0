import { Command } from 'commander';
import { readYaml } from '../config/files.ts';
import { lintProfile, type ProfileFinding } from '../config/profile-lint.ts';
import { ConfigError, ExitCode, formatIssue } from '../domain/errors.ts';
import type { CommandContext } from './context.ts';

/** `profile lint`. */
export function createCommand(context: CommandContext): Command {
  const command = new Command('profile').description('check OpenShell provider profiles');
  command
    .command('lint')
    .description(
      'check profile files against the rules of OpenShell and of this resolver;\nexit 0, or 2 with every error found; warnings do not change the exit code',
    )
    .argument('<file...>', 'profile files in YAML, several documents in one file among them')
    .action((files: string[]) => {
      const { findings, profiles } = lintFiles(files);
      for (const { severity, issue } of findings) {
        context.stdout.write(`${severity}: ${formatIssue(issue)}\n`);
      }
      const errors = findings.filter(({ severity }) => severity === 'error').length;
      context.stdout.write(
        `${count(profiles, 'profile')}, ${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}\n`,
      );
      context.exit(errors === 0 ? ExitCode.ok : ExitCode.usage);
    });
  return command;
}

/** Every finding in every file: one that cannot be read does not hide the others. */
function lintFiles(files: readonly string[]): { findings: ProfileFinding[]; profiles: number } {
  const findings: ProfileFinding[] = [];
  const ids = new Map<string, string>();
  let profiles = 0;
  for (const file of files) {
    try {
      for (const source of readYaml(file)) {
        profiles++;
        const { id, findings: found } = lintProfile(source);
        findings.push(...found);
        const other = id === undefined ? undefined : ids.get(id);
        if (other !== undefined) {
          const issue = source.issueAt(
            ['id'],
            `is the id of a profile in ${other} too`,
            'give each an id of its own',
          );
          findings.push({ severity: 'error', issue });
        }
        if (id !== undefined) ids.set(id, file);
      }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      findings.push(...error.issues.map((issue) => ({ severity: 'error' as const, issue })));
    }
  }
  return { findings, profiles };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
