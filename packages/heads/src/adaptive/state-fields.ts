import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** What state that was read back has to be. @throws HyperArcError E_FORMAT. */
export function failFormat(name: string, expected: string, received: unknown): never {
  const shown = typeof received === 'string' ? `'${received}'` : String(received);
  throw new HyperArcError('E_FORMAT', `${name}: expected ${expected}, received ${shown}`);
}

export function readObject(name: string, saved: unknown): Record<string, unknown> {
  if (typeof saved === 'object' && saved !== null) return saved as Record<string, unknown>;
  return failFormat(name, 'an object', saved);
}

/** A finite number in [low, high]. */
export function readNumber(name: string, saved: unknown, low: number, high: number): number {
  if (typeof saved === 'number' && saved >= low && saved <= high) return saved;
  return failFormat(name, `a number in [${low}, ${high}]`, saved);
}

export function readCount(name: string, saved: unknown): number {
  if (Number.isSafeInteger(saved) && (saved as number) >= 0) return saved as number;
  return failFormat(name, 'an integer ≥ 0', saved);
}
