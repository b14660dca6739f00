import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { writeWholeFolder } from '../convert/wholeFolder.js';
import { alignRows, faceOptions, isMirrored, type FaceOptions } from '../align/alignRows.js';
import { makeFolder, writeAtomically } from '../../files.js';
import { checkNewOutput } from '../../outputs.js';
import { checkFaceRule, type FaceRule } from './face.js';
import { detectPhotos, type FoundFace, type FoundFaces } from './detectPhotos.js';
import { checkMinScore, FaceDetector } from './faceDetector.js';
import { listPhotos } from './photoFolder.js';

export interface AlignPhotosOptions extends FaceOptions {
  /** The detector's ONNX file. */
  readonly detector: string;
  /** `scrfd`, `yunet` or `retinaface`; default: told by the model's outputs. */
  readonly detectorKind?: string;
  /** Pixels a side of the detector's input where the model leaves it open; default 640. */
  readonly detectorSize?: number;
  /** The least score of a face, in (0, 1]; default 0.5. */
  readonly minScore?: number;
  /** Which of several faces is taken; default `largest`. */
  readonly face?: FaceRule;
  /** A file that is not there yet, ending in `.jsonl`, for the landmarks found: a list that `alignDataset` reads. */
  readonly saveLandmarks?: string;
  /** Leaves damaged photographs out instead of refusing the folder. Default false. */
  readonly skipBad?: boolean;
  readonly onProgress?: (done: number, total: number, stage: 'detecting' | 'aligning') => void;
  /** What is left out or looks wrong, in words. */
  readonly onWarning?: (message: string) => void;
  /** Told once, when the model is open: `scrfd of 640×640 pixels by onnxruntime-node 1.22.0`. */
  readonly onDetector?: (description: string) => void;
  /** Ends the work with its reason; nothing is kept. */
  readonly signal?: AbortSignal;
}

export interface AlignPhotosResult {
  readonly photos: number;
  /** Faces written. */
  readonly images: number;
  readonly withoutFace: number;
  /** Photographs of more than one face. */
  readonly severalFaces: number;
  /** Damaged photographs, left out. */
  readonly skipped: number;
}

/** What was done with every photograph, beside the faces. */
const REPORT = 'detection.json';
/** Photographs that are named in warnings, of each kind. */
const MAX_NAMED = 10;

/**
 * Finds the face of every photograph below a folder with a detector of the user's, and writes it aligned as {@link alignDataset} does, as `to/PATH`
 * with the extension of the format; `to/detection.json` says what it was found with and lists the photographs that have none. All is written to a folder
 * beside `to` and renamed at the end.
 * @throws HyperArcError E_RANGE for options out of range, and if `to` or `saveLandmarks` is there already; E_FORMAT for a folder without photographs,
 *   a model that is no detector, a damaged photograph, or if no photograph has a face; E_DEVICE without an onnxruntime; E_NONFINITE for a model that
 *   answers NaN.
 */
export async function alignPhotos(root: string, to: string, options: AlignPhotosOptions): Promise<AlignPhotosResult> {
  const { detector: model, minScore = 0.5, face = 'largest', saveLandmarks, skipBad = false, signal } = options;
  const { onProgress = () => {}, onWarning = () => {}, onDetector = () => {} } = options;
  const faces = faceOptions(options);
  checkMinScore(minScore);
  checkFaceRule(face);
  checkNewOutput('to', to, 'a folder');
  if (saveLandmarks !== undefined) checkNewList(saveLandmarks);
  const { photos, ignored } = listPhotos(root);

  const detector = await FaceDetector.open(model, {
    onWarning,
    ...(options.detectorKind !== undefined && { kind: options.detectorKind }),
    ...(options.detectorSize !== undefined && { size: options.detectorSize }),
  });
  let result: FoundFaces;
  let skipped = 0;
  try {
    onDetector(`${detector.kind} of ${detector.size.width}×${detector.size.height} pixels by ${detector.by}`);
    result = await detectPhotos(detector, root, photos, {
      minScore,
      face,
      jobs: faces.jobs,
      onDamaged: ({ reason }) => {
        if (!skipBad) {
          throw new HyperArcError('E_FORMAT', `${reason}, or leave such photographs out with --skip-bad`);
        }
        if (++skipped <= MAX_NAMED) onWarning(`left out: ${reason}`);
      },
      onProgress: (done, total) => onProgress(done, total, 'detecting'),
      ...(signal && { signal }),
    });
  } finally {
    await detector.close();
  }
  const { found, withoutFace, damaged } = result;
  for (const { path, bestScore } of withoutFace.slice(0, MAX_NAMED)) {
    onWarning(`${join(root, path)}: no face; the best score is ${bestScore}, of at least ${minScore}`);
  }
  if (withoutFace.length > MAX_NAMED) onWarning(`and ${withoutFace.length - MAX_NAMED} more without a face`);
  if (ignored.length > 0)
    onWarning(`${root}: ${ignored.length} entries are no JPEG, PNG or WebP and are ignored: ${someOf(ignored)}`);
  if (found.length === 0) {
    const best = Math.max(0, ...withoutFace.map(({ bestScore }) => bestScore));
    throw new HyperArcError(
      'E_FORMAT',
      `${root}: expected photographs with faces, received ${photos.length} without (the best score is ${best}, of at least ${minScore}); look at them, or change --min-score or --detector-size`,
    );
  }
  const mirrored = found.filter(({ points }) => isMirrored(points)).length;
  if (2 * mirrored > found.length) {
    onWarning(
      `${model}: the landmarks of ${mirrored} of ${found.length} faces fit a face better with left and right exchanged; is it a model of another kind?`,
    );
  }
  if (saveLandmarks !== undefined) {
    makeFolder(dirname(saveLandmarks));
    writeAtomically(saveLandmarks, landmarkList(found));
  }

  return writeWholeFolder(to, async (partial) => {
    const images = await alignRows(
      partial,
      {
        rows: found,
        root,
        // Every one was read a moment ago.
        leaveOut: ({ path }, reason) => {
          throw new HyperArcError(
            'E_FORMAT',
            `${path}: expected the photograph that a face was found in, received another (${reason})`,
          );
        },
        onProgress: (done, total) => onProgress(done, total, 'aligning'),
        ...(signal && { signal }),
      },
      faces,
    );
    const severalFaces = found.filter((each) => each.faces > 1).length;
    const report = {
      detector: { model: detector.model, kind: detector.kind, inputSize: detector.size, by: detector.by },
      minScore,
      face,
      photographs: photos.length,
      aligned: images,
      severalFaces,
      withoutFace,
      damaged,
      ignored,
    };
    await writeFile(join(partial, REPORT), `${JSON.stringify(report, null, 2)}\n`);
    return { photos: photos.length, images, withoutFace: withoutFace.length, severalFaces, skipped };
  });
}

function checkNewList(path: string): void {
  if (!path.endsWith('.jsonl')) {
    throw new HyperArcError(
      'E_RANGE',
      `saveLandmarks: expected a new file ending in .jsonl, received ${path}, with another ending; name it .jsonl`,
    );
  }
  checkNewOutput('saveLandmarks', path, 'a file');
}

/** A line a face, in InsightFace's names. */
const landmarkList = (found: readonly FoundFace[]): string =>
  found
    .map(({ path, points, score, box, faces }) => `${JSON.stringify({ path, kps: points, score, bbox: box, faces })}\n`)
    .join('');

const someOf = (names: readonly string[]): string => names.slice(0, 3).join(', ') + (names.length > 3 ? ', …' : '');
