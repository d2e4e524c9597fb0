import { expect, it } from 'vitest';
import { PERCENTS } from '../distribution.ts';
import { ratioRow, runOf } from '../rows.ts';
import { plots } from './plots.ts';

const samples = PERCENTS.map((percent) => percent + 1);

it('draws what was measured, and nothing else', () => {
  expect([...plots(runOf([ratioRow(2, 3)])).keys()]).toEqual(['bars.svg']);
  const all = plots(
    runOf([ratioRow(2, 3)], {
      details: {
        distributions: [
          {
            name: 'unary',
            unit: 'µs',
            baseline: 'empty call',
            p50: 2,
            p99: 2,
            ours: samples,
            baselines: samples,
          },
        ],
        start: { bareMs: 40, stages: [{ name: 'modules', ms: 50 }] },
        memory: {
          bare: { rss: 40, privateDirty: 8 },
          after: { rss: 50, privateDirty: 27 },
          series: [
            { requests: 10, rss: 60, privateDirty: 20 },
            { requests: 20, rss: 61, privateDirty: 21 },
          ],
        },
        scaling: [
          { size: 10, ours: 1, baseline: 1 },
          { size: 100, ours: 5, baseline: 4 },
        ],
      },
    }),
  );
  expect([...all.keys()]).toEqual(['bars.svg', 'latency.svg', 'start.svg', 'memory.svg', 'scaling.svg']);
  for (const svg of all.values()) {
    expect(svg).toMatch(/^<svg /);
    // Neither theme's own colour is painted behind it, and no text is in one of the two.
    expect(svg).not.toMatch(/<text[^>]*fill="(#fff|#ffffff|#000|#000000|black)"[^>]*>[A-Za-z]/);
    expect(svg).not.toContain('NaN');
  }
});
