/** How commands print: a table for people, JSON or YAML for programs. */
import { stripVTControlCharacters, styleText } from 'node:util';
import { Option } from 'commander';
import { stringify } from 'yaml';
import { printable } from '../domain/printable.ts';
import { wrapped } from '../domain/wrapped.ts';
import type { CommandContext } from './context.ts';

export const OUTPUT_FORMATS = ['table', 'wide', 'json', 'yaml'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export function outputOption(...more: readonly string[]): Option {
  return new Option('-o, --output <format>', 'how to print')
    .choices([...OUTPUT_FORMATS, ...more])
    .default('table');
}

/** Prints `data` as JSON or YAML, or what `table` makes of it: at most 80 columns wide, unless it is `wide`. Big integers become strings: JSON has none. */
export function print(
  context: CommandContext,
  format: OutputFormat,
  data: unknown,
  table: (wide: boolean) => string,
): void {
  switch (format) {
    case 'json':
      context.stdout.write(`${JSON.stringify(data, plainNumbers, 2)}\n`);
      return;
    case 'yaml':
      context.stdout.write(stringify(JSON.parse(JSON.stringify(data, plainNumbers))));
      return;
    case 'table':
    case 'wide':
      context.stdout.write(table(format === 'wide'));
  }
}

function plainNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** Columns of text as kubectl prints them; `indent` spaces stand before each line. */
export function plainTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  indent = 0,
): string {
  const lines = [head.map((name) => name.toUpperCase()), ...rows.map((row) => row.map(cleanCell))];
  const widths = head.map((_, at) => Math.max(...lines.map((line) => visibleLength(line[at] ?? ''))));
  return lines
    .map((line) => {
      const cells = line.map((cell, at) => cell + ' '.repeat((widths[at] ?? 0) - visibleLength(cell)));
      return `${' '.repeat(indent)}${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

/** A cell is a name that others chose, or one that is coloured as a whole. */
function cleanCell(cell: string): string {
  const [, on = '', text = '', off = ''] = /^(\x1b\[\d+m)?(.*?)(\x1b\[\d+m)?$/s.exec(cell) ?? [];
  return on + printable(text) + off;
}

/** Length without the codes of colours. */
function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** Destinations listed above a table. */
const MAX_DESTINATIONS = 3;

/** What stands above a column, its cells, and whether the narrow form leaves it out. */
export type Column<T> = readonly [head: string, cell: (item: T) => string, only?: 'wide'];

/** One wide table; or one for each group, under the group's name: columns that repeat it would not fit a terminal. */
export function groupedTables<T>(
  items: readonly T[],
  wide: boolean,
  groupOf: (item: T) => string,
  columns: readonly Column<T>[],
  destinationsOf: (members: readonly T[]) => readonly string[] = () => [],
): string {
  const shown = columns.filter(([, , only]) => wide || only === undefined);
  const head = shown.map(([name]) => name);
  const rowOf = (item: T) => shown.map(([, cell]) => cell(item));
  if (wide) return plainTable(head, items.map(rowOf));
  return [...Map.groupBy(items, groupOf)]
    .map(([group, members]) => {
      const destinations = destinationsOf(members);
      const more = destinations.length - MAX_DESTINATIONS;
      const lines = [group, ...destinations.slice(0, MAX_DESTINATIONS).map((each) => `  to ${each}`)];
      if (more > 0) lines.push(`  and ${more} more (-o wide)`);
      return `${lines.map((line) => `${wrapped(printable(line), 6)}\n`).join('')}${plainTable(head, members.map(rowOf), 2)}`;
    })
    .join('\n');
}

/** Colours a text where a person reads it. NO_COLOR and pipes get plain text. */
export function colour(
  context: CommandContext,
  style: Parameters<typeof styleText>[0],
  text: string,
): string {
  return wantsColour(context) ? styleText(style, text, { validateStream: false }) : text;
}

/** Whether stdout is to be coloured: a terminal, unless NO_COLOR says otherwise. */
export function wantsColour({ stdout, env }: CommandContext): boolean {
  return stdout.isTTY === true && (env.NO_COLOR ?? '') === '';
}

/** `2 min ago`, for times in Unix milliseconds; `never` for 0. */
export function ago(atMs: bigint, now: number): string {
  if (atMs === 0n) return 'never';
  return `${duration(now - Number(atMs))} ago`;
}

/** When a credential ends, seen from now. */
export function until(atMs: bigint, now: number): string {
  if (atMs === 0n) return '-';
  const left = Number(atMs) - now;
  return left <= 0 ? 'expired' : `in ${duration(left)}`;
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}
