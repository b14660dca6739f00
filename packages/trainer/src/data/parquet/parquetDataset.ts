import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from '../dataset.js';
import { sortedIdentities } from '../labelNames.js';
import type { ImageLocation } from '../location.js';
import { ParquetFile, type ColumnPath } from './parquetFile.js';

const IMAGE_NAMES: readonly string[] = ['image', 'img', 'jpg', 'jpeg', 'png', 'webp', 'image_bytes', 'bytes', 'face'];
const LABEL_NAMES: readonly string[] = ['label', 'labels', 'identity', 'identity_id', 'class', 'cls', 'person', 'id'];

/**
 * Opens a Parquet file with a column of encoded images (`image`, bytes, or as Hugging Face's datasets have it a group with `bytes`) and one of labels
 * (`label`, `identity`, …: whole numbers or names). A row's images can be read quickly only in the order of the rows.
 * @throws HyperArcError E_FORMAT naming what is missing, or the row of a label that is none.
 */
export async function openParquet(path: string): Promise<ImageDataset> {
  const file = await ParquetFile.open(path);
  const columns = file.columns();
  const image = find(columns, IMAGE_NAMES, ({ path: [, child, ...rest], type }) => {
    return type === 'BYTE_ARRAY' && rest.length === 0 && (child === undefined || child === 'bytes');
  });
  const label = find(columns, LABEL_NAMES, ({ path: [, ...rest], type }) => {
    return rest.length === 0 && ['INT32', 'INT64', 'BYTE_ARRAY'].includes(type);
  });
  if (image === undefined || label === undefined) {
    const expected = image === undefined ? `a column of images (${IMAGE_NAMES.join(', ')}; or a group of that name with bytes)` : `a column of labels (${LABEL_NAMES.join(', ')})`;
    const received = columns.map((column) => column.path.join('.')).join(', ');
    throw new HyperArcError('E_FORMAT', `${path}: expected ${expected}, received the columns ${received}; rename one`);
  }
  const names: string[] = [];
  for await (const value of file.values(label)) {
    const isNumber = typeof value === 'bigint' || Number.isSafeInteger(value);
    const isFine = isNumber ? (value as number) >= 0 : typeof value === 'string' && /^[^/\\\p{Cc}]+$/u.test(value);
    if (!isFine) {
      const expected = 'a whole number ≥ 0 or a name as label';
      throw new HyperArcError('E_FORMAT', `${path}: row ${names.length}: expected ${expected}, received ${String(value)}`);
    }
    names.push(String(value));
  }
  if (names.length === 0) throw new HyperArcError('E_FORMAT', `${path}: expected images, received none`);
  const identities = sortedIdentities(names);
  const ranks = new Map(identities.map((name, rank) => [name, rank]));
  const locate = (row: number): ImageLocation => ({ kind: 'row', path, column: image, row });
  return {
    root: path,
    identities,
    labels: Int32Array.from(names, (name) => ranks.get(name)!),
    nameOf: (row) => String(row).padStart(9, '0'),
    locate,
    locateName: (name) => {
      const row = /^\d{9,15}$/.test(name) ? Number(name) : NaN;
      if (row < names.length) return locate(row);
      throw new HyperArcError('E_RANGE', `${path}: expected the number of a row below ${names.length}, received ${name}`);
    },
  };
}

/** The first column that fits, in the order of the names. */
function find(
  columns: readonly { path: ColumnPath; type: string }[],
  names: readonly string[],
  fits: (column: { path: ColumnPath; type: string }) => boolean,
): ColumnPath | undefined {
  for (const name of names) {
    const column = columns.find((column) => column.path[0]!.toLowerCase() === name && fits(column));
    if (column !== undefined) return column.path;
  }
  return undefined;
}
