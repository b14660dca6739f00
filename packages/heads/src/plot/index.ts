/**
 * The picture that every margin paper draws, as SVG text: '@hyperarc/heads/plot'. Needs `echarts`, an optional peer dependency.
 */
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import * as echarts from 'echarts';
import type { EChartsOption } from 'echarts';
import type { Explanation } from '../explain/index.js';

type Point = [number, number];

/** Told apart by people of every kind of colour vision (Okabe and Ito), then again dashed. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#555555'];
const DASHES = ['solid', 'dashed', 'dotted'] as const;

const PANEL = { width: 340, height: 300, left: 60, gap: 70, top: 44 } as const;
const LEGEND_ROW = 24;
/** Lowest value shown: a few margins fall far deeper than all others. */
const FLOOR = -3;

interface Line {
  readonly name: string;
  readonly color: string;
  readonly dash: (typeof DASHES)[number];
  readonly explanation: Explanation;
  readonly index: number;
}

function linesOf(explanations: readonly Explanation[]): Line[] {
  return explanations.flatMap((explanation, e) =>
    explanation.curves.map(({ condition }, index) => ({
      name: condition === '' ? explanation.name : `${explanation.name}, ${condition}`,
      color: COLORS[e % COLORS.length]!,
      dash: DASHES[(index + Math.floor(e / COLORS.length)) % DASHES.length]!,
      explanation,
      index,
    })),
  );
}

const degrees = (radians: number): number => (radians * 180) / Math.PI;

interface Panel {
  readonly title: string;
  readonly x: string;
  readonly xMax: number;
  readonly yMax?: number;
  readonly points: (line: Line) => Point[];
}

const alongAngles = ({ explanation }: Line, values: Float64Array): Point[] =>
  Array.from(explanation.angles, (angle, p): Point => [degrees(angle), values[p]!]);

const PANELS: readonly Panel[] = [
  {
    title: 'target logit / s',
    x: 'θ to the own centre, degrees',
    xMax: 180,
    points: (line) => alongAngles(line, line.explanation.curves[line.index]!.logits),
  },
  {
    title: 'gradient −dT/dθ / s',
    x: 'θ to the own centre, degrees',
    xMax: 180,
    points: (line) => alongAngles(line, line.explanation.curves[line.index]!.slopes),
  },
  {
    title: 'two classes: boundary θ2, degrees',
    x: 'θ1, degrees',
    xMax: 120,
    yMax: 120,
    points: (line) =>
      alongAngles(line, line.explanation.boundaries[line.index]!.map(degrees)).filter(
        ([x, y]) => x <= 120 && !(y > 120),
      ),
  },
];

/**
 * echarts numbers its ids through the process's life. Numbered by plot, the same plot is the same text, and two plots can share a page.
 */
function withStableIds(svg: string, lines: readonly Line[]): string {
  const plot = lines.map(({ name }) => name.replace(/[^a-z0-9]+/gi, '-')).join('_');
  const stable = new Map<string, string>();
  return svg.replace(/\bzr\d+-[a-z]+-?\d+/g, (id) => {
    const known = stable.get(id) ?? `${plot}-${stable.size}`;
    stable.set(id, known);
    return known;
  });
}

/**
 * Target logit, gradient and decision boundary of several heads, overlaid: one SVG document. Above its boundary a sample counts as
 * class 1; the dotted diagonal is the boundary without a margin.
 * @throws HyperArcError E_RANGE for none.
 */
export function plotHeads(explanations: readonly Explanation[]): string {
  if (explanations.length === 0) {
    throw new HyperArcError(
      'E_RANGE',
      'explanations: expected at least one, received none; give what explain(spec) gives',
    );
  }
  const lines = linesOf(explanations);
  const rows = Math.ceil(lines.length / 4);
  const width = PANELS.length * (PANEL.width + PANEL.gap) + 20;
  const height = PANEL.top + PANEL.height + 60 + rows * LEGEND_ROW;
  const left = (panel: number) => PANEL.left + panel * (PANEL.width + PANEL.gap);
  const axis = { axisLine: { onZero: false }, splitLine: { lineStyle: { color: '#e6e6e6' } } } as const;
  const diagonal = {
    type: 'line' as const,
    data: [
      [0, 0],
      [120, 120],
    ],
    xAxisIndex: PANELS.length - 1,
    yAxisIndex: PANELS.length - 1,
    symbol: 'none',
    silent: true,
    lineStyle: { color: '#999999', type: 'dotted' as const, width: 1.5 },
  };
  const option: EChartsOption = {
    animation: false,
    backgroundColor: '#ffffff',
    title: PANELS.map(({ title }, p) => ({ text: title, left: left(p), top: 8, textStyle: { fontSize: 14 } })),
    legend: {
      data: lines.map(({ name }) => name),
      left: PANEL.left,
      right: 20,
      top: PANEL.top + PANEL.height + 50,
      itemWidth: 34,
      itemHeight: 0,
      itemGap: 30,
    },
    grid: PANELS.map((_, p) => ({ left: left(p), top: PANEL.top, width: PANEL.width, height: PANEL.height })),
    xAxis: PANELS.map(({ x, xMax }, p) => ({
      ...axis,
      gridIndex: p,
      type: 'value',
      min: 0,
      max: xMax,
      interval: 30,
      name: x,
      nameLocation: 'middle',
      nameGap: 26,
    })),
    yAxis: PANELS.map(({ yMax }, p) => ({
      ...axis,
      gridIndex: p,
      type: 'value',
      // Halves, past the rounding of sines near π.
      min: ({ min }: { min: number }) => Math.max(FLOOR, Math.floor(2 * min + 1e-9) / 2),
      ...(yMax !== undefined && { min: 0, max: yMax, interval: 30 }),
    })),
    series: [
      ...PANELS.flatMap(({ points }, p) =>
        lines.map((line) => ({
          type: 'line' as const,
          name: line.name,
          data: points(line),
          xAxisIndex: p,
          yAxisIndex: p,
          symbol: 'none',
          lineStyle: { width: 2.5, type: line.dash, color: line.color },
          itemStyle: { color: line.color },
        })),
      ),
      diagonal,
    ],
  };
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption(option);
    return withStableIds(chart.renderToSVGString(), lines);
  } finally {
    chart.dispose();
  }
}
