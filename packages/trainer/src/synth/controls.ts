import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { KeyedRandom } from '../data/keyedRandom.js';
import { STREAM } from './identity.js';

/** Value: share of the pictures (groups: of the people). Shares sum to 1. */
export type Shares = Readonly<Record<string, number>>;

/** What of a synthetic dataset is prescribed instead of drawn at random. */
export interface SynthControls {
  /** Degrees from 0 to 60 by which heads are turned, to either side, within ±3. */
  readonly yaw?: Shares;
  /** Years from 16 to 80, or `young` (20), `middle` (45), `old` (70). A person is drawn at several ages. */
  readonly age?: Shares;
  /** At most 6 groups of people. They take equal bands of skin tone, the first the lightest. */
  readonly groups?: Shares;
  /** Share of the pictures that show a mask on mouth and nose; all others show neither mask nor scarf. */
  readonly masks?: number;
}

/** What is prescribed for one picture. */
export interface SampleControl {
  /** Degrees, before sign and jitter. */
  readonly yaw?: number;
  /** Years. */
  readonly age?: number;
  readonly mask?: boolean;
}

/** What is prescribed for a person and their pictures. */
export interface IdentityControl {
  readonly group?: { readonly name: string; readonly index: number; readonly count: number };
  readonly samples: readonly SampleControl[];
}

export const MAX_YAW_DEGREES = 60;
const AGE_NAMES: Readonly<Record<string, number>> = { young: 20, middle: 45, old: 70 };
const MAX_GROUPS = 6;
/** Pictures of a dataset with controls: their assignment is held in memory. */
const MAX_PICTURES = 100_000_000;
/** By which a sum of shares may miss 1: thirds are written as 0.333. */
const SUM_TOLERANCE = 0.002;

/** @param text `VALUE:SHARE,…`. @throws HyperArcError E_RANGE naming the option. */
export function parseShares(option: string, text: string): Record<string, number> {
  const shares = new Map<string, number>();
  for (const part of text.split(',')) {
    const [, value, share] = /^\s*([^:,\s]+)\s*:\s*(\d*\.?\d+)\s*$/.exec(part) ?? [];
    if (value === undefined || share === undefined || shares.has(value)) {
      throw new HyperArcError(
        'E_RANGE',
        `--${option}: expected VALUE:SHARE,… with each value once, received ${JSON.stringify(text.slice(0, 80))}`,
      );
    }
    shares.set(value, Number(share));
  }
  return Object.fromEntries(shares);
}

interface Stratum<T> {
  readonly values: readonly T[];
  readonly shares: readonly number[];
}

function checkShares<T>(
  name: keyof SynthControls,
  shares: Shares,
  expected: string,
  read: (value: string) => T | undefined,
): Stratum<T> {
  const fail = (received: string): never => {
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected ${expected}, each with a share above 0, all together 1, received ${received}; change --${name}`,
    );
  };
  const values = Object.keys(shares).map((text) => read(text) ?? fail(JSON.stringify(text)));
  const numbers = Object.values(shares);
  if (new Set(values).size !== values.length) fail('one of them twice');
  if (!numbers.every((share) => Number.isFinite(share) && share > 0)) fail(`shares ${numbers.join(', ')}`);
  const sum = numbers.reduce((total, share) => total + share, 0);
  if (!(Math.abs(sum - 1) <= SUM_TOLERANCE)) fail(`shares of ${Number(sum.toFixed(4))} together`);
  return { values, shares: numbers };
}

const inRange = (low: number, high: number) => (text: string) => {
  const value = text.trim() === '' ? NaN : Number(text);
  return value >= low && value <= high ? value : undefined;
};

interface CheckedControls {
  readonly yaw?: Stratum<number>;
  readonly age?: Stratum<number>;
  readonly groups?: Stratum<string>;
  readonly masks?: Stratum<boolean>;
}

/** @throws HyperArcError E_RANGE naming the control. */
export function checkControls(controls: SynthControls): CheckedControls {
  const { yaw, age, groups, masks } = controls;
  if (masks !== undefined && !(masks >= 0 && masks <= 1)) {
    throw new HyperArcError('E_RANGE', `masks: expected a share from 0 to 1, received ${masks}; change --masks`);
  }
  if (groups !== undefined && Object.keys(groups).length > MAX_GROUPS) {
    throw new HyperArcError(
      'E_RANGE',
      `groups: expected at most ${MAX_GROUPS}, received ${Object.keys(groups).length}; change --groups`,
    );
  }
  return {
    ...(yaw && { yaw: checkShares('yaw', yaw, `degrees from 0 to ${MAX_YAW_DEGREES}`, inRange(0, MAX_YAW_DEGREES)) }),
    ...(age && {
      age: checkShares('age', age, 'years from 16 to 80, or young, middle, old', (text) =>
        Object.hasOwn(AGE_NAMES, text) ? AGE_NAMES[text] : inRange(16, 80)(text),
      ),
    }),
    ...(groups && {
      groups: checkShares(
        'groups',
        groups,
        'names that begin with a letter and hold letters, digits, - and _',
        (text) => (/^[a-z][\w-]{0,39}$/i.test(text) ? text : undefined),
      ),
    }),
    ...(masks !== undefined && { masks: { values: [true, false], shares: [masks, 1 - masks] } }),
  };
}

/**
 * Whole numbers in proportion to shares that sum to `total`: each share's quota rounded down, then one more for the largest remainders, the
 * earlier first where they are equal (Hamilton's method).
 */
export function apportion(shares: readonly number[], total: number): number[] {
  const sum = shares.reduce((all, share) => all + share, 0);
  // A quota such as 0.29 · 100 = 28.999999999999996 is 29.
  const quotas = shares.map((share) => Number(((share / sum) * total).toPrecision(14)));
  const counts = quotas.map(Math.floor);
  const remainder = (i: number) => quotas[i]! - counts[i]!;
  const order = shares.map((_, i) => i).sort((a, b) => remainder(b) - remainder(a) || a - b);
  const missing = total - counts.reduce((all, count) => all + count, 0);
  for (const i of order.slice(0, missing)) counts[i]!++;
  return counts;
}

/**
 * Gives each of `rows` × `columns` places one of the values 0 … counts.length − 1, value v exactly counts[v] times, every row as near to the
 * proportions of the whole as it can be. Which rows have one more of a value, and where in its row it stands, depends on `random`.
 */
export function assignStratified(
  counts: readonly number[],
  rows: number,
  columns: number,
  random: KeyedRandom,
): Uint8Array {
  const total = rows * columns;
  const given = counts.map(() => 0);
  const places = new Uint8Array(total);
  const order = random.shuffle(Uint32Array.from({ length: rows }, (_, row) => row));
  let done = 0;
  for (const row of order) {
    const line = places.subarray(row * columns, (row + 1) * columns);
    for (let column = 0; column < columns; column++) {
      done++;
      let most = -1;
      let deficit = -Infinity;
      for (let value = 0; value < counts.length; value++) {
        const lag = (done * counts[value]!) / total - given[value]!;
        if (given[value]! < counts[value]! && lag > deficit) [most, deficit] = [value, lag];
      }
      given[most]!++;
      line[column] = most;
    }
    random.shuffle(line);
  }
  return places;
}

/** Which value each picture and each person of a dataset has: every marginal is its shares' largest-remainder counts, exactly. */
export class ControlPlan {
  private readonly yaw: ((picture: number) => number) | undefined;
  private readonly age: ((picture: number) => number) | undefined;
  private readonly mask: ((picture: number) => boolean) | undefined;
  private readonly group: ((identity: number) => string) | undefined;
  private readonly groups: readonly string[];

  /** @throws HyperArcError E_RANGE */
  constructor(
    controls: SynthControls,
    private readonly parameters: { readonly identities: number; readonly samples: number; readonly seed: number },
  ) {
    const { identities, samples, seed } = parameters;
    const checked = checkControls(controls);
    if (identities * samples > MAX_PICTURES) {
      throw new HyperArcError(
        'E_RANGE',
        `controls: expected at most ${MAX_PICTURES} pictures, received ${identities * samples}; write several datasets`,
      );
    }
    const assign = <T>(stream: number, stratum: Stratum<T> | undefined, columns: number) => {
      if (stratum === undefined) return undefined;
      const counts = apportion(stratum.shares, identities * columns);
      const places = assignStratified(counts, identities, columns, new KeyedRandom(seed, STREAM.controls, stream));
      return (place: number): T => stratum.values[places[place]!]!;
    };
    this.yaw = assign(1, checked.yaw, samples);
    this.age = assign(2, checked.age, samples);
    this.mask = assign(3, checked.masks, samples);
    this.group = assign(4, checked.groups, 1);
    this.groups = checked.groups?.values ?? [];
  }

  of(identity: number): IdentityControl {
    const { samples } = this.parameters;
    const name = this.group?.(identity);
    return {
      ...(name !== undefined && { group: { name, index: this.groups.indexOf(name), count: this.groups.length } }),
      samples: Array.from({ length: samples }, (_, sample) => {
        const picture = identity * samples + sample;
        return {
          ...(this.yaw && { yaw: this.yaw(picture) }),
          ...(this.age && { age: this.age(picture) }),
          ...(this.mask && { mask: this.mask(picture) }),
        };
      }),
    };
  }

  /** Columns of the attribute file, and the cells of a picture in them. */
  readonly columns = {
    names: (): string[] => [
      ...(this.yaw ? ['pose'] : []),
      ...(this.age ? ['age'] : []),
      ...(this.group ? ['group'] : []),
      ...(this.mask ? ['mask'] : []),
    ],
    cells: ({ group }: IdentityControl, { yaw, age, mask }: SampleControl): string[] =>
      [yaw, age, group?.name, mask === undefined ? undefined : Number(mask)]
        .filter((cell) => cell !== undefined)
        .map(String),
  };
}
