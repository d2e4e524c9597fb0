/** Numbers and bars as people read them. Pure. */
import type { Spread } from '../stats.ts';
import type { Row, Unit } from '../verdict.ts';

const MEASURES: Readonly<Record<Unit, (value: number) => string>> = {
  µs: (value) => `${significant(value)} µs`,
  ms: (value) => `${significant(value)} ms`,
  MiB: (value) => `${significant(value)} MiB`,
  '% of a core': (value) => `${significant(value)} %`,
  '%': (value) => `${significant(value)} %`,
  exponent: (value) => value.toFixed(2),
};

export function measure(value: number, unit: Unit): string {
  return MEASURES[unit](value);
}

/** Three digits; more only before the point. */
function significant(value: number): string {
  return Math.abs(value) >= 1_000
    ? Math.round(value).toLocaleString('en')
    : String(Number(value.toPrecision(3)));
}

export function times({ median, low, high }: Spread): string {
  return `${median.toFixed(2)}× (${low.toFixed(2)}–${high.toFixed(2)})`;
}

/** What must hold, or a dash for a row that is there for context. */
export function bar({ bar: limit, unit }: Row): string {
  if (limit === undefined) return '–';
  return limit.on === 'ratio' ? `≤ ${limit.atMost.toFixed(2)}×` : `≤ ${measure(limit.atMost, unit)}`;
}

/** What a program of the same kind comes to that does nothing else, or a dash. */
export function floorOf({ floor, bar: limit, unit }: Row): string {
  if (floor === undefined) return '–';
  const value = limit?.on === 'value' ? measure(floor.value, unit) : `${floor.value.toFixed(2)}×`;
  return `${value} – ${floor.name}`;
}
