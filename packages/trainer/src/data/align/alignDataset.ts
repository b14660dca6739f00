import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { checkNewOutput } from '../../outputs.js';
import { writeWholeFolder } from '../convert/wholeFolder.js';
import { alignRows, faceOptions, findFault, isMirrored, withoutExtension, type FaceOptions } from './alignRows.js';
import { readLandmarks, type BadRow, type LandmarkRow } from './landmarkFile.js';

export interface AlignOptions extends FaceOptions {
  /** Folder that the paths of the list are relative to; default: the list's own folder. */
  readonly root?: string;
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
  const { root = dirname(landmarks), skipBad = false, onProgress, onWarning = () => {}, signal } = options;
  const faces = faceOptions(options);
  checkNewOutput('to', to, 'a folder');
  if (statSync(landmarks, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new HyperArcError(
      'E_FORMAT',
      `${landmarks}: expected a list of landmarks, received a folder; a folder of photographs needs --detector MODEL.onnx`,
    );
  }

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
    if (isMirrored(sound.points)) mirrored++;
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
    const images = await alignRows(
      partial,
      {
        rows,
        root,
        leaveOut: ({ place }, reason) => leaveOut({ place, reason }),
        ...(onProgress && { onProgress }),
        ...(signal && { signal }),
      },
      faces,
    );
    if (images === 0)
      throw new HyperArcError('E_FORMAT', `${landmarks}: expected rows that can be used, received none`);
    return { images, skipped };
  });
}
