import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { EXTENSIONS } from './imageFormat.js';
import type { ImagePair } from './pairs.js';

/** First line of LFW's pairs.txt: folds, and pairs of each kind in a fold. */
const HEADER = /^(\d{1,4})[\t ]+(\d{1,6})\s*$/;
/** Endings that the images of a person are looked for under, in this order. */
const ENDINGS = Object.values(EXTENSIONS).flat();

export const isLfwHeader = (line: string): boolean => HEADER.test(line);

/**
 * Pairs of LFW's official layout (vis-www.cs.umass.edu/lfw, pairs.txt): a header `10<TAB>300`, then for each of the ten folds 300 lines `name n1 n2` of
 * one person and 300 lines `name1 n1 name2 n2` of two. Image n of a person is `name/name_0001.jpg` (or .jpeg, .png, .webp).
 *
 * @param lines The file's lines, the header first.
 * @param root Folder of the images; without it every image is taken for a .jpg.
 * @throws HyperArcError E_FORMAT naming the line, for other lines than the header tells, and for an image that `root` has not.
 */
export function parseLfwPairs(lines: readonly string[], file: string, root?: string): ImagePair[] {
  const [, folds, perKind] = HEADER.exec(lines[0]!)!.map(Number) as [number, number, number];
  const refuse = (expected: string, received: string, line: number): never => {
    throw new HyperArcError('E_FORMAT', `pairs: expected ${expected}, received ${received} at ${file}:${line}`);
  };
  if (folds < 1 || perKind < 1) refuse('at least one fold and one pair of each kind', `"${lines[0]}"`, 1);
  const rows = lines.slice(1).map((line, i) => ({ fields: line.trim().split(/\s+/), line, number: i + 2 }));
  while (rows.at(-1)?.line.trim() === '') rows.pop();
  const expectedRows = folds * 2 * perKind;
  if (rows.length !== expectedRows) {
    refuse(`${folds} folds of 2 × ${perKind} pairs, ${expectedRows} lines after the header`, `${rows.length}`, 1);
  }
  const images = new Map<string, string>();
  const imageOf = (name: string, n: string, row: (typeof rows)[number]): string => {
    if (!/^[^/\\]+$/.test(name) || name === '..' || name === '.') refuse('the name of a person', `"${name}"`, row.number);
    if (!/^\d{1,6}$/.test(n)) refuse('the number of an image', `"${n.slice(0, 40)}"`, row.number);
    const stem = `${name}/${name}_${n.padStart(4, '0')}`;
    const known = images.get(stem);
    if (known !== undefined) return known;
    const ending = root === undefined ? ENDINGS[0] : ENDINGS.find((end) => existsSync(join(root, stem + end)));
    if (ending === undefined) refuse(`an image ${join(root!, stem)}.jpg (or ${ENDINGS.slice(1).join(', ')})`, 'none', row.number);
    images.set(stem, stem + ending);
    return stem + ending;
  };
  return rows.map((row, i) => {
    const same = i % (2 * perKind) < perKind;
    const { fields, line } = row;
    if (fields.length !== (same ? 3 : 4)) {
      refuse(same ? '"name n1 n2" of one person' : '"name1 n1 name2 n2" of two', `"${line.slice(0, 120)}"`, row.number);
    }
    const [name, n, other, m] = same ? [fields[0]!, fields[1]!, fields[0]!, fields[2]!] : (fields as [string, string, string, string]);
    return { a: imageOf(name, n, row), b: imageOf(other, m, row), same, fold: Math.floor(i / (2 * perKind)) };
  });
}
