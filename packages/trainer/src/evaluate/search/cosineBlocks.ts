import { ClassCenters, type DeviceSpec } from '@hyperarc/kernels-cuda';
import { checkFiniteRows, checkSameDim, rowCount, type Features } from './features.js';
import { oneAhead } from './oneAhead.js';

/** Rows of the gallery, and probes, of one block: 4 MB of rows of 512 numbers, 8 MB of cosines. */
export const GALLERY_ROWS = 2048;
export const PROBE_ROWS = 1024;

export interface CosineOptions {
  /** 'auto' takes a GPU where the engine has one. Default 'auto'. */
  readonly device?: DeviceSpec;
  /** Called after each block of the gallery. */
  readonly onProgress?: (rowsDone: number, rows: number) => void;
}

/** Cosines of some probes to some consecutive rows of the gallery. */
export interface CosineBlock {
  readonly firstProbe: number;
  readonly probes: number;
  readonly firstRow: number;
  readonly rows: number;
  /** [probes, stride] row by row, of which the first `rows` columns count. */
  readonly cosines: Float32Array;
  readonly stride: number;
}

/**
 * Every cosine between probes and gallery, block by block: rows in ascending order, and for each block of rows the probes in ascending order.
 * The engine multiplies, on its own thread, one block ahead of the caller. Beside the inputs there are one block of rows and three of cosines, 28 MB
 * for D = 512, however large the gallery, and as many blocks of cosines as wait for the garbage collector (docs/template-protocols.md has a
 * measurement). A vector's cosine does not depend on where it stands, so equal rows have equal cosines. A zero vector has cosine 0.
 *
 * @param gallery [N, D] of any length
 * @param probes [M, D] of any length
 * @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE; E_NONFINITE naming the row; E_DEVICE, E_MEMORY from the engine.
 */
export async function* cosineBlocks(
  gallery: Features,
  probes: Features,
  options: CosineOptions = {},
): AsyncGenerator<CosineBlock> {
  const galleryRows = rowCount('gallery', gallery);
  const probeRows = rowCount('probes', probes);
  checkSameDim('gallery', gallery, 'probes', probes);
  const { dim } = gallery;
  checkFiniteRows('probes', probes.valuesND, dim);
  const stride = Math.min(GALLERY_ROWS, galleryRows);
  const probeBlocks = Math.ceil(probeRows / PROBE_ROWS);
  const count = Math.ceil(galleryRows / stride) * probeBlocks;
  const centers = ClassCenters.create({ classes: stride, dim, momentum: false, device: options.device ?? 'auto' });

  const compute = async (block: number): Promise<CosineBlock> => {
    const firstRow = Math.floor(block / probeBlocks) * stride;
    const firstProbe = (block % probeBlocks) * PROBE_ROWS;
    if (firstProbe === 0) {
      const rows = gallery.valuesND.subarray(firstRow * dim, (firstRow + stride) * dim);
      checkFiniteRows('gallery', rows, dim, firstRow);
      centers.writeRows(0, rows);
    }
    const chosen = probes.valuesND.subarray(firstProbe * dim, (firstProbe + PROBE_ROWS) * dim);
    const cosines = await centers.logitsAsync(chosen);
    const sizes = { probes: chosen.length / dim, rows: Math.min(stride, galleryRows - firstRow) };
    return { firstProbe, firstRow, ...sizes, cosines, stride };
  };
  try {
    let block = 0;
    for await (const done of oneAhead(count, compute)) {
      yield done;
      block += 1;
      if (block % probeBlocks === 0) options.onProgress?.(done.firstRow + done.rows, galleryRows);
    }
  } finally {
    centers.dispose();
  }
}
