import { alignColumns, farNotes, percent, powerOfTen } from '../textTable.js';
import type { IjbEvaluation } from './evaluateIjb.js';

/** The tables of an evaluation, for a terminal. */
export function formatIjb(evaluation: IjbEvaluation): string {
  const { protocol, verification, identification, images, templates } = evaluation;
  const name = protocol === 'ijbc' ? 'IJB-C' : 'IJB-B';
  const yes = (on: boolean) => (on ? 'on' : 'off');
  return [
    `${name}, ${evaluation.source}: ${images} images, ${templates} templates`,
    `flip ${yes(evaluation.flip)}, norm score ${yes(evaluation.normScore)}, detector score ${yes(evaluation.detectorScore)}`,
    '',
    `1:1  ${verification.genuinePairs} genuine and ${verification.impostorPairs} impostor pairs, TAR % at the ${verification.rule === 'nearest' ? 'nearest FAR' : 'largest FAR not above'}`,
    ...alignColumns([
      ['FAR', ...verification.tarAtFar.map(({ far }) => powerOfTen(far)), 'AUC'],
      ['TAR %', ...verification.tarAtFar.map(({ tar }) => percent(tar)), verification.auc.toFixed(6)],
    ]),
    ...farNotes(verification.tarAtFar),
    ...(identification === null ? [] : ['', ...formatIdentification(identification)]),
  ].join('\n');
}

function formatIdentification({ galleries, mean }: NonNullable<IjbEvaluation['identification']>): string[] {
  const header = [
    '1:N gallery',
    'templates',
    'mated',
    'non-mated',
    ...mean.tpirAtFpir.map(({ fpir }) => `TPIR@${powerOfTen(fpir)} %`),
    ...mean.cmc.map(({ rank }) => `rank-${rank} %`),
  ];
  const rows = galleries.map((gallery) => [
    gallery.gallery,
    `${gallery.templates}`,
    `${gallery.matedProbes}`,
    `${gallery.nonMatedProbes}`,
    ...gallery.tpirAtFpir.map(({ tpir }) => percent(tpir)),
    ...gallery.cmc.map(({ rate }) => percent(rate)),
  ]);
  const both = [
    'mean',
    '',
    '',
    '',
    ...mean.tpirAtFpir.map(({ tpir }) => percent(tpir)),
    ...mean.cmc.map(({ rate }) => percent(rate)),
  ];
  return alignColumns([header, ...rows, both]);
}
