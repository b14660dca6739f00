import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { planBackbone } from '../../dist/backbones/registry.js';
import { fromTorch, toTorch, type TorchWeight, torchWeights } from '../../dist/backbones/torchNames.js';

/** Of published_names.py, by arcface_torch's name. */
const published = JSON.parse(readFileSync(join(import.meta.dirname, 'published.json'), 'utf8')) as Record<
  string,
  { tensors: number; parameters: number; sha256: string }
>;

function weightOf(name: string, torchName: string, options = {}): TorchWeight {
  return torchWeights(planBackbone(name, options)).find((weight) => weight.torchName === torchName)!;
}

/** 0, 1, 2, … */
const counted = (size: number) => Float32Array.from({ length: size }, (_, i) => i);

describe('torchWeights', () => {
  it.each([
    ['iresnet18', 'r18'],
    ['iresnet34', 'r34'],
    ['iresnet50', 'r50'],
    ['iresnet100', 'r100'],
    ['iresnet200', 'r200'],
    ['mobilefacenet', 'mbf'],
    ['mobilefacenet-large', 'mbf_large'],
    ['vit-t', 'vit_t'],
    ['vit-s', 'vit_s'],
    ['vit-b', 'vit_b'],
    ['vit-l', 'vit_l_dp005_mask_005'],
  ])('names and shapes of %s are those of arcface_torch’s %s', (name, theirs) => {
    const lines = torchWeights(planBackbone(name)).map(
      ({ torchName, torchShape }) => `${torchName} ${torchShape.join('x')}`,
    );
    const sha256 = createHash('sha256').update(lines.sort().join('\n')).digest('hex');
    expect({ tensors: lines.length, sha256 }).toEqual({
      tensors: published[theirs]!.tensors,
      sha256: published[theirs]!.sha256,
    });
  });

  it('turns kernels from HWIO to OIHW', () => {
    const weight = weightOf('iresnet18', 'layer1.0.conv1.weight');
    expect(weight).toMatchObject({
      name: 'stage1/block1/conv1/kernel',
      shape: [3, 3, 64, 64],
      torchShape: [64, 64, 3, 3],
    });
    const theirs = toTorch(weight, counted(9 * 64 * 64));
    const [o, i, y, x] = [5, 7, 2, 1];
    expect(theirs[((o * 64 + i) * 3 + y) * 3 + x]).toBe(((y * 3 + x) * 64 + i) * 64 + o);
  });

  it('turns grouped kernels, whose output channels run within a group', () => {
    const weight = weightOf('mobilefacenet', 'layers.1.layers.0.weight');
    expect(weight).toMatchObject({ shape: [3, 3, 128, 2], torchShape: [128, 2, 3, 3] });
    const theirs = toTorch(weight, counted(9 * 128 * 2));
    // Output channel 2g + q reads input channels 2g + c.
    const [g, q, c, y, x] = [5, 1, 0, 0, 2];
    expect(theirs[(((2 * g + q) * 2 + c) * 3 + y) * 3 + x]).toBe(((y * 3 + x) * 128 + 2 * g + c) * 2 + q);
  });

  it('turns the rows of the dense layer after the flattening from HWC to CHW', () => {
    const weight = weightOf('iresnet18', 'fc.weight', { inputSize: 48, embeddingSize: 4, dropout: 0.1 });
    expect(weight).toMatchObject({ shape: [9 * 512, 4], torchShape: [4, 9 * 512] });
    const theirs = toTorch(weight, counted(9 * 512 * 4));
    const [d, c, y, x] = [3, 300, 2, 1];
    expect(theirs[d * 9 * 512 + (c * 3 + y) * 3 + x]).toBe(((y * 3 + x) * 512 + c) * 4 + d);
  });

  it('is undone by fromTorch', () => {
    for (const name of ['iresnet10-w16', 'mobilefacenet', 'vit-t']) {
      for (const weight of torchWeights(planBackbone(name, { inputSize: 32, embeddingSize: 4 }))) {
        const values = counted(weight.shape.reduce((product, size) => product * size, 1));
        const back = fromTorch(weight, toTorch(weight, values));
        expect(Buffer.compare(Buffer.from(back.buffer), Buffer.from(values.buffer)), weight.name).toBe(0);
      }
    }
  });

  it('refuses another number of values', () => {
    const weight = weightOf('iresnet18', 'conv1.weight');
    expect(() => fromTorch(weight, counted(5))).toThrow(/E_SHAPE: stem\/conv\/kernel: expected 1728 values/);
    expect(() => toTorch(weight, counted(5))).toThrow(/E_SHAPE: stem\/conv\/kernel/);
  });
});
