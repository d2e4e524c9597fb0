/** How commands print: a table for people, JSON or YAML for programs. */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { Option } from 'commander';
import { stringify } from 'yaml';
import type { CommandContext } from './context.ts';

export const OUTPUT_FORMATS = ['table', 'json', 'yaml'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(OUTPUT_FORMATS).default('table');
}

/** Prints `data` as JSON or YAML, or what `table` makes of it. Big integers become strings: JSON has none. */
export function print(
  context: CommandContext,
  format: OutputFormat,
  data: unknown,
  table: () => string,
): void {
  switch (format) {
    case 'json':
      context.stdout.write(`${JSON.stringify(data, plainNumbers, 2)}\n`);
      return;
    case 'yaml':
      context.stdout.write(stringify(JSON.parse(JSON.stringify(data, plainNumbers))));
      return;
    case 'table':
      context.stdout.write(table());
  }
}

function plainNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** A table without rules, as kubectl prints them. */
export function plainTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = Object.fromEntries(
    [
      'top',
      'top-mid',
      'top-left',
      'top-right',
      'bottom',
      'bottom-mid',
      'bottom-left',
      'bottom-right',
      'left',
      'left-mid',
      'mid',
      'mid-mid',
      'right',
      'right-mid',
    ].map((name) => [name, '']),
  );
  const table = new Table({
    head: head.map((name) => name.toUpperCase()),
    chars: { ...none, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...rows.map((row) => [...row]));
  return `${table.toString().replaceAll(/ +$/gm, '')}\n`;
}

/** Colours a text where a person reads it. NO_COLOR and pipes get plain text. */
export function colour(
  context: CommandContext,
  style: Parameters<typeof styleText>[0],
  text: string,
): string {
  return context.stdout.isTTY === true && !context.env.NO_COLOR
    ? styleText(style, text, { validateStream: false })
    : text;
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
