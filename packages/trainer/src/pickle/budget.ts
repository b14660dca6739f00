/** Units for each byte of the pickle, and to begin with. */
const UNITS_A_BYTE = 16;
const FREE_UNITS = 2 ** 20;

/** A JavaScript Map or Set takes this many times the memory of a small number's place. */
export const COLLECTION_UNITS = 32;

const sizeOf = (value: unknown): number => {
  if (typeof value === 'string' || Array.isArray(value) || value instanceof Uint8Array) return value.length;
  return value instanceof Map || value instanceof Set ? value.size : 0;
};

/**
 * Keeps time and memory linear in a pickle's length. A few bytes can call a global with an argument of any size that the pickle's memo holds, again and
 * again; each call pays for its arguments and the items in them.
 */
export class Budget {
  private units: number;

  constructor(
    bytes: number,
    private readonly spent: () => never,
  ) {
    this.units = FREE_UNITS + UNITS_A_BYTE * bytes;
  }

  take(units: number): void {
    this.units -= units;
    if (this.units < 0) this.spent();
  }

  /** For a value that is handed to a global: its size, and that of each of its items. */
  takeFor(value: unknown): void {
    this.take(1 + sizeOf(value));
    if (Array.isArray(value)) for (const item of value) this.take(sizeOf(item));
  }
}
