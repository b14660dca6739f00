import type { RecallFigure } from '../search/approximate/recall.js';
import { alignColumns, farNotes, percent, powerOfTen } from '../textTable.js';
import type { MegaFaceEvaluation } from './evaluateMegaFace.js';
import type { IndexFigures } from './searchDistractors.js';

/** The tables of an evaluation, for a terminal. */
export function formatMegaFace(evaluation: MegaFaceEvaluation): string {
  const { people, probes, distractors, pairs, identification, index } = evaluation;
  const removed = `${evaluation.noisyDistractors} distractors left out, ${evaluation.noisyProbeImages} probes ${evaluation.noisyProbes === 'center' ? "replaced by their person's mean" : 'left out'}`;
  return [
    `MegaFace${evaluation.cleaned ? ' (R)' : ''}, ${evaluation.source}: ${probes} probes of ${people} people, ${distractors} distractors`,
    evaluation.cleaned ? `cleaned: ${removed}` : 'not cleaned',
    '',
    `identification  ${pairs} pairs of probe and mate${index === null ? '' : '; upper bounds, for the index misses some distractors'}`,
    ...alignColumns([
      ['rank', ...identification.map(({ rank }) => `${rank}`)],
      ['rate %', ...identification.map(({ rate }) => percent(rate))],
    ]),
    '',
    ...(index === null ? [] : indexLines(index)),
    ...verificationLines(evaluation),
  ].join('\n');
}

function indexLines({ lists, listsPerProbe, compared, recall }: IndexFigures): string[] {
  const { checked, probes } = recall[0]!;
  const of = checked === probes ? `all ${probes} probes` : `${checked} of the ${probes} probes, with 95% intervals`;
  return [
    `index  ${listsPerProbe} of ${lists} lists for each probe, ${percent(compared)}% of all cosines; recall by exact search of ${of}`,
    ...alignColumns([
      ['recall', ...recall.map(({ k }) => `@${k}`)],
      ['share %', ...recall.map(recallText)],
    ]),
    '',
  ];
}

/** 99.40 [98.25, 99.80] */
export function recallText({ recall, low, high, checked, probes }: RecallFigure): string {
  return checked === probes ? percent(recall) : `${percent(recall)} [${percent(low)}, ${percent(high)}]`;
}

function verificationLines({ pairs, verification }: MegaFaceEvaluation): string[] {
  if (verification === null)
    return ['verification  left out: it is over all impostor pairs, of which an index sees some'];
  const { impostorPairs, tarAtFar } = verification;
  return [
    `verification  ${pairs} genuine and ${impostorPairs} impostor pairs, TAR % at the largest FAR not above`,
    ...alignColumns([
      ['FAR', ...tarAtFar.map(({ far }) => powerOfTen(far))],
      ['TAR %', ...tarAtFar.map(({ tar }) => percent(tar))],
    ]),
    ...farNotes(tarAtFar),
  ];
}
