import { alignColumns, farNotes, percent, powerOfTen } from '../textTable.js';
import type { MegaFaceEvaluation } from './evaluateMegaFace.js';

/** The tables of an evaluation, for a terminal. */
export function formatMegaFace(evaluation: MegaFaceEvaluation): string {
  const { people, probes, distractors, pairs, identification, verification } = evaluation;
  const removed = `${evaluation.noisyDistractors} distractors left out, ${evaluation.noisyProbeImages} probes ${evaluation.noisyProbes === 'center' ? "replaced by their person's mean" : 'left out'}`;
  return [
    `MegaFace${evaluation.cleaned ? ' (R)' : ''}, ${evaluation.source}: ${probes} probes of ${people} people, ${distractors} distractors`,
    evaluation.cleaned ? `cleaned: ${removed}` : 'not cleaned',
    '',
    `identification  ${pairs} pairs of probe and mate`,
    ...alignColumns([
      ['rank', ...identification.map(({ rank }) => `${rank}`)],
      ['rate %', ...identification.map(({ rate }) => percent(rate))],
    ]),
    '',
    `verification  ${pairs} genuine and ${verification.impostorPairs} impostor pairs, TAR % at the largest FAR not above`,
    ...alignColumns([
      ['FAR', ...verification.tarAtFar.map(({ far }) => powerOfTen(far))],
      ['TAR %', ...verification.tarAtFar.map(({ tar }) => percent(tar))],
    ]),
    ...farNotes(verification.tarAtFar),
  ].join('\n');
}
