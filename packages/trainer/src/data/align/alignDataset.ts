import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, extname, join } from 'node:path';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { refuseExisting, writeWholeFolder } from '../convert/wholeFolder.js';
import { readLandmarks, type BadRow, type LandmarkRow } from './landmarkFile.js';
import { arcFaceTemplate, similarityTransform, transformPoint, type Point } from './similarity.js';
import { decodeWhole, warpAffine } from './warp.js';

export interface AlignOptions {
  /** Folder that the paths of the list are relative to; default: the list's own folder. */
  readonly root?: string;
  /** Pixels a side of the aligned faces; default 112. */
  readonly size?: number;
  /** `jpg` (quality 95, colours at full resolution; default) or `png` (lossless). */
  readonly format?: 'jpg' | 'png';
  /** Images in work at once; changes nothing but the speed. Default: the number of processors. */
  readonly jobs?: number;
  /** Leaves bad rows out instead of refusing the list. Default false. */
  readonly skipBad?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
  /** What is left out or looks wrong, in words. */
  readonly onWarning?: (message: string) => void;
  /** Ends the work with its reason; nothing is kept. */
  readonly signal?: AbortSignal;
}

export interface AlignResult {
  readonly images: number;
  /** Rows left out. */
  readonly skipped: number;
}

/** Bad rows that are named. */
const MAX_NAMED = 10;

/**
 * Cuts the faces of a list out of their images, turned, scaled and shifted so that their five landmarks are where ArcFace's data have them, and
 * writes them as `to/PATH` with the extension of the format. All is written to a folder beside `to` and renamed at the end.
 * @param landmarks The list: {@link readLandmarks}.
 * @throws HyperArcError E_RANGE for options out of range and if `to` is there already; E_FORMAT naming the first bad row: without fields, or
 * without an image, with landmarks in one place, or with an image a second time (all before anything is written), or with a damaged image or
 * landmarks beside it.
 */
export async function alignDataset(landmarks: string, to: string, options: AlignOptions = {}): Promise<AlignResult> {
  const {
    root = dirname(landmarks),
    size = 112,
    format = 'jpg',
    jobs = availableParallelism(),
    skipBad = false,
  } = options;
  const { onProgress, onWarning = () => {}, signal } = options;
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
  refuseExisting(to);

  let skipped = 0;
  const leaveOut = ({ place, reason }: BadRow) => {
    if (!skipBad) {
      throw new HyperArcError(
        'E_FORMAT',
        `${landmarks}: ${place}: ${reason}; mend the row, or leave such rows out with --skip-bad`,
      );
    }
    if (++skipped <= MAX_NAMED) onWarning(`${landmarks}: ${place} is left out: ${reason}`);
  };
  const rows: LandmarkRow[] = [];
  const places = new Map<string, string>();
  let mirrored = 0;
  for await (const row of readLandmarks(landmarks)) {
    signal?.throwIfAborted();
    const reason = 'reason' in row ? row.reason : findFault(row, root, places);
    if (reason !== undefined) {
      leaveOut({ place: row.place, reason });
      continue;
    }
    const sound = row as LandmarkRow;
    places.set(withoutExtension(sound.path), sound.place);
    rows.push(sound);
    if (misfit(mirror(sound.points)) < misfit(sound.points)) mirrored++;
  }
  if (rows.length === 0)
    throw new HyperArcError(
      'E_FORMAT',
      `${landmarks}: expected rows with landmarks, received none${skipBad ? ' that can be used' : ''}`,
    );
  if (mirrored > 0) {
    onWarning(
      `${landmarks}: the landmarks of ${mirrored} of ${rows.length} rows fit a face better with left and right exchanged; left is what one sees on the left`,
    );
  }

  return writeWholeFolder(to, async (partial) => {
    const template = arcFaceTemplate(size);
    let done = 0;
    let images = 0;
    let failure: unknown;
    const align = async ({ path, points, place }: LandmarkRow) => {
      try {
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
        const target = join(partial, `${withoutExtension(path)}.${format}`);
        mkdirSync(dirname(target), { recursive: true });
        writeFileSync(target, await encoded.toBuffer());
        images++;
      } catch (error) {
        if (!(error instanceof HyperArcError)) throw error;
        leaveOut({ place, reason: error.message.replace(/^E_[A-Z]+: /, '') });
      }
      onProgress?.(++done, rows.length);
    };
    const waiting = rows[Symbol.iterator]();
    await Promise.all(
      Array.from({ length: Math.min(jobs, rows.length) }, async () => {
        try {
          // The others stop too: none may write into the folder when it is removed.
          for (let next = waiting.next(); !next.done && failure === undefined; next = waiting.next()) {
            signal?.throwIfAborted();
            await align(next.value);
          }
        } catch (error) {
          failure ??= error;
        }
      }),
    );
    if (failure !== undefined) throw failure as Error;
    if (images === 0)
      throw new HyperArcError('E_FORMAT', `${landmarks}: expected rows that can be used, received none`);
    return { images, skipped };
  });
}

const withoutExtension = (path: string): string => path.slice(0, path.length - extname(path).length);

/** What keeps a row from being used, as far as can be told without reading its image. */
function findFault(
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

const centreOf = (points: readonly Point[]): Point => [
  points.reduce((sum, [x]) => sum + x, 0) / points.length,
  points.reduce((sum, [, y]) => sum + y, 0) / points.length,
];

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
