import { checkMarginRule } from '@hyperarc/kernels-cuda/margin';
import type { Adaptation, MarginParameter } from './adaptation.js';
import { checkFlag, checkNumber, checkNumbers, checkOneOf, fail, type NumberRange } from './check-options.js';
import type { MarginSpec } from './spec.js';

type Kind = Adaptation['kind'];

/** Angular margins, radians, and margins in cosine. */
export const ANGLE: NumberRange = { low: -Math.PI / 2, high: Math.PI / 2 };
export const COSINE: NumberRange = { low: -1, high: 1 };
export const SEED: NumberRange = { low: 0, high: Number.MAX_SAFE_INTEGER, integer: true };
const NORM: NumberRange = { low: 0, high: 1e6, openLow: true };
const PARAMETERS: readonly MarginParameter[] = ['m2', 'm3'];
const SHARE: NumberRange = { low: 0, high: 1, openLow: true };

/** Numbers of each kind. */
export const RANGES = {
  magnitude: {
    lowerNorm: NORM,
    upperNorm: NORM,
    lowerMargin: { low: 0, high: Math.PI / 2 },
    upperMargin: { low: 0, high: Math.PI / 2 },
    regularizer: { low: 0, high: 1e6 },
  },
  'norm-quality': {
    // m3 reaches 2·margin.
    margin: { low: 0, high: 0.5 },
    concentration: { low: 0, high: 10 },
    momentum: SHARE,
    initialMean: { low: 0, high: 1e6 },
    initialStddev: { low: 0, high: 1e6 },
  },
  curriculum: { momentum: SHARE },
  'random-margin': { stddev: { low: 0, high: 1 }, seed: SEED },
  'adaptive-scale': {},
  'class-margins': {},
  'norm-scale': { lowerNorm: { ...NORM, high: 1024 }, upperNorm: { ...NORM, high: 1024 } },
  annealing: {
    base: { low: 0, high: 1e9 },
    gamma: { low: 0, high: 1e6 },
    power: { low: 0, high: 100 },
    minimum: { low: 0, high: 1e9 },
  },
} as const satisfies Record<Kind, Record<string, NumberRange>>;

/** What an adaptation writes: no two may write the same. */
function written(adaptation: Adaptation): readonly string[] {
  switch (adaptation.kind) {
    case 'magnitude':
      return ['m2'];
    case 'norm-quality':
      return ['m2', 'm3'];
    case 'curriculum':
      return ['negatives'];
    case 'random-margin':
    case 'class-margins':
      return [adaptation.parameter];
    case 'adaptive-scale':
    case 'norm-scale':
      return ['scale'];
    case 'annealing':
      return ['blend'];
  }
}

/** The numbers of an adaptation, under the names that its factory's options have. @throws HyperArcError E_RANGE naming the field. */
export function checkFields(name: string, adaptation: Adaptation): void {
  const ranges: Record<string, NumberRange> = RANGES[adaptation.kind];
  const fields = adaptation as unknown as Record<string, unknown>;
  for (const [field, range] of Object.entries(ranges)) checkNumber(`${name}.${field}`, fields[field], range);
  switch (adaptation.kind) {
    case 'magnitude': {
      const { lowerNorm, upperNorm, lowerMargin, upperMargin } = adaptation;
      if (upperNorm <= lowerNorm) fail(`${name}.upperNorm`, `a number above lowerNorm, ${lowerNorm}`, upperNorm);
      if (upperMargin < lowerMargin) {
        const why = 'MagFace asks more of embeddings that are longer';
        fail(`${name}.upperMargin`, `a number of at least lowerMargin, ${lowerMargin}`, upperMargin, why);
      }
      break;
    }
    case 'norm-scale': {
      const { lowerNorm, upperNorm } = adaptation;
      if (upperNorm < lowerNorm) fail(`${name}.upperNorm`, `a number of at least lowerNorm, ${lowerNorm}`, upperNorm);
      break;
    }
    case 'random-margin':
      checkOneOf(`${name}.parameter`, adaptation.parameter, PARAMETERS);
      checkFlag(`${name}.sorted`, adaptation.sorted);
      break;
    case 'class-margins':
      checkOneOf(`${name}.parameter`, adaptation.parameter, PARAMETERS);
      checkNumbers(`${name}.margins`, adaptation.margins, adaptation.parameter === 'm2' ? ANGLE : COSINE);
      break;
    default:
  }
}

/** What an adaptation needs of the rule that it moves. */
function checkFit(name: string, adaptation: Adaptation, spec: MarginSpec): void {
  const { family = 'cosine', fallback, negatives } = spec;
  const { kind } = adaptation;
  if (written(adaptation).includes('m2') && family !== 'cosine') {
    fail(name, "a kind that leaves m2 as it is: it is an additive margin in the family 'cosine' alone", kind);
  }
  if (family === 'circle' && kind !== 'annealing') {
    fail(name, "no such kind: Circle loss's targets and negatives share one margin and one scale", kind);
  }
  if (kind === 'class-margins' && adaptation.parameter === 'm2' && fallback === 'easy') {
    checkNumbers(`${name}.margins`, adaptation.margins, { ...ANGLE, low: 0 }, "'easy' is for margins ≥ 0");
  }
  if (kind === 'norm-quality' && fallback === 'easy') {
    fail('margin.fallback', "'clip', 'hard' or 'none'", fallback, "AdaFace's m2 has both signs; 'easy' is for m2 ≥ 0");
  }
  if (kind === 'norm-scale' && negatives) {
    const why = 'the gradient through ‖x‖ would need Σ q·N(c), which the engine does not form';
    fail(name, 'no scale from ‖x‖ where a rule moves the negatives', kind, why);
  }
  if (kind === 'adaptive-scale' && negatives) {
    fail(
      name,
      'no adaptive scale where a rule moves the negatives',
      kind,
      'AdaCos derives its scale from plain cosines',
    );
  }
  if (kind === 'curriculum' && negatives?.threshold !== 'target') {
    const expected = "'target': CurricularFace's negatives are hard where they pass the sample's own target";
    fail('margin.negatives.threshold', expected, negatives?.threshold);
  }
}

function checkAdaptations(spec: MarginSpec): void {
  const { adaptive } = spec;
  if (adaptive === undefined) return;
  if (!Array.isArray(adaptive)) fail('margin.adaptive', 'an array', adaptive);
  const writers = new Map<string, Kind>();
  adaptive.forEach((adaptation: Adaptation, i) => {
    const name = `margin.adaptive[${i}]`;
    if (typeof adaptation !== 'object' || adaptation === null) fail(name, 'an object', adaptation);
    checkOneOf(`${name}.kind`, adaptation.kind, Object.keys(RANGES));
    checkFields(name, adaptation);
    checkFit(name, adaptation, spec);
    for (const target of written(adaptation)) {
      const other = writers.get(target);
      if (other !== undefined) fail(name, `a kind that leaves ${target} to '${other}'`, adaptation.kind);
      writers.set(target, adaptation.kind);
    }
  });
}

/**
 * Returns `spec` after checking every field and what they are together.
 * @throws HyperArcError E_RANGE naming the field.
 */
export function checkMarginSpec(spec: MarginSpec): MarginSpec {
  const { fallback, m2 } = checkMarginRule(spec);
  if (typeof spec.name !== 'string' || spec.name === '') fail('margin.name', 'a word', spec.name);
  if (fallback === 'easy' && m2 < 0) {
    const why = 'with m2 < 0 the angle θ + m2 never passes π: there is nothing to fall back from';
    fail('margin.fallback', "'hard', 'none' or 'clip' where m2 < 0", fallback, why);
  }
  checkAdaptations(spec);
  return spec;
}
