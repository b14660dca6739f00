import { readFileSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { csvRows, type Groups } from '../../data/groups.js';
import type { ImagePair } from '../pairs.js';

/** Which group the pairs or the images of a verification set are of, and which person. */
export interface SetGroups extends Groups {
  /** What the file has a line for. With `pair`, `groupOf` takes a pair's number as text, else an image's name. */
  readonly by: 'pair' | 'image';
  /** Person of an image, by its name. */
  readonly identityOf: (name: string) => string;
  /** How people are told apart, where the file does not name them. */
  readonly people?: string;
}

type Part = Pick<SetGroups, 'groupOf' | 'identityOf' | 'people'>;

/**
 * Reads the groups of a verification set from a CSV file with column names: `pair`, the number of a pair, or `image`, that of
 * an image (pair i has images 2i and 2i + 1), both from 0; the groups in `column`; and, with `image`, people in `identity`
 * where there is such a column. A pair whose group is empty is across groups.
 * @param name How errors call the argument.
 * @param column Default the first that is none of `pair`, `image` and `identity`.
 * @param pairs The set's, in its order.
 * @throws HyperArcError E_FORMAT naming the file, the line or the column; E_RANGE for a number that the set does not have, and
 *   for a pair or an image without a line.
 */
export function readSetGroups(
  name: string,
  file: string,
  column: string | undefined,
  pairs: readonly ImagePair[],
): SetGroups {
  const refuse = (expected: string, received: string, code: 'E_FORMAT' | 'E_RANGE' = 'E_FORMAT'): never => {
    throw new HyperArcError(code, `${name}: expected ${expected}, received ${received} in ${file}`);
  };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    const message = `${name}: expected a readable file, received ${file} (${reason}); check the path`;
    throw new HyperArcError('E_FORMAT', message, { cause });
  }
  const [header = [], ...rows] = csvRows(text);
  const keys = (['pair', 'image'] as const).filter((key) => header.includes(key));
  const headerText = header.join(', ').slice(0, 120) || 'an empty file';
  if (keys.length !== 1) refuse('a column pair or image, and not both', headerText);
  const by = keys[0]!;
  const group = column ?? header.find((cell) => cell !== by && cell !== 'identity');
  const [keyAt, groupAt, identityAt] = [by, group ?? '', 'identity'].map((cell) => header.indexOf(cell)) as [
    number,
    number,
    number,
  ];
  if (groupAt < 0 || groupAt === keyAt) refuse(`a column ${column ?? 'of groups'}`, headerText);
  const count = by === 'pair' ? pairs.length : 2 * pairs.length;
  const lines = rows.map((row, i): SetLine => {
    const at = `"${row.join(',').slice(0, 120)}" at row ${i + 2}`;
    const key = row[keyAt] ?? '';
    if (row.length !== header.length) refuse(`${header.length} cells`, at);
    if (!/^\d{1,9}$/.test(key)) refuse(`the number of ${by === 'pair' ? 'a pair' : 'an image'}`, at);
    if (Number(key) >= count) refuse(`numbers of the ${count} ${by}s of the set, from 0`, at, 'E_RANGE');
    return { number: Number(key), group: row[groupAt]!, identity: row[identityAt], at };
  });
  const part = by === 'pair' ? groupsOfPairs(lines, pairs, refuse) : groupsOfImages(lines, pairs, refuse);
  return { source: column === undefined ? file : `${file}, ${column}`, by, ...part };
}

interface SetLine {
  readonly number: number;
  readonly group: string;
  readonly identity: string | undefined;
  /** For messages. */
  readonly at: string;
}
type Refuse = (expected: string, received: string, code?: 'E_FORMAT' | 'E_RANGE') => never;

function groupsOfPairs(lines: readonly SetLine[], pairs: readonly ImagePair[], refuse: Refuse): Part {
  const groups = new Map<string, string>();
  for (const { number, group, at } of lines) {
    if (groups.has(String(number))) refuse(`one line for pair ${number}`, at);
    groups.set(String(number), group);
  }
  const missing = pairs.findIndex((_, i) => !groups.has(String(i)));
  if (missing >= 0)
    refuse('a line for every pair (with an empty group for one across groups)', `none for pair ${missing}`, 'E_RANGE');
  return { groupOf: (pair) => groups.get(pair) || undefined, ...linkedPeople(pairs) };
}

function groupsOfImages(lines: readonly SetLine[], pairs: readonly ImagePair[], refuse: Refuse): Part {
  // Images of the same bytes have one name, and so one group and one person.
  const nameOf = (image: number): string => pairs[image >> 1]![image % 2 === 0 ? 'a' : 'b'];
  const groups = new Map<string, string>();
  const people = new Map<string, string>();
  for (const { number, group, identity, at } of lines) {
    const name = nameOf(number);
    for (const [what, map, value] of [
      ['group', groups, group],
      ['identity', people, identity],
    ] as const) {
      if (value === undefined) continue;
      if (value === '') refuse(`the ${what} of image ${number}`, at);
      const known = map.get(name) ?? value;
      if (known !== value) refuse(`one ${what} of ${name}, whose bytes come again`, `${known} and, ${at}, ${value}`);
      map.set(name, value);
    }
  }
  const missing = pairs.flatMap(({ a, b }) => [a, b]).find((name) => !groups.has(name));
  if (missing !== undefined) refuse('a line for every image', `none for ${missing}`, 'E_RANGE');
  const groupOf = (name: string): string | undefined => groups.get(name);
  if (people.size === 0) return { groupOf, ...linkedPeople(pairs) };
  const wrong = pairs.findIndex(({ a, b, same }) => (people.get(a) === people.get(b)) !== same);
  if (wrong >= 0) {
    const { a, b, same } = pairs[wrong]!;
    const expected = `${same ? 'one identity' : 'two identities'} in pair ${wrong}, which is of ${same ? 'one person' : 'two people'}`;
    refuse(expected, `${people.get(a)} and ${people.get(b)}`);
  }
  return { groupOf, identityOf: (name) => people.get(name)! };
}

/** People as far as the pairs tell: images that same pairs link are of one. */
function linkedPeople(pairs: readonly ImagePair[]): Pick<SetGroups, 'identityOf' | 'people'> {
  const parents = new Map<string, string>();
  const rootOf = (name: string): string => {
    let root = name;
    for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent;
    // The next look-up of this one is short.
    if (root !== name) parents.set(name, root);
    return root;
  };
  for (const { a, b, same } of pairs) {
    const [rootA, rootB] = [rootOf(a), rootOf(b)];
    if (same && rootA !== rootB) parents.set(rootB, rootA);
  }
  return {
    identityOf: rootOf,
    people:
      'people are told apart by the same pairs that link their images: one whose images are not linked counts as several, and the intervals may be too narrow',
  };
}
