import * as echarts from 'echarts';

import type { CaseRecord } from './records.js';

const COLORS = ['#2166c4', '#c8600a', '#1b7f5c', '#7d4bb3', '#7d8794'];

/** Of one run: median time of a step over C, both logarithmic, a line for each program. Full softmax, K = 1, best instruction set, without the heads' own cases. */
export function plotRun(records: readonly CaseRecord[]): string {
  const series = new Map<string, [number, number][]>();
  for (const { program, axes, elapsedMs } of records) {
    const plain = axes.K === 1 && axes.rate === 1 && axes.instructionSet === 'auto' && axes.head === undefined;
    if (elapsedMs === undefined || program === 'calls' || program === 'sgemm' || !plain) continue;
    const name = axes.backend === undefined ? program : `${program} (${axes.backend})`;
    series.set(name, [...(series.get(name) ?? []), [axes.C, elapsedMs.p50]]);
  }
  if (series.size === 0) throw new Error('plot: expected a run with steps of the head; name one with --run');
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 720, height: 440 });
  try {
    const { B, D } = records[0]!.axes;
    const axis = { type: 'log' as const, axisLabel: { formatter: (value: number) => value.toExponential(0) } };
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      color: COLORS,
      title: {
        text: `Head step (loss, dX, dW, update), B = ${B}, D = ${D}`,
        left: 'center',
        textStyle: { fontSize: 15 },
      },
      legend: { itemGap: 28, top: 36 },
      grid: { left: 70, right: 30, top: 84, bottom: 55 },
      xAxis: { ...axis, name: 'classes C', nameLocation: 'middle', nameGap: 30 },
      yAxis: { ...axis, name: 'median ms' },
      series: [...series].map(([name, data]) => ({
        type: 'line',
        name,
        symbol: 'circle',
        symbolSize: 9,
        lineStyle: { width: 2.5 },
        data: data.sort((a, b) => a[0] - b[0]),
      })),
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
