import * as echarts from 'echarts';
import type { EChartsOption } from 'echarts';

import type { ModelEvaluation, SimilarityHistogram } from '../evaluate/index.js';
import type { TrainRecord } from '../metrics/jsonLines.js';
import { Html } from './html.js';
import { COLOR, FONT } from './style.js';

type Point = [number, number];

/** Draws a chart as SVG markup, with no script. Animation off: the SVG is its final state. */
function draw(option: EChartsOption, width: number, height: number): Html {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, textStyle: { fontFamily: FONT, color: COLOR.ink }, ...option });
    return new Html(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

const axisLook = {
  axisLine: { onZero: false, lineStyle: { color: COLOR.line } },
  axisTick: { lineStyle: { color: COLOR.line } },
  axisLabel: { color: COLOR.muted, fontSize: 12 },
  nameTextStyle: { color: COLOR.muted, fontSize: 12 },
  splitLine: { lineStyle: { color: COLOR.line } },
} as const;

const GRID = { left: 58, right: 20, top: 30, bottom: 44 } as const;

const xAxis = (name: string) => ({ ...axisLook, name, nameLocation: 'middle' as const, nameGap: 28 });
const yAxis = (name: string) => ({
  ...axisLook,
  name,
  nameLocation: 'end' as const,
  nameGap: 12,
  nameTextStyle: { ...axisLook.nameTextStyle, align: 'left' as const, padding: [0, 0, 0, -40] },
});

/** Means of at most `count` runs of neighbours, so that a long training stays a small file. */
export function thinPoints(points: readonly Point[], count: number): Point[] {
  if (points.length <= count) return [...points];
  return Array.from({ length: count }, (_, i) => {
    const run = points.slice(Math.floor((i * points.length) / count), Math.floor(((i + 1) * points.length) / count));
    const mean = (axis: 0 | 1) => run.reduce((sum, point) => sum + point[axis], 0) / run.length;
    return [mean(0), mean(1)];
  });
}

/** Exponential mean with its start bias taken out (Adam's correction); `span` is the number of points it looks back over. */
export function smooth(points: readonly Point[], span: number): Point[] {
  const keep = 1 - 2 / (span + 1);
  let mean = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    mean = keep * mean + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    return [x, mean / weight];
  });
}

const CURVE_POINTS = 600;

/** Loss of every logged step, faint, and its running mean. */
export function lossChart(records: readonly TrainRecord[]): Html {
  const points = thinPoints(
    records.map((record): Point => [record.step, record.loss]),
    CURVE_POINTS,
  );
  const line = { type: 'line' as const, showSymbol: false };
  return draw(
    {
      grid: GRID,
      xAxis: { type: 'value', max: 'dataMax', ...xAxis('step'), splitLine: { show: false } },
      yAxis: { type: 'value', scale: true, ...yAxis('loss') },
      series: [
        { ...line, name: 'loss', data: points, lineStyle: { width: 1, color: COLOR.series[0], opacity: 0.35 } },
        {
          ...line,
          name: 'running mean',
          data: smooth(points, Math.max(1, points.length / 15)),
          lineStyle: { width: 2.5, color: COLOR.series[0] },
        },
      ],
    },
    500,
    260,
  );
}

/** Running means of the losses of several runs, each in its colour ({@link modelColor}), over faint values as logged. */
export function lossesChart(runs: readonly (readonly TrainRecord[])[]): Html {
  const line = { type: 'line' as const, showSymbol: false };
  const series = runs.flatMap((records, i) => {
    const color = modelColor(i, runs.length);
    const points = thinPoints(
      records.map((record): Point => [record.step, record.loss]),
      CURVE_POINTS,
    );
    return [
      { ...line, data: points, lineStyle: { width: 1, color, opacity: 0.3 } },
      { ...line, data: smooth(points, Math.max(1, points.length / 15)), lineStyle: { width: 2.5, color } },
    ];
  });
  return draw(
    {
      grid: GRID,
      xAxis: { type: 'value', max: 'dataMax', ...xAxis('step'), splitLine: { show: false } },
      yAxis: { type: 'value', scale: true, ...yAxis('loss') },
      series,
    },
    760,
    340,
  );
}

/** One quantity of the metrics over the steps. */
export function stepChart(name: string, points: readonly Point[], symbols = false): Html {
  return draw(
    {
      grid: GRID,
      xAxis: { type: 'value', max: 'dataMax', ...xAxis('step'), splitLine: { show: false } },
      yAxis: { type: 'value', scale: true, ...yAxis(name) },
      series: [
        {
          type: 'line',
          name,
          data: thinPoints(points, CURVE_POINTS),
          showSymbol: symbols,
          symbol: 'circle',
          symbolSize: 7,
          lineStyle: { width: 2.5, color: COLOR.series[0] },
          itemStyle: { color: COLOR.series[0] },
        },
      ],
    },
    500,
    260,
  );
}

/** Colour of the i-th of `count` models: the last, which the report is about, is always the first colour. */
export const modelColor = (i: number, count: number): string => COLOR.series[(count - 1 - i) % COLOR.series.length]!;

/** TAR over FAR on a logarithmic axis from one false accept in all different pairs to 1; dashed: chance. */
export function rocChart(
  models: readonly ModelEvaluation[],
  colors: readonly string[] = models.map((_, i) => modelColor(i, models.length)),
): Html {
  const different = Math.max(...models.map((model) => model.differentPairs));
  const lowest = 10 ** Math.floor(Math.log10(1 / different));
  const chance = Array.from({ length: 61 }, (_, i): Point => {
    const far = lowest ** (1 - i / 60);
    return [far, far];
  });
  return draw(
    {
      grid: { ...GRID, right: 26 },
      xAxis: {
        type: 'log',
        min: lowest,
        max: 1,
        ...xAxis('false accept rate'),
        axisLabel: { ...axisLook.axisLabel, formatter: (far: number) => (far === 1 ? '1' : far.toExponential(0)) },
      },
      yAxis: { type: 'value', min: 0, max: 1, ...yAxis('true accept rate') },
      series: [
        {
          type: 'line',
          name: 'chance',
          data: chance,
          showSymbol: false,
          lineStyle: { width: 1, type: 'dashed', color: COLOR.muted },
        },
        ...models.map((model, i) => ({
          type: 'line' as const,
          name: model.name,
          step: 'end' as const,
          showSymbol: false,
          lineStyle: { width: i === models.length - 1 ? 3 : 2, color: colors[i]! },
          data: logCurve(model.roc, lowest),
        })),
      ],
    },
    760,
    400,
  );
}

/** The curve where FAR ≥ lowest. A FAR of zero has no place on the axis: its best TAR is what holds at the left edge. */
function logCurve(roc: ModelEvaluation['roc'], lowest: number): Point[] {
  const points = roc.far.map((far, i): Point => [Math.max(far, lowest), roc.tar[i]!]);
  const firstInside = roc.far.findIndex((far) => far > lowest);
  return points.slice(Math.max(0, firstInside - 1));
}

/** Share of the same and of the different pairs in each bin of similarity. */
export function histogramChart({ edges, same, different }: SimilarityHistogram): Html {
  const area = (name: string, counts: readonly number[], color: string) => {
    const total = counts.reduce((a, b) => a + b, 0);
    // A step line through the bins' left edges, closed at the right edge of the last.
    const shares = [...counts, counts.at(-1)!].map((count, i): Point => [edges[i]!, count / total]);
    return {
      type: 'line' as const,
      name,
      step: 'end' as const,
      showSymbol: false,
      lineStyle: { width: 1.5, color },
      areaStyle: { color, opacity: 0.3 },
      data: shares,
    };
  };
  return draw(
    {
      grid: GRID,
      xAxis: {
        type: 'value',
        min: edges[0]!,
        max: edges.at(-1)!,
        ...xAxis('cosine similarity'),
        splitLine: { show: false },
        axisLabel: {
          ...axisLook.axisLabel,
          showMinLabel: false,
          showMaxLabel: false,
          formatter: (similarity: number) => similarity.toFixed(2),
        },
      },
      yAxis: {
        type: 'value',
        ...yAxis('share of pairs'),
        axisLabel: { ...axisLook.axisLabel, formatter: (share: number) => `${Math.round(100 * share)}%` },
      },
      series: [area('different people', different, COLOR.different), area('same person', same, COLOR.same)],
    },
    340,
    240,
  );
}

/** A figure in [0, 1] at severities 0 (clean) to 5. */
export function severityChart(name: string, values: readonly number[], low: number): Html {
  return draw(
    {
      grid: GRID,
      xAxis: {
        type: 'value',
        min: 0,
        max: values.length - 1,
        interval: 1,
        ...xAxis('severity'),
        splitLine: { show: false },
      },
      yAxis: {
        type: 'value',
        min: low,
        max: 1,
        ...yAxis(name),
        axisLabel: { ...axisLook.axisLabel, formatter: (share: number) => `${Math.round(100 * share)}%` },
      },
      series: [
        {
          type: 'line',
          name,
          data: values.map((value, severity): Point => [severity, value]),
          symbol: 'circle',
          symbolSize: 7,
          lineStyle: { width: 2.5, color: COLOR.series[0] },
          itemStyle: { color: COLOR.series[0] },
        },
      ],
    },
    340,
    220,
  );
}
