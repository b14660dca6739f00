import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { splitFields } from './align/landmarkFile.js';
import type { ImageDataset } from './dataset.js';
import { KeyedRandom } from './keyedRandom.js';
import { checkFolds, drawPairs, type ImagePair, type MakePairsOptions } from './pairs.js';

/** A value of an attribute for images, by path. */
export type AttributeValues = ReadonlyMap<string, string>;

/** Without `between` or `gap`: the two images differ in value. */
export interface AttributePairsOptions extends MakePairsOptions {
  readonly values: AttributeValues;
  /** One image has the first value, the other the second, as CFP-FP pairs frontal with profile. */
  readonly between?: readonly [string, string];
  /** Values are numbers at least this far apart, as 30 years in AgeDB-30. */
  readonly gap?: number;
}

/** Values up to which it means something that two differ. */
const MAX_VALUES = 50;

/**
 * Reads one column of a table with a first line of names, one of them `path`, between commas: `attributes.csv` of `hyperarc synth` is such a one.
 * @throws HyperArcError E_FORMAT naming the line, E_RANGE for a column that is not there.
 */
export async function readAttribute(file: string, column: string): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  let columns: { path: number; value: number; count: number } | undefined;
  let number = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity })) {
      number++;
      if (line.trim() === '') continue;
      const fields = splitFields(line.replace(/^\uFEFF/, ''), ',');
      if (columns === undefined) {
        columns = { path: fields.indexOf('path'), value: fields.indexOf(column), count: fields.length };
        if (columns.path === -1) {
          throw new HyperArcError(
            'E_FORMAT',
            `${file}: expected names of columns in the first line, path among them, received ${JSON.stringify(line.slice(0, 80))}`,
          );
        }
        if (columns.value === -1) {
          const others = fields.filter((name) => name !== 'path');
          const some = (others.length > 12 ? '…, ' : '') + others.slice(-12).join(', ');
          throw new HyperArcError('E_RANGE', `attribute: expected a column of ${file} (${some}), received ${column}`);
        }
        continue;
      }
      if (fields.length !== columns.count) {
        throw new HyperArcError(
          'E_FORMAT',
          `${file}: line ${number}: expected ${columns.count} fields as in the first line, received ${fields.length}`,
        );
      }
      values.set(fields[columns.path]!, fields[columns.value]!);
    }
  } catch (cause) {
    if (cause instanceof HyperArcError) throw cause;
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new HyperArcError(
      'E_FORMAT',
      `${file}: expected a readable table of attributes, received ${reason}; name it with --attributes`,
      { cause },
    );
  }
  if (values.size === 0)
    throw new HyperArcError('E_FORMAT', `${file}: expected rows below the names of columns, received none`);
  return values;
}

interface Valued {
  readonly path: string;
  readonly value: string;
}

/**
 * Draws verification pairs whose images differ in an attribute: of one person at different ages, in different poses, with and without a mask; and as
 * many of different persons that differ in the same way, so that the attribute alone tells nothing. Folds and repeats: as `makePairs`. Images
 * without a value take no part. The first image has the first of `between`, or the smaller number.
 * @throws HyperArcError E_RANGE when the dataset has not that many pairs, or for an attribute that cannot be compared so.
 */
export function makeAttributePairs(dataset: ImageDataset, options: AttributePairsOptions): ImagePair[] {
  const { folds = 10, seed, values } = options;
  const perFold = checkFolds(options.pairs, folds);
  const isPair = pairRule(options, dataset);
  const people = dataset.identities.map((): Valued[] => []);
  for (const [index, label] of dataset.labels.entries()) {
    const path = dataset.nameOf(index);
    const value = values.get(path);
    if (value !== undefined && value !== '') people[label]!.push({ path, value });
  }
  const random = new KeyedRandom(0x61747472, seed);
  const both = random.shuffle(
    people.filter((images) => images.some((image) => partnersOf(image, images, isPair).length > 0)),
  );
  if (both.length < 2) {
    const fix = 'choose other values, or images of more people';
    throw new HyperArcError(
      'E_RANGE',
      `pairs: expected at least 2 identities with images that differ so, received ${both.length}; ${fix}`,
    );
  }
  const disjoint = both.length >= 2 * folds;
  const taken = new Set<string>();
  const result: ImagePair[] = [];
  for (let fold = 0; fold < folds; fold++) {
    const group = disjoint ? both.filter((_, i) => i % folds === fold) : both;
    const drawSame = () => {
      const images = random.pick(group);
      const first = random.pick(images.filter((image) => partnersOf(image, images, isPair).length > 0));
      return ordered(first, random.pick(partnersOf(first, images, isPair)), isPair);
    };
    const drawDifferent = (): [string, string] | undefined => {
      const one = random.integer(group.length);
      const other = (one + 1 + random.integer(group.length - 1)) % group.length;
      const first = random.pick(group[one]!);
      const partners = partnersOf(first, group[other]!, isPair);
      return partners.length === 0 ? undefined : ordered(first, random.pick(partners), isPair);
    };
    result.push(...drawPairs(perFold, true, fold, taken, drawSame));
    result.push(...drawPairs(perFold, false, fold, taken, drawDifferent));
  }
  return result;
}

/** Whether two values make a pair in this order. */
type PairRule = (first: string, second: string) => boolean;

function pairRule({ values, between, gap }: AttributePairsOptions, { root, labels, nameOf }: ImageDataset): PairRule {
  const found = new Set<string>();
  for (const index of labels.keys()) {
    const path = nameOf(index);
    const value = values.get(path);
    if (value !== undefined && value !== '') found.add(value);
  }
  if (found.size === 0) {
    throw new HyperArcError(
      'E_RANGE',
      `attribute: expected values for images of ${root}, received none; paths in the table are relative to the folder`,
    );
  }
  if (between !== undefined && gap !== undefined) {
    throw new HyperArcError('E_RANGE', 'between, gap: expected one of them, received both');
  }
  const some = [...found].slice(0, 8).join(', ') + (found.size > 8 ? ', …' : '');
  if (between !== undefined) {
    for (const value of between) {
      if (!found.has(value))
        throw new HyperArcError(
          'E_RANGE',
          `between: expected two values of the attribute (${some}), received ${value}`,
        );
    }
    if (between[0] === between[1])
      throw new HyperArcError('E_RANGE', `between: expected two values that differ, received ${between[0]} twice`);
    return (first, second) => first === between[0] && second === between[1];
  }
  const isNumeric = [...found].every((value) => Number.isFinite(Number(value)));
  if (gap !== undefined) {
    if (!(gap > 0)) throw new HyperArcError('E_RANGE', `gap: expected a number above 0, received ${gap}`);
    if (!isNumeric)
      throw new HyperArcError(
        'E_RANGE',
        `gap: expected an attribute of numbers, received values ${some}; use --between`,
      );
    return (first, second) => Number(second) - Number(first) >= gap;
  }
  if (found.size > MAX_VALUES) {
    throw new HyperArcError(
      'E_RANGE',
      `attribute: expected at most ${MAX_VALUES} values where any two that differ make a pair, received ${found.size}; say which do with --gap or --between`,
    );
  }
  return isNumeric ? (first, second) => Number(first) < Number(second) : (first, second) => first < second;
}

const partnersOf = ({ value }: Valued, images: readonly Valued[], isPair: PairRule): Valued[] =>
  images.filter((image) => isPair(value, image.value) || isPair(image.value, value));

const ordered = (a: Valued, b: Valued, isPair: PairRule): [string, string] =>
  isPair(a.value, b.value) ? [a.path, b.path] : [b.path, a.path];
