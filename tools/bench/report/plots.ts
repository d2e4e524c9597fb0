/** Plots of a run as SVG. Text and lines are mid-grey on nothing, which a light page and a dark one both show. */
import { init } from 'echarts';
import { PERCENTS } from '../distribution.ts';
import type { Distribution } from '../figure.ts';
import type { Run } from '../run.ts';
import { judge, judgedValue } from '../verdict.ts';
import { bar, measure } from './format.ts';

type Option = Parameters<ReturnType<typeof init>['setOption']>[0];

const GREY = '#7d858f';
const FAINT = '#7d858f40';
const OURS = '#3b82d6';
const BASELINE = '#d6862b';
const GOOD = '#3f9e5a';
const BAD = '#d9534f';
const STAGES = ['#7b6fd0', '#3b82d6', '#c2557a', '#2f9e9e'];
const WIDTH = 900;
const FONT = 'Helvetica, Arial, sans-serif';

const title = (text: string, left: number | string = 'center', top = 8) => ({
  text,
  left,
  top,
  textStyle: { color: GREY, fontSize: 14, fontWeight: 600 as const },
});
const axis = {
  nameTextStyle: { color: GREY, fontSize: 12 },
  axisLabel: { color: GREY, fontSize: 12 },
  axisLine: { lineStyle: { color: GREY } },
  splitLine: { lineStyle: { color: FAINT } },
  minorSplitLine: { show: false },
};
const legend = (data: readonly string[], top: number) => ({
  data: [...data],
  top,
  itemGap: 36,
  textStyle: { color: GREY, fontSize: 12 },
});

function svg(option: Option, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({
    animation: false,
    backgroundColor: 'transparent',
    textStyle: { fontFamily: FONT },
    ...(option as object),
  });
  const text = chart.renderToSVGString();
  chart.dispose();
  return `${text}\n`;
}

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
const LEAST_SHARE = 0.1;

/** How much of its bar each figure takes. */
function bars(run: Run): string {
  const rows = run.rows.filter((row) => row.bar !== undefined && judge(row, run) !== 'not judged').reverse();
  const share = rows.map((row) => Math.max(judgedValue(row) / (row.bar?.atMost ?? 1), LEAST_SHARE));
  return svg(
    {
      title: title('Each figure as a share of its bar: left of the line is met'),
      grid: { left: 400, right: 120, top: 44, bottom: 44 },
      xAxis: {
        ...axis,
        type: 'log',
        min: LEAST_SHARE,
        name: 'times the bar',
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
            itemStyle: { color: judge(row, { ...run, tolerance: 1 }) === 'met' ? GOOD : BAD },
            label: {
              show: true,
              position: 'right',
              color: GREY,
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
    70 + rows.length * 26 + 40,
  );
}

/** Percentiles of both sides, one panel a figure. */
function latency(distributions: readonly Distribution[]): string {
  const width = WIDTH / distributions.length;
  // Equal steps for each halving of what is left: 50, 75, 87.5, … as tails are looked at.
  const place = (percent: number) => Math.log2(100 / (100 - percent));
  const marks = new Map([50, 90, 99, 99.9].map((percent) => [place(percent), `${percent} %`]));
  return svg(
    {
      title: distributions
        .map(({ name, unit }, index) => title(`${name} [${unit}]`, index * width + width / 2 + 16, 8))
        .map((each) => ({
          ...each,
          textAlign: 'center' as const,
          textStyle: { ...each.textStyle, fontSize: 12 },
        })),
      legend: legend(['ours', 'baseline'], 30),
      grid: distributions.map((_, index) => ({
        left: index * width + 54,
        width: width - 74,
        top: 62,
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
      series: distributions.flatMap((each, index) =>
        (['ours', 'baseline'] as const).map((side) => ({
          name: side,
          type: 'line' as const,
          xAxisIndex: index,
          yAxisIndex: index,
          symbol: 'none',
          lineStyle: { width: 2, color: side === 'ours' ? OURS : BASELINE },
          itemStyle: { color: side === 'ours' ? OURS : BASELINE },
          data: PERCENTS.map((percent, at) => [place(percent), each[side][at] ?? 0]),
        })),
      ),
    },
    340,
  );
}

function startUp({ bareMs, stages }: NonNullable<Run['details']['start']>): string {
  const names = ['bare Node, start to exit', ...stages.map(({ name }) => name)];
  const values = [bareMs, ...stages.map(({ ms }) => ms)];
  return svg(
    {
      title: title('From the spawn to SERVING, 60 credentials (medians)'),
      legend: legend(names, 32),
      grid: { left: 120, right: 50, top: 72, bottom: 44 },
      xAxis: { ...axis, type: 'value', name: 'ms', nameLocation: 'middle', nameGap: 26 },
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
      })),
    },
    210,
  );
}

function memoryOverLoad({ bare, series }: NonNullable<Run['details']['memory']>): string {
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
      title: title('Resident memory under load, one rotation for ten requests (dashed: bare Node at rest)'),
      legend: legend(
        lines.map(({ name }) => name),
        32,
      ),
      grid: { left: 64, right: 30, top: 66, bottom: 48 },
      xAxis: {
        ...axis,
        type: 'value',
        name: 'requests served',
        nameLocation: 'middle',
        nameGap: 28,
        max: 'dataMax',
      },
      yAxis: { ...axis, type: 'value', name: 'MiB', min: 0 },
      series: lines.map(({ name, color, data, level }) => ({
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
    },
    320,
  );
}

function rotationCost(points: NonNullable<Run['details']['scaling']>): string {
  return svg(
    {
      title: title('Rename of ..data → values in hand, over the number of credentials (medians)'),
      legend: legend(['ours, at the subscriber', 'bare inotify loop'], 32),
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
      series: (['ours', 'baseline'] as const).map((side) => ({
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
    },
    320,
  );
}
