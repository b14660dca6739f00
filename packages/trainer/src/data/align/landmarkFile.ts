import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { Point } from './similarity.js';

/** Five landmarks of one face. */
export interface LandmarkRow {
  /** Where it stands, for messages: `line 12`, or `entry 12` of a JSON array. */
  readonly place: string;
  /** As in the file, with `/`; `.jpg` is added to a name without an extension. */
  readonly path: string;
  /** Left eye, right eye, nose, left and right corner of the mouth as one sees them, in pixels of the image. */
  readonly points: readonly Point[];
}

export interface BadRow {
  readonly place: string;
  readonly reason: string;
}

const COORDINATES = ['x1', 'y1', 'x2', 'y2', 'x3', 'y3', 'x4', 'y4', 'x5', 'y5'];
/** Names of the same columns: ours, VGGFace2's, CelebA's. */
const COLUMN_NAMES = [
  COORDINATES,
  COORDINATES.map((name) => `p${name[1]}${name[0]}`),
  ['lefteye', 'righteye', 'nose', 'leftmouth', 'rightmouth'].flatMap((name) => [`${name}_x`, `${name}_y`]),
];
const PATH_NAMES = ['path', 'image', 'image_id', 'file', 'filename', 'name', 'name_id'];

/**
 * Reads a list of faces with five landmarks each, a row at a time:
 *  - text: `path x1 y1 … x5 y5` between commas, tabs or spaces (one of them in the whole file, as its first line has it), and a score that is not
 *    looked at as IJB's lists have it; or a first line that names the columns, in any order and beside others;
 *  - `.jsonl`: an object a line with `path` and `kps` (five [x, y], InsightFace's name); `.json`: an array of such objects.
 * @throws HyperArcError E_FORMAT for a file that cannot be read, or a first line that names other columns.
 */
export async function* readLandmarks(file: string): AsyncGenerator<LandmarkRow | BadRow> {
  try {
    if (file.endsWith('.json')) yield* jsonRows(file);
    else if (file.endsWith('.jsonl')) yield* jsonLines(file);
    else yield* textRows(file);
  } catch (cause) {
    if (cause instanceof HyperArcError) throw cause;
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new HyperArcError(
      'E_FORMAT',
      `${file}: expected a readable list of landmarks, received ${reason}; check the path`,
      { cause },
    );
  }
}

async function* lines(file: string): AsyncGenerator<{ line: string; place: string }> {
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity })) {
    number++;
    if (line.trim() !== '') yield { line: number === 1 ? line.replace(/^\uFEFF/, '') : line, place: `line ${number}` };
  }
}

async function* textRows(file: string): AsyncGenerator<LandmarkRow | BadRow> {
  let separator: string | undefined;
  let columns: { path: number; coordinates: readonly number[]; count: number } | undefined;
  let isFirst = true;
  for await (const { line, place } of lines(file)) {
    // CelebA's list begins with the number of its rows.
    if (isFirst && separator === undefined && /^\s*\d+\s*$/.test(line)) continue;
    separator ??= ['\t', ','].find((mark) => line.includes(mark)) ?? ' ';
    const fields = splitFields(line, separator);
    if (isFirst) {
      isFirst = false;
      if (fields.length > 1 && fields.slice(1).every((field) => numberOf(field) === undefined)) {
        columns = columnsOf(fields, file, place);
        continue;
      }
    }
    if (columns === undefined ? fields.length !== 11 && fields.length !== 12 : fields.length !== columns.count) {
      const expected =
        columns === undefined
          ? 'a path, ten coordinates and maybe a score'
          : `${columns.count} fields as in the first line`;
      yield { place, reason: `expected ${expected}, received ${fields.length} fields` };
      continue;
    }
    const { path, coordinates } = columns ?? { path: 0, coordinates: COORDINATES.map((_, i) => i + 1) };
    const numbers = coordinates.map((column) => numberOf(fields[column]!));
    const bad = numbers.findIndex((value) => value === undefined);
    if (bad !== -1) {
      yield {
        place,
        reason: `expected a number as ${COORDINATES[bad]}, received ${JSON.stringify(fields[coordinates[bad]!]!.slice(0, 40))}`,
      };
    } else {
      yield rowOf(
        place,
        fields[path]!,
        Array.from({ length: 5 }, (_, i): Point => [numbers[2 * i]!, numbers[2 * i + 1]!]),
      );
    }
  }
}

/** Fields of a line; between commas a field may be quoted. */
export function splitFields(line: string, separator: string): string[] {
  if (separator === ' ') return line.trim().split(/\s+/);
  if (separator === '\t' || !line.includes('"')) return line.split(separator).map((field) => field.trim());
  const fields: string[] = [];
  for (const [, quoted, plain] of line.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))/g))
    fields.push(quoted?.replaceAll('""', '"') ?? plain!.trim());
  return fields;
}

/** A plain decimal number. */
const numberOf = (text: string): number | undefined =>
  /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,3})?$/i.test(text) && Number.isFinite(Number(text)) ? Number(text) : undefined;

function columnsOf(
  names: readonly string[],
  file: string,
  place: string,
): { path: number; coordinates: number[]; count: number } {
  const lower = names.map((name) => name.toLowerCase());
  const known = COLUMN_NAMES.find((columns) => columns.every((name) => lower.includes(name)));
  const path = lower.findIndex((name) => PATH_NAMES.includes(name));
  if (known !== undefined && path !== -1)
    return { path, coordinates: known.map((name) => lower.indexOf(name)), count: names.length };
  // CelebA's own list has no name above the paths.
  if (known !== undefined && names.length === 10)
    return { path: 0, coordinates: known.map((name) => lower.indexOf(name) + 1), count: 11 };
  throw new HyperArcError(
    'E_FORMAT',
    `${file}: ${place}: expected coordinates, or the names of columns path, x1, y1, … x5, y5, received ${JSON.stringify(names.join(' ').slice(0, 120))}; name the columns so, or leave the line out`,
  );
}

async function* jsonLines(file: string): AsyncGenerator<LandmarkRow | BadRow> {
  for await (const { line, place } of lines(file)) {
    let entry: unknown;
    try {
      entry = JSON.parse(line);
    } catch {
      yield { place, reason: `expected a JSON object, received ${JSON.stringify(line.slice(0, 40))}` };
      continue;
    }
    yield entryOf(entry, place);
  }
}

async function* jsonRows(file: string): AsyncGenerator<LandmarkRow | BadRow> {
  const text = await readFile(file, 'utf8');
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch (cause) {
    throw new HyperArcError(
      'E_FORMAT',
      `${file}: expected JSON, received other contents (${(cause as Error).message.slice(0, 120)})`,
      { cause },
    );
  }
  if (!Array.isArray(entries))
    throw new HyperArcError(
      'E_FORMAT',
      `${file}: expected an array of objects with path and kps, received ${typeof entries}`,
    );
  for (const [i, entry] of entries.entries()) yield entryOf(entry, `entry ${i + 1}`);
}

function entryOf(entry: unknown, place: string): LandmarkRow | BadRow {
  const { path, kps } = (typeof entry === 'object' && entry !== null ? entry : {}) as { path?: unknown; kps?: unknown };
  if (typeof path !== 'string') return { place, reason: 'expected an object with a path, received none' };
  const isPoint = (point: unknown) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);
  if (!Array.isArray(kps) || kps.length !== 5 || !kps.every(isPoint)) {
    return { place, reason: `expected kps of five [x, y], received ${(JSON.stringify(kps) ?? 'none').slice(0, 60)}` };
  }
  return rowOf(place, path, kps as Point[]);
}

function rowOf(place: string, path: string, points: readonly Point[]): LandmarkRow | BadRow {
  const parts = path
    .replaceAll('\\', '/')
    .split('/')
    .filter((part) => part !== '.' && part !== '');
  // What is read is below the root, and what is written below the target.
  if (parts.length === 0 || parts.includes('..') || /^([\\/]|[a-z]:)/i.test(path) || path.includes('\0')) {
    return {
      place,
      reason: `expected a path relative to the images' folder, received ${JSON.stringify(path.slice(0, 80))}`,
    };
  }
  const whole = parts.join('/');
  return { place, path: /\.[a-z]{3,4}$/i.test(whole) ? whole : `${whole}.jpg`, points };
}
