import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import type { AsyncBuffer, Compressors, FileMetaData } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** A page is decoded as a whole; a size above this is taken for damage. */
const MAX_PAGE_BYTES = 2 ** 30;
/** A row group is held in memory as a whole. */
const MAX_GROUP_BYTES = 4 * 2 ** 30;

/** Which rows of the file a row group has: [first, end). */
interface RowGroup {
  readonly first: number;
  readonly end: number;
}

/** Columns of a Parquet file, by name from the outermost: `image.bytes` is ['image', 'bytes']. */
export type ColumnPath = readonly string[];

/** Decompression that believes no size that a file claims. */
const guarded: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([name, decompress]) => [
    name,
    (input: Uint8Array, outputLength: number) => {
      if (outputLength > MAX_PAGE_BYTES) throw new Error(`a page of ${outputLength} bytes`);
      return decompress(input, outputLength);
    },
  ]),
);

/** A Parquet file, read a row group at a time. */
export class ParquetFile {
  private held: { group: RowGroup; column: string; values: readonly unknown[] } | undefined;

  private constructor(
    readonly path: string,
    private readonly file: AsyncBuffer,
    private readonly metadata: FileMetaData,
    private readonly groups: readonly RowGroup[],
  ) {}

  /** @throws HyperArcError E_FORMAT for a file that cannot be read or is not Parquet. */
  static async open(path: string): Promise<ParquetFile> {
    return refusing(path, async () => {
      const file = await asyncBufferFromFile(path);
      const metadata = await parquetMetadataAsync(file);
      const groups: RowGroup[] = [];
      for (const { num_rows, total_byte_size } of metadata.row_groups) {
        const first = groups.at(-1)?.end ?? 0;
        const rows = Number(num_rows);
        if (!Number.isSafeInteger(rows) || rows < 1 || total_byte_size > MAX_GROUP_BYTES) {
          throw new Error(`a row group of ${num_rows} rows and ${total_byte_size} bytes`);
        }
        groups.push({ first, end: first + rows });
      }
      return new ParquetFile(path, file, metadata, groups);
    });
  }

  get rows(): number {
    return this.groups.at(-1)?.end ?? 0;
  }

  /**
   * Every column that holds values, with its physical type.
   * @throws HyperArcError E_FORMAT for a damaged schema.
   */
  columns(): { path: ColumnPath; type: string }[] {
    const found: { path: ColumnPath; type: string }[] = [];
    const visit = ({ element, children, path }: ReturnType<typeof parquetSchema>): void => {
      if (path.some((name) => typeof name !== 'string')) refuse(this.path, 'a column without a name');
      if (children.length === 0 && path.length > 0 && element.type !== undefined) found.push({ path, type: element.type });
      for (const child of children) visit(child as ReturnType<typeof parquetSchema>);
    };
    let schema: ReturnType<typeof parquetSchema>;
    try {
      schema = parquetSchema(this.metadata);
    } catch (cause) {
      return refuse(this.path, (cause as Error).message, cause);
    }
    visit(schema);
    return found;
  }

  /** The values of a column, row after row: numbers, bigints, strings or null. */
  async *values(column: ColumnPath): AsyncGenerator<unknown> {
    for (const group of this.groups) yield* await this.read(group, column, true);
  }

  /** One value of a column of bytes; its row group stays in memory until another is asked for. */
  async bytesAt(column: ColumnPath, row: number): Promise<unknown> {
    const name = column.join('.');
    let { held } = this;
    if (held === undefined || held.column !== name || row < held.group.first || row >= held.group.end) {
      const group = this.groups.find(({ end }) => row < end)!;
      this.held = held = { group, column: name, values: await this.read(group, column, false) };
    }
    return held.values[row - held.group.first];
  }

  private async read({ first, end }: RowGroup, column: ColumnPath, utf8: boolean): Promise<unknown[]> {
    const { file, metadata, path } = this;
    const options = { file, metadata, columns: [column[0]!], rowStart: first, rowEnd: end, utf8, compressors: guarded };
    const rows = await refusing(path, () => parquetReadObjects(options));
    if (rows.length !== end - first) refuse(path, `${rows.length} rows instead of ${end - first}`);
    return rows.map((row) => column.reduce<unknown>((value, key) => (value as Record<string, unknown> | null)?.[key], row));
  }
}

/** What the library says of a file is our error about it. */
async function refusing<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    return refuse(path, (cause as Error).message, cause);
  }
}

function refuse(path: string, received: string, cause?: unknown): never {
  const fix = 'the file is damaged or no Parquet';
  throw new HyperArcError('E_FORMAT', `${path}: expected a readable Parquet file, received ${received}; ${fix}`, {
    cause,
  });
}
