import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { readImageFile } from './decodeImage.js';
import type { ParquetFile } from './parquet/parquetFile.js';
import { PartFile } from './partFile.js';
import { decodeImageRecord } from './recordio/imageRecord.js';
import { RecordFile } from './recordio/recordFile.js';

/** Where the contents of an image file lie. Plain data: it goes to other threads. */
export type ImageLocation =
  | { readonly kind: 'file'; readonly path: string }
  /** A member of a tar file. */
  | {
      readonly kind: 'part';
      readonly path: string;
      readonly name: string;
      readonly offset: number;
      readonly bytes: number;
    }
  /** A RecordIO record with an image header. */
  | { readonly kind: 'record'; readonly path: string; readonly key: number; readonly offset: number }
  /** A row of a Parquet file. */
  | { readonly kind: 'row'; readonly path: string; readonly column: readonly string[]; readonly row: number };

export const fileLocation = (path: string): ImageLocation => ({ kind: 'file', path });

/** How errors call an image. */
export function nameOfLocation(location: ImageLocation): string {
  if (location.kind === 'file') return location.path;
  if (location.kind === 'row') return `${location.path}: row ${location.row}`;
  return `${location.path}: ${location.kind === 'part' ? location.name : `record ${location.key}`}`;
}

/** Files kept open by one reader: a dataset has few, or a thousand shards that are visited in turns. */
const MAX_OPEN = 32;

/** Reads images wherever they lie, keeping the files of many images open. */
export class LocationReader implements Disposable {
  private readonly open = new Map<string, OpenFile>();
  private table: ParquetFile | undefined;

  /** @throws HyperArcError E_FORMAT naming a file that cannot be read, or that ends before the image does. */
  async read(location: ImageLocation): Promise<Buffer> {
    if (location.kind === 'file') return readImageFile(location.path);
    if (location.kind === 'row') return this.readRow(location);
    const file = this.fileOf(location);
    if (location.kind === 'part') return readMember(file as PartFile, location);
    const { payload } = (file as RecordFile).readAt(location.offset);
    return decodeImageRecord(payload, nameOfLocation(location)).image;
  }

  [Symbol.dispose](): void {
    for (const file of this.open.values()) file[Symbol.dispose]();
    this.open.clear();
  }

  /** Loaded only for those who have such files. */
  private async readRow(location: ImageLocation & { kind: 'row' }): Promise<Buffer> {
    const { path, column, row } = location;
    if (this.table?.path !== path) {
      const { ParquetFile } = await import('./parquet/parquetFile.js');
      this.table = await ParquetFile.open(path);
    }
    const value = await this.table.bytesAt(column, row);
    if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const received = value === null || value === undefined ? 'none' : `a ${typeof value}`;
    throw new HyperArcError('E_FORMAT', `${nameOfLocation(location)}: expected the bytes of an image, received ${received}`);
  }

  private fileOf({ kind, path }: ImageLocation): OpenFile {
    const id = `${kind}:${path}`;
    const file = this.open.get(id) ?? (kind === 'record' ? new RecordFile(path) : new PartFile(path, 'file'));
    // The least recently used one comes first.
    this.open.delete(id);
    this.open.set(id, file);
    if (this.open.size > MAX_OPEN) {
      const [oldest, other] = this.open.entries().next().value!;
      other[Symbol.dispose]();
      this.open.delete(oldest);
    }
    return file;
  }
}

type OpenFile = RecordFile | PartFile;

function readMember(file: PartFile, { path, name, offset, bytes }: ImageLocation & { kind: 'part' }): Buffer {
  if (offset + bytes <= file.bytes) return file.read(offset, bytes);
  const fix = 'the file is cut short or another than was indexed';
  const received = `the end of the file; ${fix}`;
  throw new HyperArcError('E_FORMAT', `${path}: expected ${bytes} bytes of ${name}, received ${received}`);
}
