import { describe, expect, it } from 'vitest';

import { checkEmbeddings, checkGradients, checkLoss, nonFiniteRows } from '../../dist/train/guard.js';

const context = { step: 12, indices: [40, 7, 9], nameOf: (index: number) => `face-${index}.jpg` };

describe('guard', () => {
  it('finds rows', () => {
    expect(nonFiniteRows([0, 1, NaN, 3, Infinity, NaN, 7, 8], 2)).toEqual([1, 2]);
  });

  it('lets finite numbers pass', () => {
    checkEmbeddings(new Float32Array(6), 2, context);
    checkLoss(0, context);
    checkGradients(1e30, ['a'], () => expect.fail('read though the norm is finite'), context);
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

  it('names the variables behind a gradient norm', () => {
    const gradients: Record<string, Float32Array> = {
      a: Float32Array.of(1, 2),
      b: Float32Array.of(1, NaN),
      c: Float32Array.of(-Infinity),
    };
    const read = (name: string): Float32Array => gradients[name]!;
    expect(() => checkGradients(NaN, ['a', 'b', 'c'], read, context)).toThrow('received b (NaN), c (Infinity)');
    expect(() => checkGradients(Infinity, ['a'], read, context)).toThrow(/gradient norm, received Infinity/);
  });
});
