import { describe, expect, it, vi } from 'vitest';
import * as heads from '../dist/index.js';
import {
  adaCos,
  adaFace,
  arcFace,
  checkMarginSpec,
  circleSoftmax,
  classVariant,
  combinedMargin,
  cosFace,
  curricularFace,
  elasticFace,
  feasibleRegularizer,
  groupMargin,
  magFace,
  mvSoftmax,
  normFace,
  presets,
  sphereFace,
  withInterClassFilter,
  x2Softmax,
  type MarginSpec,
} from '../dist/index.js';
import { expectCode } from './support.js';

const common = { scale: 64, fallback: 'hard', gradient: 'exact' };

/** One of every family. */
const all: Record<string, MarginSpec> = {
  ...presets,
  adacos: adaCos({ classes: 1000 }),
  adacosFixed: adaCos({ classes: 1000, dynamic: false }),
  classVariant: classVariant({ counts: [1, 16, 81] }),
  groupMargin: groupMargin({ groups: [0, 1, 1], margins: [0.3, 0.5] }),
  filtered: withInterClassFilter(arcFace()),
};

describe('margin specs', () => {
  it('have the field’s defaults', () => {
    expect(arcFace()).toEqual({ name: 'arcface', m1: 1, m2: 0.5, m3: 0, ...common });
    expect(cosFace()).toEqual({ name: 'cosface', m1: 1, m2: 0, m3: 0.35, ...common });
    expect(normFace()).toEqual({ name: 'normface', m1: 1, m2: 0, m3: 0, ...common });
    expect(combinedMargin()).toEqual({ name: 'combined', m1: 1, m2: 0.3, m3: 0.2, ...common });
    expect(x2Softmax()).toMatchObject({ family: 'quadratic', m1: 0.9, m2: 0, m3: -0.65, scale: 64, gradient: 'exact' });
    expect(circleSoftmax()).toMatchObject({ family: 'circle', scale: 256, m2: 0.25, gradient: 'straight-through' });
    expect(mvSoftmax({ base: 'arc' })).toMatchObject({ m2: 0.5, m3: 0, fallback: 'easy', scale: 32 });
    expect(elasticFace({ base: 'cos', plus: true }).adaptive).toEqual([
      { kind: 'random-margin', parameter: 'm3', stddev: 0.02, sorted: true, seed: 0 },
    ]);
  });

  it('are plain data: JSON gives them back, and they pass their own check', () => {
    for (const spec of Object.values(all)) {
      const copy = JSON.parse(JSON.stringify(spec)) as MarginSpec;
      expect(copy).toEqual(spec);
      expect(checkMarginSpec(copy)).toBe(copy);
    }
  });

  it('cannot be changed, inside either', () => {
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    for (const spec of Object.values(all)) expect(frozen(spec)).toBe(true);
    expect(Object.isFrozen(presets)).toBe(true);
  });

  it('take what they are given', () => {
    expect(arcFace({ scale: 30, margin: 0.3, fallback: 'easy', gradient: 'straight-through' })).toEqual({
      ...{ name: 'arcface', scale: 30, m1: 1, m2: 0.3, m3: 0, fallback: 'easy', gradient: 'straight-through' },
    });
    expect(sphereFace({ margin: 2, scale: 30, annealing: { base: 5, minimum: 0 } })).toMatchObject({
      ...{ m1: 2, scale: 30, adaptive: [{ kind: 'annealing', base: 5, gamma: 0.12, power: 1, minimum: 0 }] },
    });
    expect(sphereFace({ scale: 30, annealing: false }).adaptive).toBeUndefined();
  });

  it('class-variant margins fall with the fourth root of a class’s samples', () => {
    const { adaptive } = classVariant({ counts: [16, 1, 81], margin: 0.6, falseMargin: 0.1 });
    const [{ margins }] = adaptive as unknown as [{ margins: number[] }];
    expect(margins.map((margin) => margin.toFixed(12))).toEqual(['0.400000000000', '0.700000000000', '0.300000000000']);
  });

  it('AdaCos’s scale is √2·ln(C − 1)', () => {
    // e^(13.1043/√2) is 10574.
    expect(adaCos({ classes: 10575 }).scale).toBeCloseTo(13.1043, 4);
    expect(adaCos({ classes: 3 }).scale).toBeCloseTo(0.98026, 5);
    expect(adaCos({ classes: 10575, dynamic: false })).not.toHaveProperty('adaptive');
  });

  it('MagFace warns once of a λ_g below its bound, and names the bound', () => {
    expect(feasibleRegularizer(64, { lowerNorm: 10, upperNorm: 110, lowerMargin: 0.45, upperMargin: 0.8 })).toBeCloseTo(
      22.5867,
      4,
    );
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    magFace({ regularizer: 22.6 });
    expect(warn).not.toHaveBeenCalled();
    magFace({ regularizer: 22.5 });
    magFace({ regularizer: 22.5 });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toContain('magFace.regularizer: expected at least 22.587, received 22.5');
    warn.mockRestore();
  });
});

describe('bad margins', () => {
  const groups = { groups: [0, 1], margins: [0.1, 0.2] };
  it.each<[string, () => unknown]>([
    ['margin.scale', () => arcFace({ scale: 0 })],
    ['margin.scale', () => normFace({ scale: 2000 })],
    ['margin.scale', () => normFace({ scale: NaN })],
    ['margin.m1', () => combinedMargin({ m1: 0.1 })],
    ['arcFace.margin: expected a number in', () => arcFace({ margin: 2 })],
    ['cosFace.margin: expected a number in [-1, 1]', () => cosFace({ margin: -1.5 })],
    ['arcFace.margin', () => arcFace({ margin: '0.5' as unknown as number })],
    ['margin.fallback', () => arcFace({ fallback: 'soft' as 'hard' })],
    ['margin.gradient', () => arcFace({ gradient: 'true' as 'exact' })],
    ['arcFace.margn: expected one of the options margin, scale', () => arcFace({ margn: 0.5 } as object)],
    ['arcFace: expected an object', () => arcFace(null as never)],
    ['sphereFace.margin: expected a number in [1, 4], received 0.9', () => sphereFace({ margin: 0.9 })],
    ['margin.scale', () => sphereFace({ scale: 'length' as 'norm' })],
    ['sphereFace.annealing.start', () => sphereFace({ annealing: { start: 1 } as object })],
    ['sphereFace.annealing.gamma', () => sphereFace({ annealing: { gamma: -1 } })],
    ['sphereFace.annealing: expected false', () => sphereFace({ annealing: true as never })],
    ['magFace.lowerNorm', () => magFace({ lowerNorm: 0 })],
    ['magFace.upperNorm: expected a number above lowerNorm, 10', () => magFace({ upperNorm: 10 })],
    ['asks more of embeddings that are longer', () => magFace({ upperMargin: 0.4 })],
    ['magFace.regularizer', () => magFace({ regularizer: -1 })],
    ['adaFace.margin: expected a number in [0, 0.5]', () => adaFace({ margin: 0.6 })],
    ['adaFace.concentration', () => adaFace({ concentration: NaN })],
    ['adaFace.momentum: expected a number in (0, 1]', () => adaFace({ momentum: 0 })],
    ['curricularFace.momentum', () => curricularFace({ momentum: 1.1 })],
    ['mvSoftmax.t: expected a number in [1, 4], received 0.9', () => mvSoftmax({ t: 0.9 })],
    ['mvSoftmax.base', () => mvSoftmax({ base: 'cos' as 'am' })],
    ['mvSoftmax.mode', () => mvSoftmax({ mode: 'hard' as 'fixed' })],
    ['elasticFace.stddev', () => elasticFace({ stddev: -0.1 })],
    ['elasticFace.seed: expected an integer', () => elasticFace({ seed: 0.5 })],
    ['elasticFace.margin: expected a number in [-1, 1]', () => elasticFace({ base: 'cos', margin: 1.2 })],
    ['mvSoftmax.margin', () => mvSoftmax({ base: 'arc', margin: 2 })],
    ['curricularFace.margin', () => curricularFace({ margin: 2 })],
    ['elasticFace.plus: expected true or false', () => elasticFace({ plus: 1 as never })],
    ['adaCos.classes: expected an integer in [3,', () => adaCos({ classes: 2 })],
    ['x2Softmax.a', () => x2Softmax({ a: 0.9 })],
    ['x2Softmax.h', () => x2Softmax({ h: 2 })],
    ['x2Softmax.k', () => x2Softmax({ k: 1.1 })],
    ['circleSoftmax.margin', () => circleSoftmax({ margin: 1.1 })],
    ['classVariant.counts[1]: expected a number in [1,', () => classVariant({ counts: [3, 0] })],
    ['classVariant.counts: expected an array', () => classVariant({ counts: [] })],
    ['classVariant.falseMargin: expected at most', () => classVariant({ counts: [1], falseMargin: 0.6 })],
    [
      'groupMargin.groups[1]: expected an integer in [0, 1], received 2',
      () => groupMargin({ ...groups, groups: [0, 2] }),
    ],
    ['groupMargin.margins[0]', () => groupMargin({ ...groups, margins: [2, 0] })],
    ['withInterClassFilter.threshold', () => withInterClassFilter(arcFace(), { threshold: 1.5 })],
  ])('are refused by name: %s', (field, make) => expectCode(make, 'E_RANGE', field));

  const elastic = elasticFace().adaptive![0];
  it.each<[string, () => unknown]>([
    ['there is nothing to fall back from', () => arcFace({ margin: -0.2, fallback: 'easy' })],
    ['ψ(θ) falls on all of [0, π]', () => sphereFace({ fallback: 'hard' } as object)],
    ['a parabola in θ falls', () => x2Softmax({ fallback: 'hard' } as object)],
    ["Circle loss's target falls", () => circleSoftmax({ fallback: 'hard' } as object)],
    ['AdaCos has no margin', () => adaCos({ classes: 10, margin: 0.5 } as never)],
    ['the scale of AdaCos comes from the classes', () => adaCos({ classes: 10, scale: 64 } as never)],
    ["'easy' is for margins ≥ 0", () => groupMargin({ ...groups, margins: [0.5, -0.1], fallback: 'easy' })],
    ["AdaFace's m2 has both signs", () => adaFace({ fallback: 'easy' })],
    ['one rule for negatives at a time', () => withInterClassFilter(curricularFace())],
    ['the gradient through ‖x‖ would need', () => withInterClassFilter(sphereFace())],
    ['AdaCos derives its scale from plain cosines', () => withInterClassFilter(adaCos({ classes: 10 }))],
    [
      "a kind that leaves m2 to 'magnitude'",
      () => checkMarginSpec({ ...magFace(), adaptive: [...magFace().adaptive!, elastic] }),
    ],
    ["the family 'cosine' alone", () => checkMarginSpec({ ...sphereFace(), adaptive: [elastic] })],
    [
      'share one margin and one scale',
      () => checkMarginSpec({ ...circleSoftmax(), adaptive: [{ kind: 'adaptive-scale' }] }),
    ],
    ["pass the sample's own target", () => checkMarginSpec({ ...arcFace(), adaptive: curricularFace().adaptive! })],
    [
      'margin.adaptive[0].kind: expected one of magnitude',
      () => checkMarginSpec({ ...arcFace(), adaptive: [{ kind: 'warm' } as never] }),
    ],
    ['margin.adaptive[0]: expected an object', () => checkMarginSpec({ ...arcFace(), adaptive: [null as never] })],
    ['margin.adaptive: expected an array', () => checkMarginSpec({ ...arcFace(), adaptive: {} as never })],
    [
      'margin.adaptive[0].parameter',
      () => checkMarginSpec({ ...arcFace(), adaptive: [{ ...elastic, parameter: 'm1' } as never] }),
    ],
    ['margin.name', () => checkMarginSpec({ ...arcFace(), name: '' })],
  ])('that do not go together say why: %s', (why, make) => expectCode(make, 'E_RANGE', why));
});

it('the package exports every family', () => {
  expect(Object.keys(heads)).toEqual(expect.arrayContaining(['magFace', 'adaFace', 'presets', 'withInterClassFilter']));
});
