import type { SetEvaluation } from '../evaluation.js';
import { alignColumns, percent, powerOfTen } from '../textTable.js';

/** Mean of the sets' accuracies: what checkpoints are compared by. */
export function meanAccuracy(accuracies: readonly number[]): number {
  return accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
}

/** What a set lacks where there is no TAR at a FAR; how many pairs each set has is in its row. */
export const naNote = (far: number): string =>
  `n/a: TAR@${powerOfTen(far)} needs at least ${Math.ceil(1 / far - 1e-9)} different pairs`;

/** The figures of the last model on named sets as lines of text, one row a set, and their mean accuracy. */
export function formatSets(sets: readonly SetEvaluation[]): string[] {
  const results = sets.map(({ name = '', images, models }) => ({ name, images, model: models.at(-1)! }));
  const first = results[0];
  if (first === undefined) return [];
  const { accuracy, tarAtFar, val } = first.model;
  const header = [
    'set',
    'pairs',
    'images',
    'accuracy %',
    `VAL@${powerOfTen(val.farTarget)} %`,
    'AUC',
    'EER %',
    ...tarAtFar.map(({ far }) => `TAR@${powerOfTen(far)} %`),
    'XNorm',
  ];
  const rows = results.map(({ name, images, model }) => [
    name,
    String(model.pairs),
    String(images),
    `${percent(model.accuracy.mean)} ± ${percent(model.accuracy.std)}`,
    `${percent(model.val.mean)} ± ${percent(model.val.std)}`,
    model.auc.toFixed(4),
    percent(model.eer),
    ...model.tarAtFar.map(({ tar }) => (tar === null ? 'n/a' : percent(tar))),
    model.xNorm?.toFixed(2) ?? '',
  ]);
  if (results.length > 1) {
    const mean = percent(meanAccuracy(results.map(({ model }) => model.accuracy.mean)));
    rows.push(header.map((_, i) => (i === 0 ? 'mean' : i === 3 ? mean.padEnd(rows[0]![3]!.length) : '')));
  }
  const notes = results.flatMap(({ model }) =>
    model.tarAtFar.flatMap(({ far, note }) => (note === undefined ? [] : [naNote(far)])),
  );
  return [
    `verification sets, ${accuracy.folds.length} folds, model ${first.model.name}`,
    ...alignColumns([header, ...rows]),
    ...new Set(notes),
  ];
}
