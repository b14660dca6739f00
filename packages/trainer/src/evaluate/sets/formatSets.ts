import type { SetEvaluation } from '../evaluation.js';
import { power, share, textTable } from '../textTable.js';

/** Mean of the sets' accuracies: what checkpoints are compared by. */
export function meanAccuracy(accuracies: readonly number[]): number {
  return accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
}

/** What a set lacks where there is no TAR at a FAR; how many pairs each set has is in its row. */
export const naNote = (far: number): string =>
  `n/a: TAR@${power(far)} needs at least ${Math.ceil(1 / far - 1e-9)} different pairs`;

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
    `VAL@${power(val.farTarget)} %`,
    'AUC',
    'EER %',
    ...tarAtFar.map(({ far }) => `TAR@${power(far)} %`),
    'XNorm',
  ];
  const rows = results.map(({ name, images, model }) => [
    name,
    String(model.pairs),
    String(images),
    `${share(model.accuracy.mean)} ± ${share(model.accuracy.std)}`,
    `${share(model.val.mean)} ± ${share(model.val.std)}`,
    model.auc.toFixed(4),
    share(model.eer),
    ...model.tarAtFar.map(({ tar }) => (tar === null ? 'n/a' : share(tar))),
    model.xNorm?.toFixed(2) ?? '',
  ]);
  if (results.length > 1) {
    const mean = share(meanAccuracy(results.map(({ model }) => model.accuracy.mean)));
    rows.push(header.map((_, i) => (i === 0 ? 'mean' : i === 3 ? mean.padEnd(rows[0]![3]!.length) : '')));
  }
  const notes = results.flatMap(({ model }) =>
    model.tarAtFar.flatMap(({ far, note }) => (note === undefined ? [] : [naNote(far)])),
  );
  return [
    `verification sets, ${accuracy.folds.length} folds, model ${first.model.name}`,
    ...textTable(header, rows),
    ...new Set(notes),
  ];
}
