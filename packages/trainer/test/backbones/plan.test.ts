import { describe, expect, it } from 'vitest';

import { backboneNames, describeBackbone } from '../../dist/backbones/index.js';

describe('describeBackbone', () => {
  // arcface_torch's sum over parameters(), and its multiply-accumulates of convolutions and dense layers, at 112×112 → 512. The
  // published figures are these in M and G: 24.03/2.61, 34.14/4.46, 43.59/6.31, 65.16/12.09, 2.06/0.438.
  it.each([
    ['iresnet18', 24_025_600, 2_609_954_816],
    ['iresnet34', 34_139_328, 4_459_642_880],
    ['iresnet50', 43_590_848, 6_309_330_944],
    ['iresnet100', 65_156_160, 12_089_606_144],
    ['mobilefacenet', 2_059_520, 437_520_896],
  ])('counts %s', (name, parameters, macs) => {
    const description = describeBackbone(name);
    expect(description.parameters).toBe(parameters);
    expect(description.macs).toBe(macs);
    // The γ of an IResNet's output norm is frozen.
    expect(description.trainableParameters).toBe(name === 'mobilefacenet' ? parameters : parameters - 512);
  });

  it('counts our narrow networks', () => {
    const { parameters, stages } = describeBackbone('iresnet10-w16', { inputSize: 64, embeddingSize: 128 });
    expect(stages.map((s) => s.outputShape)).toEqual([
      [32, 32, 16],
      [32, 32, 16],
      [16, 16, 32],
      [8, 8, 64],
      [4, 4, 128],
      [128],
    ]);
    // Stem; identity block 16; blocks 16→32, 32→64, 64→128 with shortcuts; BN, dense 2048→128 with bias, BN.
    expect(parameters).toBe(480 + 4720 + 14_592 + 57_856 + 230_400 + 262_784);
  });

  it('counts the stages of an IResNet-18', () => {
    const stages = describeBackbone('iresnet18').stages;
    expect(stages.map((s) => s.stage)).toEqual(['stem', 'stage1', 'stage2', 'stage3', 'stage4', 'head']);
    const [block1, block2] = [
      // BN, conv, BN, PReLU, strided conv, BN; strided 1×1 shortcut, BN. Then the same without a shortcut.
      128 + 9 * 64 * 128 + 256 + 128 + 9 * 128 * 128 + 256 + 64 * 128 + 256,
      256 + 9 * 128 * 128 + 256 + 128 + 9 * 128 * 128 + 256,
    ];
    const macs = 9 * 64 * 128 * 56 ** 2 + 3 * 9 * 128 * 128 * 28 ** 2 + 64 * 128 * 28 ** 2;
    expect(stages[2]).toEqual({
      stage: 'stage2',
      outputShape: [28, 28, 128],
      layers: 16,
      parameters: block1 + block2,
      macs,
    });
  });

  it.each([...backboneNames])('adapts %s to other sizes', (name) => {
    const small = describeBackbone(name, { inputSize: 64, embeddingSize: 128 });
    expect(small.layers[small.layers.length - 1]!.outputShape).toEqual([128]);
    expect(small.macs).toBeLessThan(describeBackbone(name).macs);
  });

  it.each([
    [{ name: 'iresnet19' }, /E_RANGE: name: expected one of .*iresnet18.*, received 'iresnet19'/],
    [{ name: 'toString' }, /E_RANGE: name/],
    [{ inputSize: 100 }, /E_RANGE: inputSize: expected a positive multiple of 16 pixels, received 100/],
    [{ inputSize: 0 }, /E_RANGE: inputSize/],
    [{ inputSize: NaN }, /E_RANGE: inputSize/],
    [{ embeddingSize: 0 }, /E_RANGE: embeddingSize/],
    [{ dropout: 1 }, /E_RANGE: dropout/],
    [{ dropout: NaN }, /E_RANGE: dropout/],
    [{ seed: 2 ** 32 }, /E_RANGE: seed/],
  ])('refuses %j', (options, message) => {
    const { name = 'iresnet18', ...rest } = options as { name?: string };
    expect(() => describeBackbone(name, rest)).toThrow(message);
  });
});
