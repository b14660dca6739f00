import type { Verdict } from '../verdicts.js';
import type { HeadsRecord } from './report.js';

/** Bounds that the experiments are held to: docs/heads/experiments.md. */
const LEAST_TIGHTENING = 0.9;
const LEAST_PRECISION = 0.95;
const LEAST_RECALL = 0.95;
const LEAST_RANK_CORRELATION = 0.9;

/** What the experiments measured, without where and when. */
export type Measured = Pick<HeadsRecord, 'tighten' | 'labelNoise' | 'quality' | 'longTail'>;

/** What a run of the experiments says. */
export function headVerdicts({ tighten, labelNoise, quality, longTail }: Measured): Verdict[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  const within = (head: string, dim: number) =>
    tighten.find((row) => row.dim === dim && row.head.startsWith(head))!.intraClass;
  const ratios = [2, 3].flatMap((dim) =>
    ['cosface', 'arcface', 'combined'].map((head) => within(head, dim) / within('normface', dim)),
  );
  const drop = labelNoise.find(({ subCenters, maxAngleDegrees }) => subCenters > 1 && maxAngleDegrees === 60)!;
  const magface = quality.rows.find(({ head }) => head === 'magface')!;
  const [fixed, variant] = longTail;
  return [
    {
      question: `CosFace, ArcFace and the combined margin leave at most ${LEAST_TIGHTENING} of NormFace's angle within a class`,
      answer: ratios.map((ratio) => ratio.toFixed(2)).join(', '),
      passed: ratios.every((ratio) => ratio <= LEAST_TIGHTENING),
    },
    {
      question: `Sub-centres and the drop step reach ${percent(LEAST_PRECISION)} precision and ${percent(LEAST_RECALL)} recall at 60°`,
      answer: `${percent(drop.precision)} and ${percent(drop.recall)}`,
      passed: drop.precision >= LEAST_PRECISION && drop.recall >= LEAST_RECALL,
    },
    {
      question: `MagFace's norm follows sharpness within a picture: rank correlation of at least ${LEAST_RANK_CORRELATION}`,
      answer: magface.withinPicture.toFixed(3),
      passed: magface.withinPicture >= LEAST_RANK_CORRELATION,
    },
    {
      question: 'Class-variant margins beat a fixed one on the rarest third, at every seed',
      answer: variant!.tailBySeed
        .map((accuracy, seed) => `${percent(accuracy)} against ${percent(fixed!.tailBySeed[seed]!)}`)
        .join(', '),
      passed: variant!.tailBySeed.every((accuracy, seed) => accuracy > fixed!.tailBySeed[seed]!),
    },
  ];
}
