import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, extname, join } from 'node:path';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { LandmarkRow } from './landmarkFile.js';
import { arcFaceTemplate, similarityTransform, transformPoint, type Point } from './similarity.js';
import { decodeWhole, warpAffine } from './warp.js';

/** What aligned faces are written as. */
export interface FaceOptions {
  /** Pixels a side of the aligned faces; default 112. */
  readonly size?: number;
  /** `jpg` (quality 95, colours at full resolution; default) or `png` (lossless). */
  readonly format?: 'jpg' | 'png';
  /** Images in work at once; changes nothing but the speed. Default: the number of processors. */
  readonly jobs?: number;
}

/** Fills in the defaults. @throws HyperArcError E_RANGE for options out of range. */
export function faceOptions(options: FaceOptions): Required<FaceOptions> {
  const { size = 112, format = 'jpg', jobs = availableParallelism() } = options;
  if (!Number.isInteger(size) || size < 16 || size > 1024) {
    throw new HyperArcError(
      'E_RANGE',
      `size: expected a whole number of pixels from 16 to 1024, received ${size}; change --size`,
    );
  }
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > 256) {
    throw new HyperArcError(
      'E_RANGE',
      `jobs: expected a whole number from 1 to 256, received ${jobs}; leave --jobs out for the default`,
    );
  }
  if (format !== 'jpg' && format !== 'png')
    throw new HyperArcError('E_RANGE', `format: expected jpg or png, received ${String(format)}`);
  return { size, format, jobs };
}

export interface RowsToAlign {
  readonly rows: readonly LandmarkRow[];
  /** Folder that the rows' paths start from. */
  readonly root: string;
  /** Told of a row that cannot be used; what it throws ends the work. */
  readonly leaveOut: (row: LandmarkRow, reason: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Cuts each row's face out and writes it to `folder/PATH`, with the extension of the format.
 * @returns how many were written
 */
export async function alignRows(
  folder: string,
  { rows, root, leaveOut, onProgress, signal }: RowsToAlign,
  { size, format, jobs }: Required<FaceOptions>,
): Promise<number> {
  const template = arcFaceTemplate(size);
  let images = 0;
  let done = 0;
  await inParallel(rows, jobs, signal, async (row) => {
    try {
      const { path, points } = row;
      const image = await decodeWhole(join(root, path));
      const [x, y] = centreOf(points);
      if (x < 0 || y < 0 || x >= image.width || y >= image.height) {
        const received = `some round (${x.toFixed(0)}, ${y.toFixed(0)})`;
        throw new HyperArcError(
          'E_RANGE',
          `expected landmarks within the ${image.width}×${image.height} pixels of ${path}, received ${received}`,
        );
      }
      const pixels = warpAffine(image, similarityTransform(points, template), size);
      const picture = sharp(pixels, { raw: { width: size, height: size, channels: 3 } });
      const encoded = format === 'png' ? picture.png() : picture.jpeg({ quality: 95, chromaSubsampling: '4:4:4' });
      const target = join(folder, `${withoutExtension(path)}.${format}`);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, await encoded.toBuffer());
      images++;
    } catch (error) {
      if (!(error instanceof HyperArcError)) throw error;
      leaveOut(row, withoutCode(error));
    }
    onProgress?.(++done, rows.length);
  });
  return images;
}

/** Does `work` for each item, up to `jobs` at once. Once one has failed no other is begun; ends when all have. @throws the first failure. */
export async function inParallel<T>(
  items: readonly T[],
  jobs: number,
  signal: AbortSignal | undefined,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const waiting = items.entries();
  await Promise.all(
    Array.from({ length: Math.min(jobs, items.length) }, async () => {
      try {
        for (let next = waiting.next(); !next.done && failures.length === 0; next = waiting.next()) {
          signal?.throwIfAborted();
          await work(next.value[1], next.value[0]);
        }
      } catch (error) {
        failures.push(error);
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
}

/** An error's message as a reason within another. */
export const withoutCode = ({ message }: HyperArcError): string => message.replace(/^E_[A-Z]+: /, '');

export const withoutExtension = (path: string): string => path.slice(0, path.length - extname(path).length);

/** @param places where the paths of the rows before stand, without extensions. @returns what keeps a row from being used, as far as can be told without reading its image. */
export function findFault(
  { path, points }: LandmarkRow,
  root: string,
  places: ReadonlyMap<string, string>,
): string | undefined {
  const before = places.get(withoutExtension(path));
  if (before !== undefined)
    return `${path} is there a second time, first in ${before}; each face needs an image of its own`;
  if (statSync(join(root, path), { throwIfNoEntry: false })?.isFile() !== true) {
    return `expected an image at ${join(root, path)}, received none; --root names the folder that paths start from`;
  }
  const spread = Math.max(...points.flatMap(([x, y]) => [Math.abs(x - points[0]![0]), Math.abs(y - points[0]![1])]));
  return spread > 1 ? undefined : 'expected five landmarks in different places, received all within a pixel';
}

export const centreOf = (points: readonly Point[]): Point => [
  points.reduce((sum, [x]) => sum + x, 0) / points.length,
  points.reduce((sum, [, y]) => sum + y, 0) / points.length,
];

/** Landmarks that fit a face better with left and right exchanged. */
export const isMirrored = (points: readonly Point[]): boolean => misfit(mirror(points)) < misfit(points);

/** Sum of squared distances to the template after the best similarity, in template pixels. */
function misfit(points: readonly Point[]): number {
  const template = arcFaceTemplate();
  const matrix = similarityTransform(points, template);
  return points.reduce((sum, point, i) => {
    const [x, y] = transformPoint(matrix, point);
    return sum + (x - template[i]![0]) ** 2 + (y - template[i]![1]) ** 2;
  }, 0);
}

/** Left and right exchanged. */
const mirror = ([leftEye, rightEye, nose, left, right]: readonly Point[]): Point[] => [
  rightEye!,
  leftEye!,
  nose!,
  right!,
  left!,
];
