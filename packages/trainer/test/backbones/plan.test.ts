import { describe, expect, it } from 'vitest';

import { backboneNames, describeBackbone } from '../../dist/backbones/index.js';

describe('describeBackbone', () => {
  // arcface_torch's sum over parameters(), and its multiply-accumulates of convolutions and dense layers, at 112×112 → 512 (published.json). The
  // published figures are these in M and G: 24.03/2.61, 34.14/4.46, 43.59/6.31, 65.16/12.09, 2.06/0.438.
  it.each([
    ['iresnet18', 24_025_600, 2_609_954_816],
    ['iresnet34', 34_139_328, 4_459_642_880],
    ['iresnet50', 43_590_848, 6_309_330_944],
    ['iresnet100', 65_156_160, 12_089_606_144],
    ['iresnet200', 118_833_920, 23_418_945_536],
    ['mobilefacenet', 2_059_520, 437_520_896],
    ['mobilefacenet-large', 6_314_880, 1_816_482_816],
    ['vit-t', 19_137_792, 1_504_882_688],
    ['vit-s', 76_023_296, 5_746_548_736],
    ['vit-b', 113_833_472, 11_437_170_688],
    ['vit-l', 255_684_352, 25_337_794_560],
  ])('counts %s', (name, parameters, macs) => {
    const description = describeBackbone(name);
    expect(description.parameters).toBe(parameters);
    expect(description.macs).toBe(macs);
    // The γ of an IResNet's output norm is frozen.
    expect(description.trainableParameters).toBe(name.startsWith('iresnet') ? parameters - 512 : parameters);
  });

  it('counts IR-SE from IResNet: squeeze-and-excitation more, the first shortcut and the output norm less', () => {
    const blocks = { irse50: [3, 4, 14, 3], irse100: [3, 13, 30, 3] };
    for (const [name, counts] of Object.entries(blocks)) {
      const gates = counts.reduce((sum, count, stage) => sum + (count * 2 * (64 * 2 ** stage) ** 2) / 16, 0);
      const plain = describeBackbone(name.replace('irse', 'iresnet'));
      const { parameters, trainableParameters, macs } = describeBackbone(name);
      expect(parameters).toBe(plain.parameters + gates - (64 * 64 + 2 * 64) - 2 * 512);
      expect(trainableParameters).toBe(parameters);
      expect(macs).toBe(plain.macs + gates - 64 * 64 * 56 ** 2);
    }
    // 43.81 M and 6.30 G, as published.
    expect(describeBackbone('irse50')).toMatchObject({ parameters: 43_808_320, macs: 6_296_708_608 });
  });

  it('counts ResNet-50: ImageNet’s network without its classifier, a batch norm, a dense layer 2048·4·4 → 512, a batch norm', () => {
    const { parameters, stages } = describeBackbone('resnet50');
    // 25,557,032 parameters of torchvision's resnet50, 2,049,000 of them the classifier's.
    expect(parameters).toBe(25_557_032 - 2_049_000 + 2 * 2048 + 2048 * 16 * 512 + 512 + 2 * 512);
    expect(stages.map((s) => s.outputShape)).toEqual([
      [28, 28, 64],
      [28, 28, 256],
      [14, 14, 512],
      [7, 7, 1024],
      [4, 4, 2048],
      [512],
    ]);
  });

  it('follows arcface_torch’s vit: 144 tokens, drop path rising to its rate, patch dropout around the blocks', () => {
    const { layers } = describeBackbone('vit-s', { patchDropout: 0.3, dropPath: 0.22, seed: 4 });
    const find = (name: string) => layers.find((layer) => layer.name === name)!;
    expect(find('stem/positions').outputShape).toEqual([144, 512]);
    expect(find('stem/dropout').operation).toMatchObject({ kind: 'token-dropout', rate: 0.3 });
    expect(find('head/restore').inputs).toEqual(['head/norm', 'stem/dropout#1']);
    expect(layers.find((layer) => layer.name === 'block1/drop1')).toBeUndefined();
    expect(find('block2/drop1').operation).toMatchObject({ kind: 'drop-path', rate: 0.02 });
    expect(find('block12/drop2').operation).toMatchObject({ kind: 'drop-path', rate: 0.22 });
    expect(find('block3/relu6').outputShape).toEqual([144, 2048]);
    const seeds = layers.flatMap(({ operation }) => ('seed' in operation ? [operation.seed] : []));
    expect(new Set(seeds).size).toBe(23);
    const plain = describeBackbone('vit-s', { patchDropout: 0, dropPath: 0, activation: 'gelu' });
    expect(plain.layers.map(({ operation }) => operation.kind)).not.toContain('token-restore');
    expect(plain.layers.map(({ operation }) => operation.kind)).not.toContain('drop-path');
    expect(plain.layers.map(({ name }) => name)).toContain('block3/gelu');
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
    [{ patchDropout: 0.1 }, /E_RANGE: patchDropout: expected only with vit-t, vit-s, .*, received 0.1 with iresnet18/],
    [{ name: 'irse50', activation: 'gelu' }, /E_RANGE: activation: expected only with vit-t/],
    [
      { name: 'vit-t', dropout: 0.2 },
      /E_RANGE: dropout: expected 0 with vit-t, received 0.2; use patchDropout or dropPath/,
    ],
    [{ name: 'vit-t', patchDropout: 1 }, /E_RANGE: patchDropout: expected a number in \[0, 1\), received 1/],
    [{ name: 'vit-t', dropPath: NaN }, /E_RANGE: dropPath: expected a number in \[0, 1\), received NaN/],
    [{ name: 'vit-t', activation: 'tanh' }, /E_RANGE: activation: expected relu6 or gelu, received tanh/],
  ])('refuses %j', (options, message) => {
    const { name = 'iresnet18', ...rest } = options as { name?: string };
    expect(() => describeBackbone(name, rest)).toThrow(message);
  });
});
