import fc from 'fast-check';
import { marginByName, withInterClassFilter, type MarginSpec } from '../dist/index.js';

/** A problem of random shape; embeddings [B, D] and centres [C, K, D] are fp32 numbers, of any length. */
export interface RandomProblem {
  readonly shape: {
    readonly batch: number;
    readonly classes: number;
    readonly subCenters: number;
    readonly dim: number;
  };
  readonly embeddings: Float32Array;
  readonly centers: Float32Array;
  readonly labels: Int32Array;
  readonly spec: MarginSpec;
}

const STEPS = 1_000_000;
/** Numbers evenly over [min, max], both ends among them: `fc.double` takes the bits of a number evenly, most of which are next to 0. */
export const number = (min: number, max: number) =>
  fc.integer({ min: 0, max: STEPS }).map((step) => (min * (STEPS - step) + max * step) / STEPS);
/** Every option may be left out, for its default. */
const options = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { requiredKeys: [] });
const gradient = fc.constantFrom('exact', 'straight-through');
/** Evenly over its orders of magnitude: where s is small, every class counts. */
const scale = number(-2, 8).map((power) => 2 ** power);
const angle = number(-Math.PI / 2, Math.PI / 2);
const cosine = number(-1, 1);
const common = { scale, gradient, fallback: fc.constantFrom('hard', 'easy', 'none', 'clip') };

type Options = Record<string, unknown>;

/** 'easy' is for m2 ≥ 0. */
function easyIsForPositive(given: Options, ...names: string[]): Options {
  if (given['fallback'] !== 'easy') return given;
  const positive = names
    .filter((name) => given[name] !== undefined)
    .map((name) => [name, Math.abs(given[name] as number)]);
  return { ...given, ...Object.fromEntries(positive) };
}

/** Random options by family, for heads of C classes. */
function familyOptions(classes: number): Record<string, fc.Arbitrary<Options>> {
  const ofClasses = (each: fc.Arbitrary<number>) => fc.array(each, { minLength: classes, maxLength: classes });
  const angular = (model: Record<string, fc.Arbitrary<unknown>>, ...names: string[]) =>
    options({ ...common, ...model }).map((given) => easyIsForPositive(given, ...names));
  return {
    normface: options(common),
    arcface: angular({ margin: angle }, 'margin'),
    cosface: options({ ...common, margin: cosine }),
    combined: angular({ m1: number(0.5, 4), m2: angle, m3: cosine }, 'm2'),
    sphereface: fc
      .record({ margin: number(1, 4), scale: fc.oneof(scale, fc.constant('norm')), gradient, annealed: fc.boolean() })
      .map(({ annealed, ...given }) => ({ ...given, annealing: annealed && {} })),
    magface: fc
      .record({
        ...common,
        lowerNorm: number(1, 10),
        upperNorm: number(20, 120),
        low: number(0, 0.8),
        more: number(0, 0.7),
      })
      // A λ_g for which none of these ranges is infeasible.
      .map(({ low, more, ...given }) => ({ ...given, lowerMargin: low, upperMargin: low + more, regularizer: 1e6 })),
    adaface: options({
      scale,
      gradient,
      fallback: fc.constantFrom('hard', 'none', 'clip'),
      margin: number(0, 0.5),
      concentration: number(0, 10),
    }),
    'mv-softmax': fc
      .record({
        ...common,
        base: fc.constantFrom('am', 'arc'),
        mode: fc.constantFrom('fixed', 'adaptive'),
        t: number(1, 4),
      })
      .chain((given) => number(0, 1).map((margin) => ({ ...given, margin }))),
    elasticface: angular({ base: fc.constantFrom('arc', 'cos'), margin: number(-1, 1), plus: fc.boolean() }, 'margin'),
    // Below three classes AdaCos has no scale; the number need not be the head's.
    adacos: fc.record({ classes: fc.integer({ min: 3, max: 1e6 }), dynamic: fc.boolean() }),
    'x2-softmax': options({ scale, gradient, a: number(-4, -0.01), h: angle, k: cosine }),
    'circle-softmax': options({ scale, gradient, margin: number(0, 1) }),
    'class-variant': fc.record({ ...common, counts: ofClasses(number(1, 1e6)), margin: number(0, 0.5) }),
    'group-margin': fc
      .record({
        ...common,
        margins: fc.array(number(0, 1), { minLength: 1, maxLength: 3 }),
        turn: ofClasses(number(0, 1)),
      })
      .map(({ turn, ...given }) => {
        const last = given.margins.length - 1;
        return { ...given, groups: turn.map((share) => Math.round(share * last)) };
      }),
  };
}

/** CurricularFace as it is at some point of training: t as it may be there, and nothing that adapts. */
const curricularFace: fc.Arbitrary<MarginSpec> = fc
  .record({ scale, gradient, margin: angle, t: number(-1, 1) })
  .map(({ t, ...given }) => {
    const { adaptive: _, ...spec } = marginByName('curricularface', given);
    const above = { value: [0, t, 1], slope: [t, 2] } as const;
    return { ...spec, negatives: { ...spec.negatives!, above } };
  });

/** A margin of a family, made by `marginByName` from random options. */
export function arbitrarySpec(family: string, classes: number): fc.Arbitrary<MarginSpec> {
  if (family === 'curricularface') return curricularFace;
  const plain = familyOptions(classes)[family]!.map((given) => marginByName(family, given));
  if (!['normface', 'arcface', 'cosface', 'combined', 'magface', 'adaface', 'x2-softmax'].includes(family))
    return plain;
  const threshold = fc.option(number(0, 1), { nil: undefined });
  return fc
    .tuple(plain, threshold)
    .map(([spec, at]) => (at === undefined ? spec : withInterClassFilter(spec, { threshold: at })));
}

/** Standard normal numbers that depend on `seed` alone (Lehmer's generator; Box and Muller). */
function normals(seed: number, count: number): Float32Array {
  let state = seed;
  const uniform = () => (state = (state * 48_271) % 0x7fff_ffff) / 0x7fff_ffff;
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

/** Problems for heads of a family: 1 to 4 samples, 1 to 6 classes of 1 to 3 sub-centres, 3 to 9 dimensions. */
export function arbitraryProblem(family: string): fc.Arbitrary<RandomProblem> {
  const shapes = fc.record({
    batch: fc.integer({ min: 1, max: 4 }),
    classes: fc.integer({ min: 1, max: 6 }),
    subCenters: fc.integer({ min: 1, max: 3 }),
    dim: fc.integer({ min: 3, max: 9 }),
  });
  return shapes.chain((shape) => {
    const { batch, classes, subCenters, dim } = shape;
    const label = fc.integer({ min: 0, max: classes - 1 });
    const labels = fc.array(label, { minLength: batch, maxLength: batch });
    const length = number(-1, 6).map((power) => 2 ** power);
    const seed = fc.integer({ min: 1, max: 1e9 });
    return fc.record({ labels, seed, length, spec: arbitrarySpec(family, classes) }).map((drawn) => {
      const values = normals(drawn.seed, batch * dim + classes * subCenters * dim);
      return {
        shape,
        embeddings: values.slice(0, batch * dim).map((value) => value * drawn.length),
        centers: values.slice(batch * dim),
        labels: Int32Array.from(drawn.labels),
        spec: drawn.spec,
      };
    });
  });
}
