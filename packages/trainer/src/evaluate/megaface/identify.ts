import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { cosineBlocks, type CosineOptions } from '../search/cosineBlocks.js';
import { rowCount, type Features } from '../search/features.js';
import {
  searchDistractors,
  type DistractorSearchOptions,
  type DistractorVerification,
  type IndexFigures,
} from './searchDistractors.js';

/** Share of the probe pairs whose mate is among the first `rank` of a gallery with the distractors. */
export interface RankFigure {
  rank: number;
  rate: number;
}

export interface MegaFaceFigures {
  people: number;
  probes: number;
  distractors: number;
  /** Ordered pairs of a person's images: (probe, mate in the gallery). */
  pairs: number;
  /** With an index upper bounds: a distractor that was not found cannot come before a mate. */
  identification: RankFigure[];
  /** Genuine: the pairs; impostors: every probe with every distractor, so null with an index, which sees some of them. */
  verification: DistractorVerification | null;
  /** null: the distractors were searched exactly. */
  index: IndexFigures | null;
}

export interface MegaFaceOptions extends DistractorSearchOptions {
  /** Default 1, 5, 10. */
  readonly ranks?: readonly number[];
}

/**
 * MegaFace challenge 1 (Kemelmacher-Shlizerman et al., CVPR 2016): each image of a person is searched for with each other image of that person
 * alone in a gallery of distractors. The mate's rank is one more than the number of distractors that are at least as similar. Verification: TAR
 * over the same pairs at the largest FAR not above those asked for, over all probes × distractors. With an index the rates are upper bounds, its recall
 * stands beside them, and there is no verification.
 *
 * @param probes [M, D]
 * @param people [M] the person of each probe
 * @param distractors [N, D]
 * @throws HyperArcError E_SHAPE, E_RANGE (nobody with two images), E_NONFINITE; E_DEVICE, E_MEMORY from the engine.
 */
export async function evaluateDistractors(
  probes: Features,
  people: readonly string[],
  distractors: Features,
  options: MegaFaceOptions = {},
): Promise<MegaFaceFigures> {
  const { ranks = [1, 5, 10], device } = options;
  const engine = device === undefined ? {} : { device };
  const [probeRows, distractorRows] = [rowCount('probes', probes), rowCount('distractors', distractors)];
  if (people.length !== probeRows) {
    throw new HyperArcError(
      'E_SHAPE',
      `people: expected one for each of the ${probeRows} probes, received ${people.length}`,
    );
  }
  const mates = await matesOf(probes, people, engine);
  const pairs = mates.reduce((sum, scores) => sum + scores.length, 0);
  if (pairs === 0)
    throw new HyperArcError('E_RANGE', 'people: expected somebody with two images, received one image each');

  const depth = Math.min(Math.max(...ranks), distractorRows);
  const found = await searchDistractors(probes, distractors, depth, mates, options);
  return {
    people: new Set(people).size,
    probes: probeRows,
    distractors: distractorRows,
    pairs,
    identification: ranks.map((rank) => ({ rank, rate: foundWithin(rank, mates, depth, found.cosines) / pairs })),
    verification: found.verification,
    index: found.index,
  };
}

/** For each probe the cosines to the other images of its person, from the same engine as those to the distractors. */
async function matesOf(probes: Features, people: readonly string[], engine: CosineOptions): Promise<number[][]> {
  const mates = people.map((): number[] => []);
  for await (const block of cosineBlocks(probes, probes, engine)) {
    for (let i = 0; i < block.probes; i++) {
      const probe = block.firstProbe + i;
      for (let j = 0; j < block.rows; j++) {
        const other = block.firstRow + j;
        if (other !== probe && people[other] === people[probe])
          mates[probe]!.push(block.cosines[i * block.stride + j]!);
      }
    }
  }
  return mates;
}

/** How many pairs have fewer than `rank` distractors at least as similar as the mate. */
function foundWithin(rank: number, mates: readonly number[][], depth: number, cosines: Float32Array): number {
  let found = 0;
  for (const [probe, scores] of mates.entries()) {
    // With fewer distractors than `rank` the mate is always within it.
    const last = rank <= depth ? cosines[probe * depth + rank - 1]! : -Infinity;
    for (const score of scores) if (score > last) found += 1;
  }
  return found;
}
