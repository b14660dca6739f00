import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  centerGradient,
  forward,
  norm,
  roundBf16,
  roundBf16Stochastic,
  roundingBits,
  secondMomentBits,
  roundState,
} from '../../dist/reference/index.js';
import { expectClose, normals, problem } from './support.js';

/** Written by vectors/make_rounding_vectors.py on exact fractions. */
interface RoundingVectors {
  nearest: [string, string][];
  stochastic: {
    bits: string;
    row: number;
    element: number;
    step: string;
    weight: string;
    momentum: string;
    secondMoment: string;
  }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../vectors/rounding.json', import.meta.url), 'utf8'),
) as RoundingVectors;

function fromBits(hex: string): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, Number.parseInt(hex, 16));
  return view.getFloat32(0);
}

function toBits(value: number): string {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint32(0).toString(16).padStart(8, '0');
}

describe('bf16', () => {
  it('rounds to the nearest, ties to even', () => {
    for (const [bits, rounded] of vectors.nearest)
      expect([bits, toBits(roundBf16(fromBits(bits)))]).toEqual([bits, rounded]);
    expect(roundBf16(NaN)).toBeNaN();
    expect(roundBf16(-Infinity)).toBe(-Infinity);
  });

  it('rounds stochastically with the bits of row, element and step', () => {
    for (const { bits, row, element, step, weight, momentum, secondMoment } of vectors.stochastic) {
      const random = roundingBits(row, element, BigInt(step));
      const bitsOf = [random.weight, random.momentum, secondMomentBits(row, element, BigInt(step))];
      const rounded = bitsOf.map((bits16) => roundBf16Stochastic(fromBits(bits), bits16));
      expect([bits, ...rounded.map(toBits)]).toEqual([bits, weight, momentum, secondMoment]);
    }
  });

  it('stochastic rounding has exactly the number itself as its mean', () => {
    for (const value of [1.001, -3.14159, 1e-3, 0.999999, 123456, -1e-20].map(Math.fround)) {
      let sum = 0;
      for (let random = 0; random < 65536; random++) sum += roundBf16Stochastic(value, random);
      // All summands are multiples of one power of two and below 2⁵³ times it: the sum is exact.
      expect(sum / 65536).toBe(value);
    }
  });

  it('stochastic rounding never makes a finite number infinite, and leaves infinity and NaN', () => {
    const largest = fromBits('7f7f0000');
    for (const random of [0, 1, 32768, 65535]) {
      expect(roundBf16Stochastic(fromBits('7f7fffff'), random)).toBe(largest);
      expect(roundBf16Stochastic(fromBits('ff7fffff'), random)).toBe(-largest);
      expect(roundBf16Stochastic(Infinity, random)).toBe(Infinity);
      expect(roundBf16Stochastic(NaN, random)).toBeNaN();
      expect(roundBf16Stochastic(largest, random)).toBe(largest);
    }
  });

  it('rounds weights and momentum of a state independently, row by global row, step by step', () => {
    const values = { weights: normals(1, 60), momentum: normals(2, 60) };
    const state = roundState(values, 20, 7, 3n);
    expect(roundState(state, 20, 7, 9n)).toEqual(state);
    const rowAlone = roundState({ weights: values.weights.slice(40), momentum: values.momentum.slice(40) }, 20, 9, 3n);
    expect(rowAlone.weights).toEqual(state.weights.slice(40));
    expect(rowAlone.momentum).toEqual(state.momentum.slice(40));
    expect(roundState(values, 20, 7, 4n).weights).not.toEqual(state.weights);
    expect(roundState({ ...values, momentum: values.weights }, 20, 7, 3n).momentum).not.toEqual(state.weights);
  });
});

describe('bf16 operands', () => {
  it('leave target terms, norms and projections exact', () => {
    const { centers, batch } = problem(21, 5, 7, 6);
    const [exact, rounded] = [forward([centers], batch), forward([{ ...centers, operands: 'bf16' }], batch)];
    expect(rounded.targetLogits).toEqual(exact.targetLogits);
    expect(rounded.targetCosine).toEqual(exact.targetCosine);
    expect(rounded.loss).not.toBe(exact.loss);
    expect(Math.abs(rounded.loss - exact.loss) / exact.loss).toBeLessThan(0.01);
    const gradient = centerGradient({ ...centers, operands: 'bf16' }, [rounded]);
    for (let j = 0; j < 7; j++) {
      const [w, dw] = [centers.weights, gradient].map((rows) => Array.from(rows.slice(6 * j, 6 * j + 6))) as [
        number[],
        number[],
      ];
      const along = w.reduce((sum, value, d) => sum + value * dw[d]!, 0);
      expect(Math.abs(along)).toBeLessThan(1e-12 * norm(w) * Math.max(norm(dw), 1));
    }
  });

  it('are those of the definition, written out', () => {
    const dim = 6;
    const { centers, batch } = problem(22, 3, 4, dim);
    const scale = batch.rule.scale;
    const step = forward([{ ...centers, operands: 'bf16' }], batch);
    const rowOf = (values: ArrayLike<number>, r: number) => Array.from({ length: dim }, (_, d) => values[r * dim + d]!);
    for (let i = 0; i < 3; i++) {
      const x = rowOf(batch.embeddings, i);
      const logits = [0, 1, 2, 3]
        .filter((j) => j !== batch.labels[i])
        .map((j) => {
          const w = rowOf(centers.weights, j);
          const product = x.reduce((sum, value, d) => sum + roundBf16(value / norm(x)) * roundBf16(w[d]!), 0);
          return (scale * product) / norm(w);
        });
      const negatives = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      const loss = Math.log1p(Math.exp(negatives - step.targetLogits[i]!));
      expectClose([step.sampleLoss[i]!], [loss], 1e-12);
    }
  });

  it('change nothing where the numbers are bf16 already', () => {
    const { centers, batch } = problem(23, 4, 5, 4);
    const weights = Float64Array.from(centers.weights, roundBf16);
    // Unit vectors whose elements are ±1/2: exact.
    const embeddings = Float64Array.from(batch.embeddings, (value) => (value < 0 ? -3 : 3));
    const exact = forward([{ ...centers, weights }], { ...batch, embeddings });
    const rounded = forward([{ ...centers, weights, operands: 'bf16' }], { ...batch, embeddings });
    expectClose(rounded.sampleLoss, exact.sampleLoss, 1e-14);
    expectClose(rounded.embeddingGradient, exact.embeddingGradient, 1e-14);
  });
});
