import { readFileSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from './dataset.js';
import { sortedIdentities } from './labelNames.js';
import { fileLocation } from './location.js';

export const LIST_EXTENSIONS: readonly string[] = ['.lst', '.txt', '.tsv', '.csv'];

/**
 * Opens a list of image files with their labels, one a line. `.lst` is MXNet's (index, label, path, separated by tabs); `.csv` has path and label
 * separated by the last comma, and may begin with the line `path,label`; others by the last tab or blanks. Paths are relative to the list's folder. Labels are
 * whole numbers or names; identities are in the order of the numbers, or of the names, and the images of each in the order of the lines. Empty lines and lines that begin with # count for nothing.
 * The files are not looked at.
 * @throws HyperArcError E_FORMAT naming the line, or an image that is there twice.
 */
export function openListFile(path: string): ImageDataset {
  const rows: { image: string; label: string }[] = [];
  const lineOf = new Map<string, number>();
  for (const [i, line] of readText(path).split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const fail = (expected: string, received: string): never => {
      throw new HyperArcError('E_FORMAT', `${path}:${i + 1}: expected ${expected}, received ${received}; mend the line`);
    };
    const [image, label] = fieldsOf(line, extname(path)) ?? fail(shapeOf(path), JSON.stringify(line.slice(0, 120)));
    if (i === 0 && extname(path) === '.csv' && image === 'path' && label === 'label') continue;
    const other = lineOf.get(image);
    if (other !== undefined) fail('each image once', `${image}, which line ${other} has too`);
    lineOf.set(image, i + 1);
    rows.push({ image, label });
  }
  if (rows.length === 0) throw new HyperArcError('E_FORMAT', `${path}: expected images, received none`);
  const identities = sortedIdentities(rows.map(({ label }) => label));
  const ranks = new Map(identities.map((name, rank) => [name, rank]));
  const rankOf = ({ label }: { label: string }): number => ranks.get(label)!;
  rows.sort((a, b) => rankOf(a) - rankOf(b));
  const folder = dirname(path);
  const locateName = (name: string) => fileLocation(resolve(folder, name));
  return {
    root: path,
    identities,
    labels: Int32Array.from(rows, rankOf),
    nameOf: (index) => rows[index]!.image,
    locate: (index) => locateName(rows[index]!.image),
    locateName,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new HyperArcError('E_FORMAT', `${path}: expected a readable list, received ${reason}; check the path`, {
      cause,
    });
  }
}

const shapeOf = (path: string): string =>
  ({ '.lst': 'index<TAB>label<TAB>path', '.csv': 'path,label' })[extname(path)] ?? 'path and label';

/** Path and label of a line. */
function fieldsOf(line: string, extension: string): [string, string] | undefined {
  if (extension === '.lst') {
    const [index, label, path, ...rest] = line.split('\t');
    // MXNet's im2rec writes labels as 3.000000.
    const value = Number(label);
    const isFine = /^\d+$/.test(index!) && label !== '' && Number.isSafeInteger(value) && value >= 0;
    return isFine && path && rest.length === 0 ? [path, String(value)] : undefined;
  }
  const match = (extension === '.csv' ? /^(.+?),\s*([^,]+)$/ : line.includes('\t') ? /^(.+)\t([^\t]+)$/ : /^(.+?)\s+(\S+)$/).exec(line.trim());
  // A label is the name of an identity: of a folder, where the images are written to folders.
  return match === null || /[/\\]/.test(match[2]!) ? undefined : [match[1]!.trim(), match[2]!.trim()];
}
