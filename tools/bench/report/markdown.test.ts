import { expect, it } from 'vitest';
import { ratioRow, runOf, valueRow } from '../rows.ts';
import { missingRow } from '../verdict.ts';
import { markdown } from './markdown.ts';

it('each row has its figures with units, its bar and the verdict', () => {
  const floored = { ...ratioRow(3.25, 3), floor: { name: 'empty server', value: 2.5 } };
  const lines = markdown(
    runOf([ratioRow(3.25, 3), ratioRow(2, 3), valueRow(0.05, 0.2), ratioRow(12), floored]),
  ).split('\n');
  expect(lines.filter((line) => line.startsWith('| ')).slice(2)).toEqual([
    '| process start | 130 ms | 40 ms – bare Node | 3.25× (3.15–3.35) | ≤ 3.00× | – | **missed** |',
    '| process start | 80 ms | 40 ms – bare Node | 2.00× (1.90–2.10) | ≤ 3.00× | – | met |',
    '| process start | 480 ms | 40 ms – bare Node | 12.00× (11.90–12.10) | – | – | not judged |',
    '| process start | 130 ms | 40 ms – bare Node | 3.25× (3.15–3.35) | ≤ 3.00× | 2.50× – empty server | **missed** |',
    expect.stringContaining('| figure |'),
    expect.stringContaining('| - |'),
    '| CPU at rest | 0.05 % | 0 % – bare Node | – | ≤ 0.2 % | – | met |',
  ]);
});

it('prints the bars that decide first, in their order, and why one has no numbers', () => {
  const cpu = { ...valueRow(0.05, 0.2), id: 'cpu-rest' };
  const spire = { id: 'spire-rss', figure: 'RSS', unit: 'MiB', bar: { on: 'ratio', atMost: 1 } } as const;
  const rows = [{ ...ratioRow(1), id: 'context' }, cpu, ratioRow(2, 3), missingRow(spire, 'give a path')];
  const text = markdown(runOf(rows), ['bars.svg']);
  expect(text.startsWith('| figure ')).toBe(true);
  const figures = text.split('\n').filter((line) => line.startsWith('| '));
  expect(figures.map((line) => line.split(' | ')[0])).toEqual([
    ...['| figure', '| -', '| RSS', '| process start', '| CPU at rest'],
    ...['| figure', '| -', '| process start'],
  ]);
  expect(figures[2]).toBe('| RSS | – | – | – | ≤ 1.00× | – | not measured: give a path |');
  expect(text).toContain('![bars](bars.svg)');
});

it('says on what it was measured, by how much bars are widened, and what could not be measured', () => {
  const text = markdown(
    runOf([], { tolerance: 1.5, notes: ['how'], failures: [{ figure: 'scaling', message: 'no tmpfs' }] }),
  );
  expect(text).toContain('2 cores (a processor), 8 GiB, Linux 6.1, Node 26.0.0');
  expect(text).toContain('Tolerated is up to 1.5 times a bar');
  expect(text).toContain('- how\n');
  expect(text).toContain('- **scaling was not measured**: no tmpfs');
});
