import { expect, it } from 'vitest';

import { arithmeticDifference } from '../../dist/train/arithmetic.js';

it('names what makes a resumed run differ in its last bits, and nothing on the same machine', () => {
  const was = { backend: 'tensorflow 2.21.0', processors: 2, engine: 'avx512' };
  expect(arithmeticDifference(was, { ...was })).toBeUndefined();
  expect(arithmeticDifference(was, { ...was, processors: 8, engine: 'avx2' })).toBe(
    'saved with processors 2, now 8; engine avx512, now avx2: results will differ in the last digits',
  );
});
