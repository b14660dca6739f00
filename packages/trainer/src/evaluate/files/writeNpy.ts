import { closeSync, openSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { bytesOf, writeAll } from '../../checkpoint/safetensors.js';
import type { Features } from '../search/features.js';

/** Magic, format 1.0 and the length of the header. */
const PREFIX_BYTES = 10;
/** The data begin at a multiple of this, so that they can be mapped into memory. */
const ALIGNMENT = 64;

/**
 * Writes a matrix as numpy.save does: float32 [N, D], C order, format 1.0 (numpy.lib.format). `path` must be free.
 * @throws HyperArcError E_SHAPE unless the values fill whole rows.
 */
export function writeNpy(path: string, { valuesND, dim }: Features): void {
  const rows = valuesND.length / dim;
  if (!Number.isInteger(rows)) {
    throw new HyperArcError('E_SHAPE', `${path}: expected rows of ${dim} values, received ${valuesND.length} in all`);
  }
  const fields = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${dim}), }`;
  const bytes = Math.ceil((PREFIX_BYTES + fields.length + 1) / ALIGNMENT) * ALIGNMENT;
  const head = Buffer.alloc(bytes, ' ');
  head.write('\x93NUMPY\x01\x00', 'latin1');
  head.writeUInt16LE(bytes - PREFIX_BYTES, 8);
  head.write(fields, PREFIX_BYTES, 'latin1');
  head.write('\n', bytes - 1, 'latin1');
  const file = openSync(path, 'wx');
  try {
    writeAll(file, head);
    writeAll(file, bytesOf(valuesND));
  } finally {
    closeSync(file);
  }
}
