/** Plots of a run as SVG. */
import { BARS, inOrder } from '../bars.ts';
import { PERCENTS } from '../distribution.ts';
import type { Distribution } from '../figure.ts';
import type { Run } from '../run.ts';
import { exponent } from '../stats.ts';
import { judge, judgedValue, type Row } from '../verdict.ts';
import { axis, BAD, BASELINE, GOOD, GREY, legend, OURS, svg, target, title, WIDTH } from './chart.ts';
import { bar, measure } from './format.ts';

const STAGES = ['#7b6fd0', '#3b82d6', '#c2557a', '#2f9e9e'];
/** Percentiles that have a bar. */
const JUDGED = ['p50', 'p99'] as const;

/** File name → SVG, for whatever the run measured. */
export function plots(run: Run): Map<string, string> {
  const { distributions, start, memory, scaling } = run.details;
  const drawn = new Map<string, string>();
  if (run.rows.some(({ bar }) => bar !== undefined)) drawn.set('bars.svg', bars(run));
  if (distributions !== undefined && distributions.length > 0)
    drawn.set('latency.svg', latency(distributions));
  if (start !== undefined) drawn.set('start.svg', startUp(start));
  if (memory !== undefined) drawn.set('memory.svg', memoryOverLoad(memory));
  if (scaling !== undefined) drawn.set('scaling.svg', rotationCost(scaling));
  return drawn;
}

/** A share below this is drawn as this: almost nothing. */
const LEAST_SHARE = 1 / 8;

/** How much of its bar each figure takes. */
function bars(run: Run): string {
  const rows = inOrder(run.rows)
    .filter((row) => row.bar !== undefined && !['not judged', 'not measured'].includes(judge(row, run)))
    .reverse();
  const color = (row: Row) => (judge(row, { ...run, tolerance: 1 }) === 'met' ? GOOD : BAD);
  const share = rows.map((row) => Math.max(judgedValue(row) / (row.bar?.atMost ?? 1), LEAST_SHARE));
  return svg(
    {
      title: title('Each figure, divided by its target'),
      grid: { left: 400, right: 140, top: 44, bottom: 44 },
      xAxis: {
        ...axis,
        type: 'log',
        logBase: 2,
        min: LEAST_SHARE,
        max: 2 ** Math.ceil(Math.log2(Math.max(2, ...share))),
        name: 'times the target',
        nameLocation: 'middle',
        nameGap: 26,
        axisLabel: { ...axis.axisLabel, formatter: (value: number) => `${value}×` },
      },
      yAxis: {
        ...axis,
        type: 'category',
        data: rows.map(({ figure }) => figure),
        axisTick: { show: false },
        axisLabel: { ...axis.axisLabel, fontSize: 11 },
        splitLine: { show: false },
      },
      series: [
        {
          type: 'bar',
          barMaxWidth: 14,
          data: rows.map((row, index) => ({
            value: share[index] ?? 0,
            itemStyle: { color: color(row) },
            label: {
              show: true,
              position: 'right',
              color: color(row),
              formatter: `${row.bar?.on === 'ratio' ? `${judgedValue(row).toFixed(2)}×` : measure(row.ours, row.unit)}  (${bar(row)})`,
            },
          })),
          markLine: {
            silent: true,
            symbol: 'none',
            label: { show: false },
            lineStyle: { color: GREY, type: 'solid', width: 2 },
            data: [{ xAxis: 1 }],
          },
        },
      ],
    },
    'A green bar, left of 1×, meets its target; a red one, right of it, misses it: twice the target is 2×.',
    70 + rows.length * 26 + 40,
  );
}

const samples = ({ ours, baselines }: Distribution, side: 'ours' | 'baseline') =>
  side === 'ours' ? ours : baselines;

/** Percentiles of both sides, one panel a figure. */
function latency(distributions: readonly Distribution[]): string {
  const width = WIDTH / distributions.length;
  // Equal steps for each halving of what is left: 50, 75, 87.5, … as tails are looked at.
  const place = (percent: number) => Math.log2(100 / (100 - percent));
  const marks = new Map([50, 90, 99, 99.9].map((percent) => [place(percent), `${percent} %`]));
  return svg(
    {
      title: distributions
        .map(({ name, unit, baseline }, index) => ({
          ...title(`${name} [${unit}]`, index * width + width / 2 + 16, 8),
          subtext: `baseline: ${baseline}`,
          subtextStyle: { color: GREY, fontSize: 10 },
        }))
        .map((each) => ({
          ...each,
          textAlign: 'center' as const,
          itemGap: 2,
          textStyle: { ...each.textStyle, fontSize: 12 },
        })),
      legend: legend(['ours', 'baseline'], 40),
      grid: distributions.map((_, index) => ({
        left: index * width + 58,
        width: width - 78,
        top: 74,
        bottom: 48,
      })),
      xAxis: distributions.map((_, index) => ({
        ...axis,
        gridIndex: index,
        type: 'value' as const,
        min: 0,
        max: place(99.9),
        name: 'percentile',
        nameLocation: 'middle' as const,
        nameGap: 26,
        axisTick: { show: false, customValues: [...marks.keys()] },
        axisLabel: {
          ...axis.axisLabel,
          fontSize: 10,
          customValues: [...marks.keys()],
          formatter: (value: number) => marks.get(value) ?? '',
        },
        splitLine: { show: false },
      })),
      yAxis: distributions.map((_, index) => ({
        ...axis,
        gridIndex: index,
        type: 'log' as const,
        logBase: 2,
      })),
      series: distributions.flatMap((each, index) => [
        ...(['ours', 'baseline'] as const).map((side) => ({
          name: side,
          type: 'line' as const,
          xAxisIndex: index,
          yAxisIndex: index,
          symbol: 'none',
          lineStyle: { width: 2, color: side === 'ours' ? OURS : BASELINE },
          itemStyle: { color: side === 'ours' ? OURS : BASELINE },
          data: PERCENTS.map((percent, at) => [place(percent), samples(each, side)[at] ?? 0]),
        })),
        {
          type: 'scatter' as const,
          xAxisIndex: index,
          yAxisIndex: index,
          symbol: 'rect',
          symbolSize: [26, 3],
          data: JUDGED.map((name) => {
            const percent = Number(name.slice(1));
            const at = PERCENTS.indexOf(percent);
            const most = (each.baselines[at] ?? 0) * each[name];
            const color = (each.ours[at] ?? 0) <= most ? GOOD : BAD;
            return { value: [place(percent), most], itemStyle: { color } };
          }),
        },
      ]),
    },
    'The time that a share of all calls or rotations takes at most; dashes mark the targets at 50 % and 99 %, red where ours is above.',
    340,
  );
}

function startUp({ bareMs, stages }: NonNullable<Run['details']['start']>): string {
  const names = ['bare Node, start to exit', ...stages.map(({ name }) => name)];
  const values = [bareMs, ...stages.map(({ ms }) => ms)];
  const total = stages.reduce((sum, { ms }) => sum + ms, 0);
  return svg(
    {
      title: title('From process start to ready, 60 credentials (medians)'),
      legend: legend(names, 32),
      grid: { left: 120, right: 50, top: 72, bottom: 44 },
      xAxis: {
        ...axis,
        ...{ type: 'value', name: 'ms', nameLocation: 'middle', nameGap: 26 },
        max: ({ max }: { max: number }) => Math.ceil(Math.max(max, BARS.start.atMost * bareMs) / 20) * 20,
      },
      yAxis: {
        ...axis,
        type: 'category',
        data: ['resolver', 'node -e 0'],
        axisTick: { show: false },
        splitLine: { show: false },
      },
      series: names.map((name, index) => ({
        name,
        type: 'bar' as const,
        stack: 'start',
        barWidth: 30,
        itemStyle: { color: index === 0 ? BASELINE : (STAGES[index - 1] ?? OURS) },
        label: {
          show: (values[index] ?? 0) > 15,
          color: '#fff',
          formatter: `${Math.round(values[index] ?? 0)}`,
        },
        data: index === 0 ? [null, bareMs] : [values[index] ?? 0, null],
        ...(index === 0 && {
          markLine: target({ xAxis: BARS.start.atMost * bareMs }, total > BARS.start.atMost * bareMs),
        }),
      })),
    },
    `What the time goes into from starting the process until it serves; beyond the line it takes more than ${BARS.start.atMost} times bare Node's.`,
    210,
  );
}

const AFTER = 'private dirty, at rest after it';

function memoryOverLoad({ bare, series, after }: NonNullable<Run['details']['memory']>): string {
  const { atMost: most } = BARS['memory-load-private-dirty'];
  const lines = [
    { name: 'RSS', color: OURS, data: series.map(({ requests, rss }) => [requests, rss]), level: bare.rss },
    {
      name: 'private dirty',
      color: '#2f9e9e',
      data: series.map(({ requests, privateDirty }) => [requests, privateDirty]),
      level: bare.privateDirty,
    },
  ];
  return svg(
    {
      title: title('Memory under load, one rotation for ten requests (dashed: bare Node at rest)'),
      legend: legend([...lines.map(({ name }) => name), AFTER], 32),
      grid: { left: 64, right: 60, top: 66, bottom: 48 },
      xAxis: {
        ...axis,
        type: 'value',
        name: 'requests served',
        nameLocation: 'middle',
        nameGap: 28,
        max: 'dataMax',
      },
      yAxis: { ...axis, type: 'value', name: 'MiB', min: 0 },
      series: [
        ...lines.map(({ name, color, data, level }) => ({
          name,
          type: 'line' as const,
          symbol: 'none',
          lineStyle: { width: 2, color },
          itemStyle: { color },
          data,
          markLine: {
            silent: true,
            symbol: 'none',
            label: { show: false },
            lineStyle: { color, type: 'dashed' as const },
            data: [{ yAxis: level }],
          },
        })),
        {
          name: AFTER,
          type: 'scatter' as const,
          symbolSize: 10,
          itemStyle: { color: after.privateDirty > most ? BAD : GOOD },
          label: {
            show: true,
            position: 'left',
            offset: [0, -12],
            color: GREY,
            formatter: measure(after.privateDirty, 'MiB'),
          },
          data: [[series.at(-1)?.requests ?? 0, after.privateDirty]],
          markLine: target({ yAxis: most }, after.privateDirty > most),
        },
      ],
    },
    'A line that stays flat shows that nothing leaks; the dot, taken after the load, has to be at or below the target.',
    320,
  );
}

const TARGET = 'target: as steep as this at most';

function rotationCost(points: NonNullable<Run['details']['scaling']>): string {
  const { atMost } = BARS.scaling;
  const first = points[0] ?? { size: 1, ours: 1 };
  const slope = exponent(points.slice(-2).map(({ size, ours }) => ({ size, cost: ours })));
  const color = slope > atMost ? BAD : GOOD;
  return svg(
    {
      title: title('Rename of ..data → values in hand, over the number of credentials (medians)'),
      legend: legend(['ours, at the subscriber', 'bare inotify loop', TARGET], 32),
      grid: { left: 64, right: 60, top: 76, bottom: 48 },
      xAxis: {
        ...axis,
        type: 'log',
        min: 5,
        max: 20_000,
        axisLabel: { ...axis.axisLabel, showMinLabel: false, showMaxLabel: false },
        name: 'credentials',
        nameLocation: 'middle',
        nameGap: 28,
      },
      yAxis: { ...axis, type: 'log', name: 'ms' },
      series: [
        ...(['ours', 'baseline'] as const).map((side) => ({
          name: side === 'ours' ? 'ours, at the subscriber' : 'bare inotify loop',
          type: 'line' as const,
          symbol: 'circle',
          symbolSize: 8,
          lineStyle: { width: 2, color: side === 'ours' ? OURS : BASELINE },
          itemStyle: { color: side === 'ours' ? OURS : BASELINE },
          label: {
            show: true,
            position: 'top' as const,
            color: GREY,
            formatter: ({ value }: { value: unknown }) => measure((value as number[])[1] ?? 0, 'ms'),
          },
          data: points.map((point) => [point.size, point[side]]),
        })),
        {
          name: TARGET,
          type: 'line' as const,
          symbol: 'none',
          lineStyle: { width: 2, type: 'dashed' as const, color },
          itemStyle: { color },
          data: points.map(({ size }) => [size, first.ours * (size / first.size) ** atMost]),
        },
      ],
    },
    'How long a changed Secret takes to arrive, by its number of keys; our line must not rise more steeply than the dashed one.',
    320,
  );
}
