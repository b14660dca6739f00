import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Face } from '../../../dist/data/detect/face.js';
import { letterbox, type InputRule, type InputSize } from '../../../dist/data/detect/letterbox.js';
import { suppressOverlaps } from '../../../dist/data/detect/nms.js';
import { recogniseDetector } from '../../../dist/data/detect/recognise.js';

interface Expected {
  decodings: {
    name: string;
    kind: string;
    size: InputSize;
    outputs: { name: string; dims: number[]; data: string }[];
    candidates: Face[];
    kept: number[];
  }[];
  letterboxes: {
    image: { width: number; height: number; data: string };
    size: InputSize;
    rule: InputRule;
    fitted: [number, number];
    values: string;
  }[];
}
const expected = JSON.parse(readFileSync(new URL('reference/expected.json', import.meta.url), 'utf8')) as Expected;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
const floats = (text: string): Float32Array => new Float32Array(bytes(text).buffer);

const numbersOf = ({ score, box, points }: Face): number[] => [score, ...box, ...points.flat()];
function expectFaces(faces: readonly Face[], wanted: readonly Face[]): void {
  expect(faces).toHaveLength(wanted.length);
  faces.forEach((face, i) => {
    const numbers = numbersOf(wanted[i]!);
    numbersOf(face).forEach((value, at) => expect(value).toBeCloseTo(numbers[at]!, 9));
  });
}

describe('decoding', () => {
  it.each(expected.decodings)('of $name is that of the NumPy script', ({ kind, size, outputs, candidates, kept }) => {
    const found = recogniseDetector('model.onnx', outputs, size);
    expect(found.kind.name).toBe(kind);
    const values = new Map(outputs.map(({ name, data }) => [name, floats(data)]));
    const { faces, bestScore } = found.decode(values, 0.5);
    expect(candidates.length).toBeGreaterThan(20);
    expectFaces(faces, candidates);
    expect(bestScore).toBeCloseTo(Math.max(...candidates.map(({ score }) => score)), 9);
    // Some were suppressed, and some were as sure as others.
    expect(kept.length).toBeLessThan(candidates.length);
    expect(new Set(candidates.map(({ score }) => score)).size).toBeLessThan(candidates.length);
    expectFaces(
      suppressOverlaps(faces, found.kind.overlaps),
      kept.map((index) => candidates[index]!),
    );
  });

  it('takes the outputs in any order, but for those of one size', () => {
    const [{ outputs, size, candidates }] = expected.decodings as [Expected['decodings'][0]];
    const { decode } = recogniseDetector('model.onnx', outputs.toReversed(), size);
    expectFaces(decode(new Map(outputs.map(({ name, data }) => [name, floats(data)])), 0.5).faces, candidates);
  });

  it('refuses outputs of other sizes, and names them', () => {
    const [{ outputs, size }] = expected.decodings as [Expected['decodings'][0]];
    const other = outputs.map((output, i) => (i === 4 ? { ...output, dims: [48, 5] } : output));
    expect(() => recogniseDetector('m.onnx', other, size)).toThrow(/^E_FORMAT: m\.onnx: .*received 9 for .*\[48, 5\]/);
    const maps = outputs.map((output) => ({ ...output, dims: [1, 2, 8, 12] }));
    expect(() => recogniseDetector('m.onnx', maps, size)).toThrow(/score_8 \[1, 2, 8, 12\], /);
    expect(() => recogniseDetector('m.onnx', [], size)).toThrow(/received 0 for an input of 96×64/);
  });
});

describe('suppressOverlaps', () => {
  const face = (score: number, ...box: [number, number, number, number]): Face => ({ score, box, points: [] });

  it('keeps the first of equals, and what overlaps by no more than the rule', () => {
    const [a, b, c] = [face(0.9, 0, 0, 9, 9), face(0.9, 1, 0, 10, 9), face(0.95, 100, 0, 109, 9)];
    expect(suppressOverlaps([a, b, c], { overlap: 0.4, pixel: 1 })).toEqual([c, a]);
    expect(suppressOverlaps([b, a], { overlap: 0.4, pixel: 1 })).toEqual([b]);
    // 5 of 15 columns in common.
    const half = face(0.5, 5, 0, 14, 9);
    expect(suppressOverlaps([a, half], { overlap: 1 / 3, pixel: 1 })).toEqual([a, half]);
    expect(suppressOverlaps([a, half], { overlap: 0.33, pixel: 1 })).toEqual([a]);
    // Of edges: 4 of 14.
    expect(suppressOverlaps([a, half], { overlap: 0.3, pixel: 0 })).toEqual([a, half]);
  });

  it('does not take boxes without area for overlapping', () => {
    const empty = [face(0.9, 5, 5, 5, 5), face(0.8, 5, 5, 5, 5), face(0.7, 9, 9, 2, 2)];
    expect(suppressOverlaps(empty, { overlap: 0.3, pixel: 0 })).toEqual(empty);
  });
});

describe('letterbox', () => {
  it.each(expected.letterboxes)('of $image.width×$image.height is that of the NumPy script', (wanted) => {
    const image = { ...wanted.image, data: bytes(wanted.image.data) };
    const { values, scale } = letterbox(image, wanted.size, wanted.rule);
    expect(scale).toEqual([wanted.fitted[0] / image.width, wanted.fitted[1] / image.height]);
    const theirs = floats(wanted.values);
    expect(values).toHaveLength(theirs.length);
    // One grey level is 1/deviation; a sum that is a half may be rounded either way.
    const differing = values.filter((value, i) => Math.abs(value - theirs[i]!) > 1e-6);
    expect(differing.length).toBeLessThanOrEqual(values.length / 500);
    values.forEach((value, i) => expect(Math.abs(value - theirs[i]!)).toBeLessThan(1.01 / wanted.rule.deviation));
  });
});
