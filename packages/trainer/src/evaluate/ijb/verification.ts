import { nearestTar, scoreAuc, sortScores, strictTar, type TarFigure, type TarRule } from '../tarRules.js';
import type { TemplatePairs } from './lists.js';
import { templateCosine, type Templates } from './templates.js';

/** 1:1 verification of template pairs. */
export interface TemplateVerification {
  genuinePairs: number;
  impostorPairs: number;
  rule: TarRule;
  tarAtFar: TarFigure[];
  auc: number;
}

/** FARs of the published tables. */
export const IJB_FARS: readonly number[] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1];

/** Cosine of each pair, in the order of the list. */
export function pairScores({ vectorsTD, dim, rowOf }: Templates, pairs: TemplatePairs): Float64Array {
  const scores = new Float64Array(pairs.first.length);
  for (let p = 0; p < scores.length; p++) {
    scores[p] = templateCosine(vectorsTD, rowOf.get(pairs.first[p]!)!, vectorsTD, rowOf.get(pairs.second[p]!)!, dim);
  }
  return scores;
}

/**
 * @param scores [P] in the order of `pairs`
 * @throws HyperArcError E_RANGE when all pairs are of one kind.
 */
export function verifyTemplates(
  scores: Float64Array,
  { same }: TemplatePairs,
  rule: TarRule = 'nearest',
  fars: readonly number[] = IJB_FARS,
): TemplateVerification {
  const genuine = sortScores(
    'genuine',
    scores.filter((_, p) => same[p] === 1),
  );
  const impostor = sortScores(
    'impostor',
    scores.filter((_, p) => same[p] === 0),
  );
  return {
    genuinePairs: genuine.length,
    impostorPairs: impostor.length,
    rule,
    tarAtFar: (rule === 'nearest' ? nearestTar : strictTar)(genuine, impostor, fars),
    auc: scoreAuc(genuine, impostor),
  };
}
