import { Command } from 'commander';
import { z } from 'zod';
import { type Config, secretId } from '../config/config.ts';
import { loadConfig, SCHEMAS } from '../consumers/index.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { matchGlob } from '../domain/glob.ts';
import type { CommandContext } from './context.ts';

/** `config validate` and `config schema`. */
export function createCommand(context: CommandContext): Command {
  const command = new Command('config').description('check a configuration, or print the JSON Schema of one');
  command
    .command('validate')
    .description(
      'check a configuration file with its provider files and profiles; exit 0, or 2 with every mistake found',
    )
    .argument('<file>', 'the configuration file')
    .action((file: string) => {
      context.stdout.write(summary(loadConfig(file, context.env)));
    });
  command
    .command('schema')
    .description('print a JSON Schema, for editors and for CI')
    .argument('[name]', `one of ${Object.keys(SCHEMAS).join(', ')}`, 'config')
    .action((name: string) => {
      context.stdout.write(`${JSON.stringify(jsonSchema(name), null, 2)}\n`);
    });
  return command;
}

/** The published JSON Schema of one kind of file. */
export function jsonSchema(name: string): object {
  const schema = Object.entries(SCHEMAS).find(([known]) => known === name)?.[1];
  if (schema === undefined) {
    throw new CommandError(
      `there is no schema ${name}; write one of ${Object.keys(SCHEMAS).join(', ')}`,
      ExitCode.usage,
    );
  }
  return z.toJSONSchema(schema, { io: 'input' });
}

function summary(config: Config): string {
  const lines = [`${config.file}: ok`];
  for (const provider of config.providers) {
    const from = [
      ...provider.credentials.map(({ key, reference }) => `${key} = ${secretId(reference)}/${reference.key}`),
      ...provider.from.map((bulk) => `${bulk.mode} of ${secretId(bulk.secret)}`),
    ];
    lines.push(`  provider ${provider.name} (${provider.type}): ${from.join(', ')}`);
    if (provider.endpoints.length === 0) {
      lines.push(
        `    no endpoints, neither here nor in a profile ${provider.type}: each of its credentials will be refused`,
      );
    }
  }
  if (config.providers.length === 0) {
    lines.push(`  no provider file (*.yaml) in ${config.providersDir}: nothing will be served`);
  }
  for (const caller of config.callers) {
    const seen = config.providers.filter(({ name }) =>
      caller.providers.some((pattern) => matchGlob(pattern, name)),
    );
    const names = seen.map(({ name }) => name).join(', ');
    lines.push(`  caller ${caller.name} (uid ${caller.uid}): ${names || 'matches no provider'}`);
  }
  if (config.callers.length === 0) lines.push('  no caller is listed: nobody will be served');
  return `${lines.join('\n')}\n`;
}
