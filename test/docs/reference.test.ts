/** The generated pages of docs/reference, against what they are about. That they are current is tested with the others. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { COMMANDS } from '../../src/cli/commands.ts';
import { PARTS, SCHEMAS } from '../../src/consumers/load-config.ts';
import { METRICS } from '../../src/observe/metrics.ts';
import { VOLUME_REMEDIES } from '../../src/sources/index.ts';
import { runInProcess } from '../support/in-process.ts';

/** Commands that have commands below them, and the program itself. */
const GROUPS = ['', 'config', 'profile', 'openshell'];
const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'docs/reference');
const page = (name: string) => readFileSync(join(FOLDER, name), 'utf8');

/** The cells of each row, as GitHub splits it. */
function rowsOf(text: string): string[][] {
  return text
    .replace(/```[\s\S]*?```/g, '')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    );
}

describe('a table', () => {
  it.each(readdirSync(FOLDER))(
    'of %s has as many cells in each row as in its head, and no markup by chance',
    (name) => {
      const text = page(name).replace(/```[\s\S]*?```/g, '');
      for (const block of text.split(/\n(?!\|)/).filter((part) => part.includes('\n|'))) {
        const rows = rowsOf(block);
        for (const row of rows) expect(row).toHaveLength(rows[0]?.length ?? 0);
        for (const cell of rows.flat().map((each) => each.replace(/`[^`]*`/g, '')))
          expect(cell.replaceAll('**required**', '')).not.toMatch(/(?<!\\)[<*]/);
      }
    },
  );
});

describe('cli.md', () => {
  const sections = page('cli.md').split(/^## /m).slice(1);

  it('has each command with the options and the examples of its help', async () => {
    const names = sections.map((text) => text.split('\n', 1).join()).filter((name) => name !== 'Exit codes');
    expect(names).toEqual(expect.arrayContaining(['serve', 'config validate', 'openshell doctor', 'man']));
    for (const name of names) {
      const section = sections.find((text) => text.startsWith(`${name}\n`)) ?? '';
      const { stdout } = await runInProcess(...name.split(' '), '--help');
      const flags = [...stdout.matchAll(/^ {2}((?:-\w, )?--[-a-z]+(?: <[^>]+>)?)/gm)].map(([, flag]) => flag);
      const shown = rowsOf(section).flatMap(([term = '']) =>
        term.startsWith('`-') ? [term.slice(1, -1)] : [],
      );
      expect({ name, flags: [...shown, '-h, --help'] }).toEqual({ name, flags });
      const examples = /\nExamples:\n((?: {2}.*\n)+)/.exec(stdout)?.[1] ?? '';
      for (const line of examples.split('\n')) expect(section).toContain(line.trim());
    }
  });

  it('has a section for each command of the program, and for each below one', async () => {
    for (const group of new Set([...GROUPS, ...Object.keys(COMMANDS)])) {
      const { stdout } = await runInProcess(...group.split(' ').filter(Boolean), '--help');
      const list = /\nCommands:\n((?: {2}.*\n)+)/.exec(stdout)?.[1] ?? '';
      if (GROUPS.includes(group)) expect(list).toContain('  help [command]');
      for (const [, name] of list.matchAll(/^ {2}([a-z][-a-z]+) /gm))
        if (name !== 'help') expect(page('cli.md')).toContain(`\n## ${`${group} ${name}`.trim()}\n`);
    }
  });
});

it('README.md names each command', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  for (const name of Object.keys(COMMANDS))
    expect(readme).toMatch(new RegExp(`(\`|secret-resolver )${name}\\b`));
});

describe('configuration.md', () => {
  const [config = '', provider = '', profile = ''] = page('configuration.md').split(/^## /m).slice(1);
  const fields = (text: string) =>
    new Map(
      rowsOf(text)
        .slice(2)
        .map(([path = '', ...rest]) => [path.slice(1, -1), rest]),
    );

  it('has the defaults that an empty configuration is read with, and no others', () => {
    const optional = PARTS.flatMap((part) => (part.optional ? part.field : []));
    const always = [...fields(config)].filter(
      ([path]) => !path.includes('[]') && !optional.includes(path.replace(/\..*/, '')),
    );
    const written = always.flatMap(([path, [, value = '']]) =>
      value.startsWith('`') ? [[path, parse(value.slice(1, -1))]] : [],
    );
    expect(Object.fromEntries(written)).toEqual(Object.fromEntries(leaves(SCHEMAS.config.parse({}), '')));
  });

  it('marks as required what a file cannot do without', () => {
    const required = (text: string) =>
      [...fields(text)].filter(([, [, value]]) => value === '**required**').map(([path]) => path);
    for (const [text, schema, prefix, value] of [
      [config, SCHEMAS.config, 'callers[].', { callers: [{}] }],
      [provider, SCHEMAS.provider, 'provider.credentialsFrom[].', { provider: { credentialsFrom: [{}] } }],
      [profile, SCHEMAS.profile, '', {}],
    ] as const) {
      const place = prefix.replaceAll('[]', '.0');
      const missing = schema.safeParse(value).error?.issues.map(({ path }) => path.join('.')) ?? [];
      const expected = required(text).filter(
        (path) => path.startsWith(prefix) && !/[.[]/.test(path.slice(prefix.length)),
      );
      expect(expected.length).toBeGreaterThan(0);
      expect(missing.filter((path) => path.startsWith(place))).toEqual(
        expected.map((path) => path.replaceAll('[]', '.0')),
      );
    }
  });

  it('has every field of the README', () => {
    const yaml = /```yaml\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1] ?? '';
    const known = [...fields(config).keys(), ...fields(provider).keys()];
    const used = parseAllDocuments(yaml).flatMap((document) =>
      leaves(document.toJS(), '').map(([path]) => path),
    );
    expect(used).toContain('callers');
    for (const path of used) expect(known).toContain(path.replace(/(?<=credentials\.)\w+/, '<name>'));
  });
});

/** Each value in a map that is no map, by its path. */
function leaves(value: object, at: string): [string, unknown][] {
  return Object.entries(value).flatMap(([name, each]): [string, unknown][] =>
    typeof each === 'object' && !Array.isArray(each) ? leaves(each, `${at}${name}.`) : [[at + name, each]],
  );
}

describe('metrics.md', () => {
  const rows = rowsOf(page('metrics.md')).slice(2);

  it('has each metric with its type and labels, and no other', () => {
    expect(
      rows.map(([name = '', type, labels = '']) => [name.slice(1, -1), type, labels.match(/\w+/g) ?? []]),
    ).toEqual(Object.values(METRICS).map(({ name, type, labels }) => [name, type, [...labels]]));
  });

  it('has an alert for each fault of a volume', () => {
    const rules = readFileSync(join(ROOT, 'deploy/alerts/prometheus-rule.yaml'), 'utf8');
    const reasons = rules.match(/reason=~"([^"]+)"/)?.[1]?.split('|');
    expect(reasons).toEqual(expect.arrayContaining(Object.keys(VOLUME_REMEDIES)));
  });

  it('names each alert, with its runbook', () => {
    const rules = readFileSync(join(ROOT, 'deploy/alerts/prometheus-rule.yaml'), 'utf8');
    const links = rows.flatMap(([, , , , alerts = '']) => [...alerts.matchAll(/\[(\w+)\]\((.+?)\)/g)]);
    expect(new Set(links.map(([, alert]) => alert))).toEqual(
      new Set([...rules.matchAll(/- alert: (\w+)/g)].map(([, alert]) => alert)),
    );
    for (const [, , file = ''] of links) expect(existsSync(join(FOLDER, file))).toBe(true);
  });
});
