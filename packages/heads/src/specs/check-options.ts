import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** Range of a number; both ends are included but for an open low end. */
export interface NumberRange {
  readonly low: number;
  readonly high: number;
  readonly openLow?: boolean;
  readonly integer?: boolean;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** @throws HyperArcError E_RANGE: `name: expected …, received …`. */
export function fail(name: string, expected: string, received: unknown, fix?: string): never {
  const ending = fix === undefined ? '' : `; ${fix}`;
  throw new HyperArcError('E_RANGE', `${name}: expected ${expected}, received ${show(received)}${ending}`);
}

/** @throws HyperArcError E_RANGE. */
export function checkNumber(
  name: string,
  value: unknown,
  { low, high, openLow, integer }: NumberRange,
  fix?: string,
): number {
  const isInside = typeof value === 'number' && (openLow ? value > low : value >= low) && value <= high;
  if (isInside && (!integer || Number.isInteger(value))) return value;
  const kind = integer ? 'an integer' : 'a number';
  return fail(name, `${kind} in ${openLow ? '(' : '['}${low}, ${high}]`, value, fix);
}

/** @throws HyperArcError E_RANGE. */
export function checkOneOf<T extends string>(name: string, value: unknown, words: readonly T[]): T {
  if (words.includes(value as T)) return value as T;
  return fail(name, `one of ${words.join(', ')}`, value);
}

/** @throws HyperArcError E_RANGE. */
export function checkFlag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  return fail(name, 'true or false', value);
}

/** Numbers of an array or a typed array, as a plain array. @throws HyperArcError E_RANGE naming the element. */
export function checkNumbers(name: string, values: unknown, range: NumberRange, fix?: string): number[] {
  const isList = Array.isArray(values) || (ArrayBuffer.isView(values) && !(values instanceof DataView));
  if (!isList || (values as ArrayLike<number>).length === 0)
    return fail(name, 'an array of one number or more', values);
  return Array.from(values as ArrayLike<number>, (value, i) => checkNumber(`${name}[${i}]`, value, range, fix));
}

/**
 * Refuses options that `factory` does not have.
 * @param whyNot what to say of options that other families have
 * @throws HyperArcError E_RANGE.
 */
export function checkOptions(
  factory: string,
  options: object,
  known: readonly string[],
  whyNot: Readonly<Record<string, string>> = {},
): void {
  if (typeof options !== 'object' || options === null) fail(`${factory}`, 'an object of options', options);
  for (const [name, value] of Object.entries(options)) {
    if (known.includes(name) || value === undefined) continue;
    const reason = whyNot[name];
    if (reason !== undefined) fail(`${factory}.${name}`, 'no such option', value, reason);
    fail(`${factory}.${name}`, `one of the options ${known.join(', ')}`, value);
  }
}
