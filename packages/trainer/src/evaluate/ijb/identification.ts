import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { SubjectList } from './lists.js';
import { templateCosine, type Templates } from './templates.js';

/** True positive identification rate at a false positive identification rate. */
export interface TpirFigure {
  /** The FPIR asked for. */
  fpir: number;
  /** Share of the mated probes whose mate is first and scores above the threshold; null without non-mated probes. */
  tpir: number | null;
  threshold: number | null;
  /** Share of the non-mated probes whose best score is above the threshold. */
  measuredFpir: number | null;
}

/** Share of the mated probes whose mate is among the first `rank`. */
export interface CmcFigure {
  rank: number;
  rate: number;
}

/** Open-set identification of the probes in one gallery. */
export interface GalleryIdentification {
  gallery: string;
  templates: number;
  subjects: number;
  /** Probes whose subject the gallery has, and has not. */
  matedProbes: number;
  nonMatedProbes: number;
  tpirAtFpir: TpirFigure[];
  cmc: CmcFigure[];
}

/** 1:N identification: each gallery, and both together. */
export interface Identification {
  galleries: GalleryIdentification[];
  /** TPIR: mean of the galleries. CMC: of all mated probes of the galleries. */
  mean: { tpirAtFpir: { fpir: number; tpir: number | null }[]; cmc: CmcFigure[] };
}

export const IJB_FPIRS: readonly number[] = [0.01, 0.1];
export const IJB_RANKS: readonly number[] = [1, 5, 10];

/** What one probe saw in a gallery. */
interface Outcome {
  /** Best score of its own subject's templates; undefined when the gallery has none. */
  mate: number | undefined;
  /** Best score of the others. */
  other: number;
  /** How many templates of others score at least as the mate. */
  ahead: number;
}

function* outcomes(templates: Templates, gallery: SubjectList, probes: SubjectList): Generator<Outcome> {
  const { vectorsTD, dim, rowOf } = templates;
  const rows = Array.from(gallery.templates, (template) => rowOf.get(template)!);
  const scores = new Float64Array(rows.length);
  for (const [p, template] of probes.templates.entries()) {
    const probe = rowOf.get(template)!;
    let [mate, other] = [-Infinity, -Infinity];
    for (const [g, row] of rows.entries()) {
      const score = templateCosine(vectorsTD, probe, vectorsTD, row, dim);
      scores[g] = score;
      if (gallery.subjects[g] === probes.subjects[p]) mate = Math.max(mate, score);
      else other = Math.max(other, score);
    }
    let ahead = 0;
    for (const [g, score] of scores.entries())
      if (score >= mate && gallery.subjects[g] !== probes.subjects[p]) ahead += 1;
    yield { mate: mate === -Infinity ? undefined : mate, other, ahead };
  }
}

/**
 * Open-set identification by the 1:N protocol of IJB-B and IJB-C, as InsightFace's `evaluation_1N` computes it. The threshold of an FPIR f is the
 * non-mated probes' best scores in descending order at ⌊n·f⌋ − 1 (0 at least); a mated probe counts if its mate scores above it and
 * above everybody else. Ties count against the model: a mate's rank is one more than the number of other templates that score at least as much,
 * so nothing depends on order.
 *
 * @throws HyperArcError E_RANGE if no probe is mated.
 */
export function identifyInGallery(
  name: string,
  templates: Templates,
  gallery: SubjectList,
  probes: SubjectList,
  fpirs: readonly number[] = IJB_FPIRS,
  ranks: readonly number[] = IJB_RANKS,
): GalleryIdentification {
  const mated: Outcome[] = [];
  const nonMated: number[] = [];
  for (const outcome of outcomes(templates, gallery, probes)) {
    if (outcome.mate === undefined) nonMated.push(outcome.other);
    else mated.push(outcome);
  }
  if (mated.length === 0) {
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected probes of the gallery's subjects, received none; do the lists belong together?`,
    );
  }
  const best = Float64Array.from(nonMated).sort().reverse();
  return {
    gallery: name,
    templates: gallery.templates.length,
    subjects: new Set(gallery.subjects).size,
    matedProbes: mated.length,
    nonMatedProbes: best.length,
    tpirAtFpir: fpirs.map((fpir) => tpirAt(fpir, mated, best)),
    cmc: ranks.map((rank) => ({ rank, rate: mated.filter(({ ahead }) => ahead < rank).length / mated.length })),
  };
}

function tpirAt(fpir: number, mated: readonly Outcome[], nonMated: Float64Array): TpirFigure {
  if (nonMated.length === 0) return { fpir, tpir: null, threshold: null, measuredFpir: null };
  const threshold = nonMated[Math.max(Math.floor(nonMated.length * fpir) - 1, 0)]!;
  const found = mated.filter(({ mate, other }) => mate! > other && mate! > threshold).length;
  const raised = nonMated.filter((score) => score > threshold).length;
  return { fpir, tpir: found / mated.length, threshold, measuredFpir: raised / nonMated.length };
}

/** Both galleries' figures as one. */
export function combineGalleries(galleries: readonly GalleryIdentification[]): Identification {
  const probes = galleries.reduce((sum, { matedProbes }) => sum + matedProbes, 0);
  const mean = {
    tpirAtFpir: galleries[0]!.tpirAtFpir.map(({ fpir }, f) => {
      const rates = galleries.map(({ tpirAtFpir }) => tpirAtFpir[f]!.tpir);
      const known = rates.every((rate) => rate !== null);
      return { fpir, tpir: known ? rates.reduce((sum, rate) => sum + rate!, 0) / rates.length : null };
    }),
    cmc: galleries[0]!.cmc.map(({ rank }, r) => ({
      rank,
      rate: galleries.reduce((sum, { cmc, matedProbes }) => sum + cmc[r]!.rate * matedProbes, 0) / probes,
    })),
  };
  return { galleries: [...galleries], mean };
}
