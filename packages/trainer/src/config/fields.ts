import * as z from 'zod';

/** Range of a numeric field; both ends are included unless said. */
interface NumberRange {
  min: number;
  max?: number;
  /** True: `min` itself is refused. */
  openMin?: boolean;
}

function describe(kind: string, { min, max, openMin }: NumberRange): string {
  if (max === undefined) return `expected ${kind} ${openMin === true ? 'above' : 'of at least'} ${min}`;
  return `expected ${kind} in ${openMin === true ? '(' : '['}${min}, ${max}]`;
}

function inRange(value: number, { min, max = Infinity, openMin }: NumberRange): boolean {
  return (openMin === true ? value > min : value >= min) && value <= max;
}

/** A finite number in a range. Its error text reads `expected …`; the caller adds the field's name and what came. */
export function real(range: NumberRange): z.ZodType<number> {
  const error = describe('a number', range);
  return z.number({ error }).refine((value) => inRange(value, range), { error });
}

/** A safe integer in a range. */
export function integer(range: NumberRange): z.ZodType<number> {
  const error = describe('an integer', range);
  return z.number({ error }).refine((value) => Number.isSafeInteger(value) && inRange(value, range), { error });
}

/** A safe integer in a range, or one word. */
export function integerOr<const W extends string>(word: W, range: NumberRange): z.ZodType<number | W> {
  const error = `${describe('an integer', range)}, or ${word}`;
  return z
    .union([z.literal(word), z.number()], { error })
    .refine((value) => value === word || (Number.isSafeInteger(value) && inRange(value as number, range)), { error });
}

/** One of a few words. */
export function oneOf<const T extends readonly [string, ...string[]]>(values: T): z.ZodType<T[number]> {
  return z.enum(values, { error: `expected one of ${values.join(', ')}` }) as unknown as z.ZodType<T[number]>;
}

export function flag(): z.ZodType<boolean> {
  return z.boolean({ error: 'expected true or false' });
}

export function text(pattern: RegExp, expected: string): z.ZodType<string> {
  const error = `expected ${expected}`;
  return z.string({ error }).regex(pattern, { error });
}

/** A list of increasing positive numbers. */
export function increasing(): z.ZodType<number[]> {
  const error = 'expected a list of increasing numbers above 0';
  return z
    .array(z.number({ error }), { error })
    .refine((list) => list.length > 0 && list.every((value, i) => value > (i === 0 ? 0 : list[i - 1]!)), { error });
}

/** A list of strings, none of them empty. */
export function texts(expected: string): z.ZodType<string[]> {
  const error = `expected a list of ${expected}`;
  return z.array(z.string({ error }).min(1, { error }), { error });
}
