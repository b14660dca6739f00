import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { inParallel, withoutCode } from '../align/alignRows.js';
import type { LandmarkRow } from '../align/landmarkFile.js';
import type { Point } from '../align/similarity.js';
import { decodeWhole, type RgbImage } from '../align/warp.js';
import { chooseFace, isUsable } from './chooseFace.js';
import type { Box, Detection, FaceRule } from './face.js';

/** The face that was taken of a photograph. */
export interface FoundFace extends LandmarkRow {
  readonly score: number;
  readonly box: Box;
  /** How many faces the photograph has. */
  readonly faces: number;
}

export interface PhotoWithoutFace {
  readonly path: string;
  /** The highest score of any place. */
  readonly bestScore: number;
}

export interface DamagedPhoto {
  readonly path: string;
  readonly reason: string;
}

/** What was found in a folder of photographs, each list in the order of the photographs. */
export interface FoundFaces {
  readonly found: readonly FoundFace[];
  readonly withoutFace: readonly PhotoWithoutFace[];
  readonly damaged: readonly DamagedPhoto[];
}

export interface DetectPhotosOptions {
  readonly minScore: number;
  readonly face: FaceRule;
  readonly jobs: number;
  /** Told of a photograph that cannot be read; what it throws ends the work. */
  readonly onDamaged: (photo: DamagedPhoto) => void;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What finds faces; a {@link FaceDetector}. */
interface Detector {
  detect(image: RgbImage, minScore: number): Promise<Detection>;
}

/** Thousandths of a pixel, so that landmarks saved in a list and those in memory are the same numbers. */
const rounded = (value: number, places = 1e3): number => Math.round(value * places) / places;

/** Finds a face in each photograph. A failure of the detector ends the work: it would fail with the next one too. */
export async function detectPhotos(
  detector: Detector,
  root: string,
  photos: readonly string[],
  { minScore, face: rule, jobs, onDamaged, onProgress, signal }: DetectPhotosOptions,
): Promise<FoundFaces> {
  const found: (FoundFace | undefined)[] = [];
  const withoutFace: (PhotoWithoutFace | undefined)[] = [];
  const damaged: (DamagedPhoto | undefined)[] = [];
  let done = 0;
  const detect = async (path: string, index: number): Promise<void> => {
    let image: RgbImage;
    try {
      image = await decodeWhole(join(root, path));
    } catch (error) {
      if (!(error instanceof HyperArcError)) throw error;
      damaged[index] = { path, reason: withoutCode(error) };
      onDamaged(damaged[index]);
      return;
    }
    const { faces, bestScore } = await detector.detect(image, minScore);
    const [first, ...others] = faces.filter((each) => isUsable(each, image));
    if (first === undefined) {
      withoutFace[index] = { path, bestScore: rounded(bestScore, 1e4) };
      return;
    }
    const { score, box, points } = chooseFace([first, ...others], rule, image);
    found[index] = {
      place: path,
      path,
      points: points.map(([x, y]): Point => [rounded(x), rounded(y)]),
      score: rounded(score, 1e4),
      box: box.map((value) => rounded(value)) as unknown as Box,
      faces: 1 + others.length,
    };
  };
  await inParallel(photos, jobs, signal, async (path, index) => {
    await detect(path, index);
    onProgress?.(++done, photos.length);
  });
  const present = <T>(items: readonly (T | undefined)[]): T[] => items.filter((item) => item !== undefined) as T[];
  return { found: present(found), withoutFace: present(withoutFace), damaged: present(damaged) };
}
