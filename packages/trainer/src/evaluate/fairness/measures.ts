/** One group's false match rate and false non-match rate; null where there is no pair to measure it. */
export interface GroupRates {
  readonly fmr: number | null;
  readonly fnmr: number | null;
}

/** How unequal the rates of the groups are. null: undefined, see {@link measureFairness}. */
export interface FairnessMeasures {
  /** Fairness discrepancy rate, 1 is fair (de Freitas Pereira and Marcel, 2022): 1 − (αA + (1−α)B), A and B the largest differences. */
  readonly fdr: number | null;
  /** Inequity, 1 is fair (NIST FRVT, Grother 2021): (max/min FMR)^α · (max/min FNMR)^(1−α). */
  readonly inequity: number | null;
  /** Gini aggregation rate for biometric equitability, 0 is fair (Howard et al. 2022): αG(FMR) + (1−α)G(FNMR). */
  readonly garbe: number | null;
}

const largestDifference = (rates: readonly number[]): number => Math.max(...rates) - Math.min(...rates);

/** max/min; undefined when a group has no error. */
function ratio(rates: readonly number[]): number | null {
  const least = Math.min(...rates);
  return least === 0 ? null : Math.max(...rates) / least;
}

/** Gini coefficient with the correction n/(n−1): n/(n−1) · Σ_ij |x_i − x_j| / (2n²x̄). Undefined when all rates are 0. */
function gini(rates: readonly number[]): number | null {
  const n = rates.length;
  const sum = rates.reduce((total, rate) => total + rate, 0);
  if (sum === 0) return null;
  let differences = 0;
  for (const x of rates) for (const y of rates) differences += Math.abs(x - y);
  return differences / (2 * (n - 1) * sum);
}

/** `combine` of the two measures; one of weight 0 is left out, also when it is undefined. */
function weigh(
  alpha: number,
  ofFmr: number | null,
  ofFnmr: number | null,
  combine: (a: number, b: number) => number,
  neutral: number,
): number | null {
  const a = alpha === 0 ? neutral : ofFmr;
  const b = alpha === 1 ? neutral : ofFnmr;
  return a === null || b === null ? null : combine(a, b);
}

/**
 * The measures over groups. Undefined (null), not infinite, are: all, where a group lacks a rate that counts; inequity, where a
 * group has none of the errors; GARBE, where no group has any.
 * @param groups At least two.
 * @param alpha Weight of FMR against FNMR, in [0, 1].
 */
export function measureFairness(groups: readonly GroupRates[], alpha: number): FairnessMeasures {
  const measured = (rates: readonly (number | null)[], measure: (rates: readonly number[]) => number | null) =>
    rates.every((rate) => rate !== null) ? measure(rates) : null;
  const fmrs = groups.map(({ fmr }) => fmr);
  const fnmrs = groups.map(({ fnmr }) => fnmr);
  const both = (
    measure: (rates: readonly number[]) => number | null,
    combine: (a: number, b: number) => number,
    neutral: number,
  ) => weigh(alpha, measured(fmrs, measure), measured(fnmrs, measure), combine, neutral);
  const mean = (a: number, b: number): number => alpha * a + (1 - alpha) * b;
  return {
    fdr: both(largestDifference, (a, b) => 1 - mean(a, b), 0),
    inequity: both(ratio, (a, b) => a ** alpha * b ** (1 - alpha), 1),
    garbe: both(gini, mean, 0),
  };
}
