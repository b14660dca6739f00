import { describe, expect, it } from 'vitest';

import { HyperArcError } from '@hyperarc/kernels-cuda';

import { atStep, checkEmbeddings, checkLoss, nonFiniteRows } from '../../dist/train/guard.js';

const context = { step: 12, indices: [40, 7, 9], nameOf: (index: number) => `face-${index}.jpg` };

describe('guard', () => {
  it('finds rows', () => {
    expect(nonFiniteRows([0, 1, NaN, 3, Infinity, NaN, 7, 8], 2)).toEqual([1, 2]);
  });

  it('lets finite numbers pass', () => {
    checkEmbeddings(new Float32Array(6), 2, context);
    checkLoss(0, context);
    expect(atStep(context, () => 3)).toBe(3);
  });

  it('names the rows and images of embeddings', () => {
    const embeddings = Float32Array.of(0, 1, NaN, 3, 4, 5);
    expect(() => checkEmbeddings(embeddings, 2, context)).toThrow(
      'E_NONFINITE: step 12: expected finite embeddings, received NaN in row 1 (face-7.jpg);',
    );
    expect(() => checkEmbeddings(new Float32Array(6).fill(Infinity), 2, context)).toThrow(
      /Infinity in .*all of the batch/,
    );
  });

  it('names the images behind a loss', () => {
    expect(() => checkLoss(NaN, context)).toThrow(
      'expected a finite loss, received NaN from the batch face-40.jpg, face-7.jpg',
    );
  });

  it('says at which step something else was not finite, once, and leaves other errors as they are', () => {
    const fail = (error: Error) => () =>
      atStep(context, () =>
        atStep(context, () => {
          throw error;
        }),
      );
    expect(fail(new HyperArcError('E_NONFINITE', 'grads: received NaN in a'))).toThrow(
      /^E_NONFINITE: step 12: grads: received NaN in a; start a new run with a lower optimizer\.learningRate[^;]*$/,
    );
    const other = new HyperArcError('E_SHAPE', 'x');
    expect(fail(other)).toThrow(other);
  });
});
