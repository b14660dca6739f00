import { meanAccuracy, naNote } from '../evaluate/sets/formatSets.js';
import type { SetEvaluation } from '../evaluate/evaluation.js';
import { modelColor, rocChart } from './charts.js';
import { html, type Html } from './html.js';
import { COLOR } from './style.js';
import { legend, percent } from './parts.js';

/** A row for each verification set, and one chart of their curves: the last model of each. */
export function setsSection(sets: readonly SetEvaluation[], flip: boolean): Html {
  const models = sets.map((set) => ({ ...set.models.at(-1)!, name: set.name ?? set.data }));
  const first = models[0]!;
  const power = (far: number): string => far.toExponential(0);
  const notes = models.flatMap(({ tarAtFar }) =>
    tarAtFar.flatMap(({ far, note }) => (note === undefined ? [] : [naNote(far)])),
  );
  const entries = models.map(({ name, auc }, i): [string, string] => [
    `${name} (AUC ${auc.toFixed(4)})`,
    modelColor(i, models.length),
  ]);
  const mean = html`<tr class="chosen">
    <td>mean</td>
    <td></td>
    <td>${percent(meanAccuracy(models.map(({ accuracy }) => accuracy.mean)))}</td>
    ${[first.val, first.auc, first.eer, ...first.tarAtFar, first.xNorm].map(() => html`<td></td>`)}
  </tr>`;
  return html`<section>
      <h2>Verification sets</h2>
      <p class="note">
        The ${sets[0]!.models.at(-1)!.name} model${flip ? ', embeddings of image and mirror image added' : ''}. Accuracy
        and VAL by the ${first.accuracy.folds.length}-fold protocol of InsightFace (unshuffled folds, threshold from the
        other folds), the rest over all pairs. Pairs: same + different. XNorm: mean length of the embeddings.
        ${[...new Set(notes)].join('; ')}
      </p>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>set</th>
              <th>pairs</th>
              <th>accuracy</th>
              <th>VAL@${power(first.val.farTarget)}</th>
              <th>AUC</th>
              <th>EER</th>
              ${first.tarAtFar.map(({ far }) => html`<th>TAR@${power(far)}</th>`)}
              <th>XNorm</th>
            </tr>
          </thead>
          <tbody>
            ${models.map(
              (model) =>
                html`<tr>
                  <td>${model.name}</td>
                  <td>${model.samePairs} + ${model.differentPairs}</td>
                  <td>${percent(model.accuracy.mean)} ± ${percent(model.accuracy.std)}</td>
                  <td>${percent(model.val.mean)} ± ${percent(model.val.std)}</td>
                  <td>${model.auc.toFixed(4)}</td>
                  <td>${percent(model.eer)}</td>
                  ${model.tarAtFar.map(({ tar }) => html`<td>${tar === null ? 'n/a' : percent(tar)}</td>`)}
                  <td>${model.xNorm?.toFixed(2) ?? ''}</td>
                </tr>`,
            )}
            ${models.length > 1 ? mean : ''}
          </tbody>
        </table>
      </div>
    </section>
    <section>
      <h2>Receiver operating characteristic of the sets</h2>
      <p class="note">Over all pairs of each set. Up and to the left is better; the dashed line is guessing.</p>
      ${legend([...entries, ['chance', COLOR.muted]])}
      <figure class="wide">${rocChart(models)}</figure>
    </section>`;
}
