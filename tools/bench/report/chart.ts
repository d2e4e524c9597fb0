/** What all plots have in common. Text and lines are mid-grey on nothing, which a light page and a dark one both show. */
import { type EChartsOption, init } from 'echarts';

interface Grid {
  readonly left: number;
  readonly top: number;
  readonly bottom: number;
  readonly right?: number;
  readonly width?: number;
}
type Plot = Omit<EChartsOption, 'title' | 'grid'> & {
  readonly title: object | object[];
  readonly grid: Grid | Grid[];
};

export const GREY = '#7d858f';
const FAINT = '#7d858f40';
export const OURS = '#3b82d6';
export const BASELINE = '#d6862b';
export const GOOD = '#3f9e5a';
export const BAD = '#d9534f';
export const WIDTH = 900;
/** Height of the sentence below a plot. */
const SENTENCE = 28;
const FONT = 'Helvetica, Arial, sans-serif';

export const title = (text: string, left: number | string = 'center', top = 8) => ({
  text,
  left,
  top,
  textStyle: { color: GREY, fontSize: 14, fontWeight: 600 as const },
});
export const axis = {
  nameTextStyle: { color: GREY, fontSize: 12 },
  axisLabel: { color: GREY, fontSize: 12 },
  axisLine: { lineStyle: { color: GREY } },
  splitLine: { lineStyle: { color: FAINT } },
  minorSplitLine: { show: false },
};
export const legend = (data: readonly string[], top: number) => ({
  data: [...data],
  top,
  itemGap: 36,
  textStyle: { color: GREY, fontSize: 12 },
});

/** `sentence` says below the plot what it shows to a reader who does not know the code. */
export function svg({ title: above, grid, ...option }: Plot, sentence: string, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: height + SENTENCE });
  const below = title(sentence, 'center', height + 2);
  chart.setOption({
    title: [above, { ...below, textStyle: { ...below.textStyle, fontSize: 12, fontWeight: 400 } }].flat(),
    animation: false,
    backgroundColor: 'transparent',
    textStyle: { fontFamily: FONT },
    ...option,
    grid: [grid].flat().map((each) => ({ ...each, bottom: each.bottom + SENTENCE })),
  });
  const text = chart.renderToSVGString();
  chart.dispose();
  return `${text}\n`;
}

/** A line for a bar, red where it is missed. */
export const target = (at: { readonly xAxis: number } | { readonly yAxis: number }, missed: boolean) => ({
  silent: true,
  symbol: 'none',
  label: { show: true, formatter: 'target', color: missed ? BAD : GOOD, fontSize: 11 },
  lineStyle: { color: missed ? BAD : GOOD, type: 'solid' as const, width: 2 },
  data: [at],
});
