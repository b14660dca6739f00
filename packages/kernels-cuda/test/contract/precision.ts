import type { Precision } from '../../dist/index.js';
import { roundBf16 } from '../../dist/reference/index.js';
import type { Tolerance } from './compare.js';
import type { ContractCenters, Implementation } from './implementation.js';

type Precise = Pick<Implementation, 'precision'>;

/** docs/numerics.md, "Tolerances": against float64 on the same operands. */
const TOLERANCES: Record<Precision, Tolerance> = {
  fp32: { relativeNorm: 1e-5, worstRow: 1e-4 },
  bf16: { relativeNorm: 2e-3, worstRow: 1e-2 },
  'bf16-master': { relativeNorm: 2e-3, worstRow: 1e-2 },
};

/** For loss, dX and dW. */
export function toleranceOf({ precision = 'fp32' }: Precise): Tolerance {
  return TOLERANCES[precision];
}

/**
 * For weights and momentum after an update. A bf16 master rounds them with the random bits that the reference takes too, but an error
 * of the gradient decides some of the roundings otherwise: by one unit in the last place, 2⁻⁷ at most.
 */
export function updateToleranceOf({ precision = 'fp32' }: Precise): Tolerance {
  return precision === 'bf16-master' ? { relativeNorm: 5e-3, worstRow: 1e-2 } : TOLERANCES[precision];
}

/** Multiplies every bound: for what adds up the errors of several steps. */
export function times(factor: number, { relativeNorm, worstRow }: Tolerance): Tolerance {
  return { relativeNorm: factor * relativeNorm, worstRow: factor * worstRow };
}

/** `centers` with numbers that the implementation can hold, and with the operands that its products take. */
export function storedCenters({ precision = 'fp32' }: Precise, centers: ContractCenters): ContractCenters {
  if (precision === 'fp32') return centers;
  const operands = 'bf16' as const;
  if (precision === 'bf16') return { ...centers, operands };
  const [weights, momentum] = [centers.weights.map(roundBf16), centers.momentum.map(roundBf16)];
  return { ...centers, weights, momentum, secondMoment: centers.secondMoment?.map(roundBf16), operands };
}
