import { describe, expect, it } from 'vitest';
import { arcFace, combinedMargin, cosFace, normFace, presets } from '../dist/index.js';
import { expectCode } from './support.js';

describe('margin specs', () => {
  it('have the field’s defaults', () => {
    const common = { scale: 64, fallback: 'hard', gradient: 'exact' };
    expect(arcFace()).toEqual({ name: 'arcface', m1: 1, m2: 0.5, m3: 0, ...common });
    expect(cosFace()).toEqual({ name: 'cosface', m1: 1, m2: 0, m3: 0.35, ...common });
    expect(normFace()).toEqual({ name: 'normface', m1: 1, m2: 0, m3: 0, ...common });
    expect(combinedMargin()).toEqual({ name: 'combined', m1: 1, m2: 0.3, m3: 0.2, ...common });
    expect(presets.sphereFaceLike).toMatchObject({ m1: 1.35, m2: 0, m3: 0 });
    expect(presets.arcFaceTorch).toMatchObject({ m2: 0.5, fallback: 'none', gradient: 'straight-through' });
    expect(presets.cosFaceTorch.m3).toBe(0.4);
  });

  it('cannot be changed', () => {
    expect(Object.isFrozen(arcFace())).toBe(true);
    expect(Object.isFrozen(presets)).toBe(true);
  });

  it('take what they are given', () => {
    expect(arcFace({ scale: 30, margin: 0.3, fallback: 'easy', gradient: 'straight-through' })).toEqual({
      ...{ name: 'arcface', scale: 30, m1: 1, m2: 0.3, m3: 0, fallback: 'easy', gradient: 'straight-through' },
    });
  });

  it.each([
    ['margin.scale', () => arcFace({ scale: 0 })],
    ['margin.scale', () => normFace({ scale: 2000 })],
    ['margin.scale', () => normFace({ scale: NaN })],
    ['margin.m1', () => combinedMargin({ m1: 0.1 })],
    ['margin.m2', () => arcFace({ margin: 2 })],
    ['margin.m3', () => cosFace({ margin: -1.5 })],
    ['margin.m2', () => arcFace({ margin: '0.5' as unknown as number })],
    ['margin.fallback', () => arcFace({ fallback: 'soft' as 'hard' })],
    ['margin.gradient', () => arcFace({ gradient: 'true' as 'exact' })],
  ])('refuse a bad %s', (field, make) => expectCode(make, 'E_RANGE', field));
});
