import { readFileSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { MegaFaceEvaluation } from './evaluateMegaFace.js';

/**
 * Reads megaface.json; a file without `index` is from before there was one, and of exact search.
 * @throws HyperArcError E_FORMAT if the file is not one of this format.
 */
export function readMegaFace(path: string): MegaFaceEvaluation {
  let value: Partial<MegaFaceEvaluation> | null = null;
  try {
    value = JSON.parse(readFileSync(path, 'utf8')) as Partial<MegaFaceEvaluation> | null;
  } catch {
    // Answered below.
  }
  if (value?.format !== 'hyperarc-megaface-1' || !Array.isArray(value.identification)) {
    const fix = 'run hyperarc evaluate-megaface again';
    throw new HyperArcError('E_FORMAT', `${path}: expected a file of format hyperarc-megaface-1; ${fix}`);
  }
  return { index: null, ...value } as MegaFaceEvaluation;
}
