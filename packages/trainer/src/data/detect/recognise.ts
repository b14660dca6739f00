import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { Decode, DetectorKind, OutputTable } from './detectorKind.js';
import type { InputSize } from './letterbox.js';
import { retinaface } from './retinaface.js';
import { isScrfdWithoutPoints, scrfd } from './scrfd.js';
import { yunet } from './yunet.js';

export const DETECTOR_KINDS: readonly DetectorKind[] = [scrfd, yunet, retinaface];
export const DETECTOR_NAMES: readonly string[] = DETECTOR_KINDS.map(({ name }) => name);

/** An output as it came, of any shape. */
export interface ReceivedOutput {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Outputs that are named in an error. */
const MAX_NAMED = 12;

/**
 * Tells the kind of a detector by the sizes of what it answered. Sizes that the file states are not looked at: exports with an open input often state
 * those of one size.
 * @param insisted the only kind that is tried
 * @throws HyperArcError E_FORMAT with the outputs found if they are no kind's, E_RANGE for a kind that there is not.
 */
export function recogniseDetector(
  model: string,
  outputs: readonly ReceivedOutput[],
  size: InputSize,
  insisted?: string,
): { kind: DetectorKind; decode: Decode } {
  const kinds = insisted === undefined ? DETECTOR_KINDS : DETECTOR_KINDS.filter(({ name }) => name === insisted);
  if (kinds.length === 0) {
    throw new HyperArcError(
      'E_RANGE',
      `detectorKind: expected ${DETECTOR_NAMES.join(', ')}, received ${insisted}; leave it out to have it recognised`,
    );
  }
  const tables = outputs.map(tableOf);
  if (tables.every((table) => table !== undefined)) {
    for (const kind of kinds) {
      const decode = kind.arrange(tables, size);
      if (decode !== undefined) return { kind, decode };
    }
    if (isScrfdWithoutPoints(tables, size)) {
      throw new HyperArcError(
        'E_FORMAT',
        `${model}: expected a detector with five key points, received a SCRFD without; take one with them, such as det_10g.onnx or scrfd_2.5g_bnkps.onnx`,
      );
    }
  }
  const expected = kinds.map(({ name, outputs: words }) => `${name}: ${words}`).join('; ');
  const named = outputs.slice(0, MAX_NAMED).map(({ name, dims }) => `${name} [${dims.join(', ')}]`);
  if (outputs.length > MAX_NAMED) named.push('…');
  throw new HyperArcError(
    'E_FORMAT',
    `${model}: expected the outputs of a face detector (${expected}), received ${outputs.length} for an input of ${size.width}×${size.height}: ${named.join(', ')}; ` +
      `take a model of these, or align by a list of landmarks`,
  );
}

function tableOf({ name, dims }: ReceivedOutput): OutputTable | undefined {
  const [rows, columns] = dims.length === 3 && dims[0] === 1 ? dims.slice(1) : dims.length === 2 ? dims : [];
  return rows === undefined || columns === undefined ? undefined : { name, rows, columns };
}
