/** Log lines for a person at a terminal. */
import { styleText } from 'node:util';
import { printable } from '../domain/printable.ts';

const COLOURS = {
  trace: 'gray',
  debug: 'gray',
  info: 'green',
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
} as const;

/** `19:04:12 info  listening  socket=/run/x serving=true`, for a line of JSON. */
export function logText(line: string, colour: boolean): string {
  const { level, time, relaxed: _, msg = '', ...facts } = JSON.parse(line);
  const name = String(level) as keyof typeof COLOURS;
  const label = colour ? styleText(COLOURS[name], name, { validateStream: false }) : name;
  const words = Object.entries(facts).map(([key, fact]) => {
    const text = typeof fact === 'string' && /^[!-~]+$/.test(fact) ? fact : JSON.stringify(fact);
    return `${key}=${text}`;
  });
  const padding = ' '.repeat(Math.max(1, 6 - name.length));
  return `${String(time).slice(11, 19)} ${label}${padding}${printable([msg, ...words].join('  '))}\n`;
}
