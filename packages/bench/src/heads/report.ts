import * as echarts from 'echarts';
import sharp from 'sharp';

import type { BenchEnvironment } from '../environment.js';
import type { LabelNoiseResult } from './label-noise.js';
import type { LongTailResult } from './long-tail.js';
import type { QualityResult } from './quality.js';
import type { TightenResult, TightenRow } from './tighten.js';
import { headVerdicts, type Measured } from './verdicts.js';

/** One run of the experiments: one line of heads.jsonl. */
export interface HeadsRecord {
  readonly format: 'hyperarc-bench-heads-1';
  readonly run: string;
  readonly backend: string;
  readonly environment: BenchEnvironment;
  readonly tighten: readonly TightenRow[];
  readonly labelNoise: readonly LabelNoiseResult[];
  readonly quality: QualityResult;
  readonly longTail: readonly LongTailResult[];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = header.map((_, c) => (c === 0 ? '---' : '---:'));
  return [header, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The experiments' tables as Markdown. */
export function formatHeads(record: Measured): string {
  const { tighten, labelNoise, quality, longTail } = record;
  return [
    'Held-out samples of the same identities:',
    '',
    table(
      ['head', 'D', 'within a class', 'to the nearest class', 'nearest mean is the own'],
      tighten.map(({ head, dim, intraClass, interClass, nearestMean }) => [
        head,
        String(dim),
        `${intraClass.toFixed(2)}°`,
        `${interClass.toFixed(1)}°`,
        percent(nearestMean),
      ]),
    ),
    '',
    `Sub-center ArcFace with ${percent(labelNoise[0]!.wrongLabels / labelNoise[0]!.samples)} wrong labels, then the drop step:`,
    '',
    table(
      ['K', 'kept within', 'dropped', 'precision', 'recall', 'noise left'],
      labelNoise.map(({ subCenters, maxAngleDegrees, dropped, precision, recall, noiseLeft }) => [
        String(subCenters),
        `${maxAngleDegrees}°`,
        String(dropped),
        percent(precision),
        percent(recall),
        percent(noiseLeft),
      ]),
    ),
    '',
    `Length of the embeddings of ${quality.pictures} held-out pictures, each blurred by ${quality.levels.join(', ')} pixels of 32:`,
    '',
    table(
      ['backbone', 'rank correlation with sharpness', 'within a picture', 'mean ‖x‖ by blur'],
      quality.rows.map(({ head, overall, withinPicture, meanNorms }) => [
        head,
        overall.toFixed(3),
        withinPicture.toFixed(3),
        meanNorms.map((norm) => norm.toFixed(1)).join(' · '),
      ]),
    ),
    '',
    `Long-tailed classes, accuracy by nearest class centre, mean of ${longTail[0]!.seeds} seeds:`,
    '',
    table(
      ['head', 'rarest third', 'most frequent third', 'rarest third, seed by seed'],
      longTail.map(({ head, tailAccuracy, bodyAccuracy, tailBySeed }) => [
        head,
        percent(tailAccuracy),
        percent(bodyAccuracy),
        tailBySeed.map(percent).join(' · '),
      ]),
    ),
    '',
    ...headVerdicts(record).map(({ question, answer, passed }) => `- ${passed ? 'yes' : 'NO'}: ${question}: ${answer}`),
  ].join('\n');
}

const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#555555', '#8c510a'];
const CELL = 230;
const COLUMNS = 4;

/** Held-out embeddings of two dimensions on the unit circle, a circle a head, a colour a class, with the mean angle within a class: SVG. */
export function plotCircles({ circles, rows }: TightenResult): string {
  const lines = Math.ceil(circles.length / COLUMNS);
  const chart = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: COLUMNS * CELL + 20,
    height: lines * (CELL + 34) + 10,
  });
  try {
    const place = (c: number) => ({ left: 20 + (c % COLUMNS) * CELL, top: 34 + Math.floor(c / COLUMNS) * (CELL + 34) });
    const axis = { type: 'value' as const, min: -1.15, max: 1.15, show: false };
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      title: circles.map(({ head }, c) => {
        const { intraClass } = rows.find((row) => row.dim === 2 && row.head === head)!;
        const { left, top } = place(c);
        return {
          text: `${head}: ${intraClass.toFixed(1)}°`,
          left,
          top: top - 28,
          textStyle: { fontSize: 12 },
        };
      }),
      grid: circles.map((_, c) => ({ ...place(c), width: CELL - 30, height: CELL - 30 })),
      xAxis: circles.map((_, c) => ({ ...axis, gridIndex: c })),
      yAxis: circles.map((_, c) => ({ ...axis, gridIndex: c })),
      series: circles.map(({ embeddings, labels }, c) => ({
        type: 'scatter' as const,
        xAxisIndex: c,
        yAxisIndex: c,
        symbolSize: 5,
        silent: true,
        emphasis: { disabled: true },
        data: embeddings.map(([x = 0, y = 0], n) => {
          // Rings of one class after the other: points that share a direction stay apart.
          const radius = (0.86 + (0.14 * (n % 9)) / 8) / Math.max(Math.hypot(x, y), 1e-12);
          return {
            value: [x * radius, y * radius],
            itemStyle: { color: COLORS[labels[n]! % COLORS.length]!, opacity: 0.7 },
          };
        }),
      })),
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** {@link plotCircles} as PNG: thousands of points are a small picture and a large document. */
export async function writeCircles(result: TightenResult, path: string): Promise<void> {
  await sharp(Buffer.from(plotCircles(result)))
    .png({ palette: true })
    .toFile(path);
}
