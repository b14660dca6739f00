import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { Point } from '../align/similarity.js';
import type { Detection, Face } from './face.js';
import type { InputRule, InputSize } from './letterbox.js';
import type { OverlapRule } from './nms.js';

/** An output of a detector as a table: [rows, columns], or [1, rows, columns]. */
export interface OutputTable {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
}

/** The values of each output, row by row, by its name. */
export type OutputValues = ReadonlyMap<string, Float32Array>;

/** Candidates of one image in pixels of the input, before overlaps are suppressed. Scores below `minScore` are left out. */
export type Decode = (values: OutputValues, minScore: number) => Detection;

/** A family of detectors: what its input is made of, and what its outputs mean. */
export interface DetectorKind {
  readonly name: string;
  /** Its outputs, in words. */
  readonly outputs: string;
  readonly input: InputRule;
  readonly overlaps: OverlapRule;
  /** Reads outputs that are this kind's; undefined for others. @param size of the input */
  arrange(outputs: readonly OutputTable[], size: InputSize): Decode | undefined;
}

/** Places of a grid with a step of `stride` pixels. */
export function gridOf({ width, height }: InputSize, stride: number): { columns: number; places: number } {
  const columns = Math.ceil(width / stride);
  return { columns, places: columns * Math.ceil(height / stride) };
}

/** Takes tables by their sizes, each once, in the order of the outputs. */
export class TableSearch {
  private readonly waiting: OutputTable[];

  constructor(outputs: readonly OutputTable[]) {
    this.waiting = [...outputs];
  }

  /** The name of the first table of this size that was not taken yet. */
  take(rows: number, columns: number): string | undefined {
    const index = this.waiting.findIndex((table) => table.rows === rows && table.columns === columns);
    return index === -1 ? undefined : this.waiting.splice(index, 1)[0]!.name;
  }
}

/** How far above 1 or below 0 a probability may be rounded. */
const SCORE_SLACK = 1e-3;

/**
 * Reads candidates of `count` places.
 * @param scoreAt a place's score, in [0, 1]
 * @param faceAt reads one of those that reach `minScore`
 * @throws HyperArcError E_NONFINITE for a score or a face with NaN or Inf; E_RANGE for a score that is no probability.
 */
export function readCandidates(
  count: number,
  minScore: number,
  scoreAt: (index: number) => number,
  faceAt: (index: number, score: number) => Face,
): Detection {
  const faces: Face[] = [];
  let bestScore = 0;
  for (let index = 0; index < count; index++) {
    const score = scoreAt(index);
    if (!Number.isFinite(score)) throw notFinite(`a score of ${score}`);
    if (score < -SCORE_SLACK || score > 1 + SCORE_SLACK) {
      throw new HyperArcError(
        'E_RANGE',
        `detector: expected scores in [0, 1], received ${score}; export the model with its sigmoid or softmax`,
      );
    }
    bestScore = Math.max(bestScore, score);
    if (score < minScore) continue;
    const face = faceAt(index, Math.min(1, score));
    if (![...face.box, ...face.points.flat()].every(Number.isFinite)) throw notFinite('a face that is not');
    faces.push(face);
  }
  return { faces, bestScore: Math.min(1, bestScore) };
}

const notFinite = (received: string): HyperArcError =>
  new HyperArcError('E_NONFINITE', `detector: expected finite outputs, received ${received}; the model may be damaged`);

/** Five points, each `move`d, of ten numbers of a table. */
export function fivePoints(values: Float32Array, row: number, move: (x: number, y: number) => Point): Point[] {
  return Array.from({ length: 5 }, (_, i) => move(values[10 * row + 2 * i]!, values[10 * row + 2 * i + 1]!));
}
