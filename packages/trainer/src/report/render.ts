import type { Environment } from '../evaluate/environment.js';
import { setsOf, type Evaluation, type ModelEvaluation, type SetEvaluation } from '../evaluate/evaluation.js';
import type { Fairness, MegaFaceEvaluation, Robustness } from '../evaluate/index.js';
import type { ScoredPair } from '../evaluate/pairs.js';
import { meanAccuracy } from '../evaluate/sets/formatSets.js';
import type { MetricsRecord } from '../metrics/jsonLines.js';
import { histogramChart, lossChart, modelColor, rocChart, stepChart } from './charts.js';
import { html, Html } from './html.js';
import { fairnessSection, robustnessSection } from './limits.js';
import { megaFaceSection } from './megaFace.js';
import { page } from './page.js';
import { legend, percent } from './parts.js';
import { setsSection } from './sets.js';
import { COLOR } from './style.js';

/** Everything a report shows. Absent parts are left out of it. */
export interface ReportData {
  title: string;
  /** ISO 8601. */
  createdAt: string;
  metrics?: readonly MetricsRecord[];
  evaluation?: Evaluation;
  /** In words, that the run has gone on since it was evaluated. */
  outdated?: string | undefined;
  megaFace?: MegaFaceEvaluation;
  robustness?: Robustness;
  fairness?: Fairness;
  /** Pictures by path, as `data:image/jpeg;base64,…`. A path without one is shown as "no picture". */
  pictures?: ReadonlyMap<string, string>;
  /** The resolved configuration, YAML. */
  config?: string;
  environment: Environment;
}

/** The report as one HTML document: no script, and nothing that a browser would fetch. */
export function renderReport(data: ReportData): string {
  const { metrics = [], evaluation, config } = data;
  const all = evaluation === undefined ? [] : setsOf(evaluation).filter(({ models }) => models.length > 0);
  const drawn = all.filter(({ name }) => name === undefined);
  const named = all.filter(({ name }) => name !== undefined);
  const flip = evaluation?.flip === true;
  const sections = [
    ...(named.length > 0 ? [setsSection(named, flip)] : []),
    ...drawn.map((set) => accuracySection(set, flip)),
    ...(metrics.length > 0 ? [trainingSection(metrics)] : []),
    ...drawn.flatMap(({ models }) => [rocSection(models), histogramSection(models)]),
    ...all.map((set) => worstSection(set, data.pictures)),
    ...(data.megaFace ? [megaFaceSection(data.megaFace)] : []),
    ...(data.robustness ? [robustnessSection(data.robustness)] : []),
    ...(data.fairness ? [fairnessSection(data.fairness)] : []),
    ...(config === undefined
      ? []
      : [
          html`<section>
            <h2>Configuration</h2>
            <p class="note">As resolved: file, overrides and defaults.</p>
            <pre>${config}</pre>
          </section>`,
        ]),
    environmentSection(data.environment),
  ];
  const warning = data.outdated === undefined ? [] : [html`<p class="note">Verification: ${data.outdated}.</p>`];
  return page(data.title, 'report', data.createdAt, [headline(data), ...warning, ...sections]);
}

function headline({ evaluation, metrics = [] }: ReportData): Html {
  const model = evaluation?.models.at(-1);
  const named = (evaluation === undefined ? [] : setsOf(evaluation))
    .filter(({ name, models }) => name !== undefined && models.length > 0)
    .map(({ models }) => models.at(-1)!.accuracy.mean);
  const lastTrain = metrics.filter((record) => record.kind === 'train').at(-1);
  const figure = (value: string, label: string) =>
    html`<div class="figure"><strong>${value}</strong><span>${label}</span></div>`;
  const at = model?.tarAtFar.filter((entry) => entry.tar !== null).at(-1);
  const figures = [
    ...(model
      ? [
          figure(
            percent(model.accuracy.mean),
            `verification accuracy, ${model.name}${evaluation?.name === undefined ? '' : ` on ${evaluation.name}`} (± ${percent(model.accuracy.std)} over folds)`,
          ),
          ...(named.length > 1
            ? [figure(percent(meanAccuracy(named)), `mean accuracy of ${named.length} verification sets`)]
            : []),
          figure(percent(model.eer), 'equal error rate'),
        ]
      : []),
    ...(at ? [figure(percent(at.tar!), `true accept rate at a false accept rate of ${at.far.toExponential(0)}`)] : []),
    ...(lastTrain ? [figure(lastTrain.loss.toFixed(3), `training loss after ${lastTrain.step} steps`)] : []),
  ];
  return figures.length === 0 ? html`` : html`<div class="figures">${figures}</div>`;
}

function accuracySection({ models, data, images }: SetEvaluation, flip: boolean): Html {
  const first = models[0]!;
  const notes = first.tarAtFar.flatMap((entry) =>
    entry.note ? [`TAR at FAR ${entry.far.toExponential(0)}: ${entry.note}.`] : [],
  );
  return html`<section>
    <h2>Verification</h2>
    <p class="note">
      ${data}: ${first.samePairs} same and ${first.differentPairs} different pairs of ${images}
      images${flip ? ', embeddings of image and mirror image added' : ''}. Accuracy and VAL by the
      ${first.accuracy.folds.length}-fold protocol (threshold from the other folds), the rest over all pairs; TAR@x and
      VAL@x: true accept rate at a false accept rate of x. ${notes.join(' ')}
    </p>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>model</th>
            <th>accuracy</th>
            <th>VAL@${first.val.farTarget.toExponential(0)}</th>
            <th>AUC</th>
            <th>EER</th>
            ${first.tarAtFar.map((entry) => html`<th>TAR@${entry.far.toExponential(0)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${models.map(
            (model, i) => html`
<tr${new Html(i === models.length - 1 ? ' class="chosen"' : '')}><td>${model.name}</td><td>${percent(model.accuracy.mean)} ± ${percent(model.accuracy.std)}</td>
<td>${percent(model.val.mean)} ± ${percent(model.val.std)}</td><td>${model.auc.toFixed(4)}</td><td>${percent(model.eer)}</td>${model.tarAtFar.map(
              (entry) => html`<td>${entry.tar === null ? 'n/a' : percent(entry.tar)}</td>`,
            )}</tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function trainingSection(metrics: readonly MetricsRecord[]): Html {
  const train = metrics.filter((record) => record.kind === 'train');
  const verified = metrics.filter((record) => record.kind === 'evaluate');
  // The held-out identities, which have no name, and each set.
  const accuracies = [...new Set(verified.map(({ set }) => set))].map((set) => ({
    name: set ?? 'the held-out identities',
    points: verified
      .filter((record) => record.set === set)
      .map(({ step, accuracy }): [number, number] => [step, accuracy]),
  }));
  const charts = [
    ...(train.length > 0
      ? [
          chart('Loss', 'faint: as logged; strong: running mean', lossChart(train)),
          chart(
            'Learning rate',
            'of the backbone',
            stepChart(
              'learning rate',
              train.map((r) => [r.step, r.learningRate]),
            ),
          ),
          chart(
            'Cosine to the own class centre',
            'mean of the batch',
            stepChart(
              'cosine',
              train.map((r) => [r.step, r.targetCosine]),
            ),
          ),
        ]
      : []),
    ...accuracies.map(({ name, points }) =>
      chart('Accuracy while training', `on ${name}`, stepChart('accuracy', points, true)),
    ),
  ];
  return html`<section>
    <h2>Training</h2>
    ${badImagesNote(metrics)}
    <div class="charts two">${charts}</div>
  </section>`;
}

/** Images named in the report; metrics.jsonl has all. */
const BAD_IMAGES_SHOWN = 20;

function badImagesNote(metrics: readonly MetricsRecord[]): Html {
  const bad = metrics.filter((record) => record.kind === 'bad-image');
  if (bad.length === 0) return html``;
  const replaced = metrics.findLast((record) => record.kind === 'train')?.replacedImages;
  const times = replaced === undefined ? '' : `, ${replaced} times by the last line of the log`;
  const more = bad.length - BAD_IMAGES_SHOWN;
  return html`<p class="note">
      ${bad.length} ${bad.length === 1 ? 'image' : 'images'} could not be decoded; others stood for
      ${bad.length === 1 ? 'it' : 'them'}${times}.
    </p>
    <ul class="note">
      ${bad.slice(0, BAD_IMAGES_SHOWN).map(({ reason }) => html`<li>${reason}</li>`)}
      ${more > 0 ? [html`<li>and ${more} more (metrics.jsonl)</li>`] : []}
    </ul>`;
}

const chart = (title: string, note: string, drawing: Html): Html =>
  html`<figure>
    <h3>${title}</h3>
    <p class="note">${note}</p>
    ${drawing}
  </figure>`;

function rocSection(models: readonly ModelEvaluation[]): Html {
  const entries = models.map((model, i): [string, string] => [
    `${model.name} (AUC ${model.auc.toFixed(4)})`,
    modelColor(i, models.length),
  ]);
  return html`<section>
    <h2>Receiver operating characteristic</h2>
    <p class="note">Over all pairs. Up and to the left is better; the dashed line is guessing.</p>
    ${legend([...entries.reverse(), ['chance', COLOR.muted]])}
    <figure class="wide">${rocChart(models)}</figure>
  </section>`;
}

function histogramSection(models: readonly ModelEvaluation[]): Html {
  return html`<section>
    <h2>Similarity of same and different people</h2>
    <p class="note">The less the two overlap, the better a threshold can part them. Each model has its own scale.</p>
    ${legend([
      ['same person', COLOR.same],
      ['different people', COLOR.different],
    ])}
    <div class="charts">
      ${[...models].reverse().map(
        (model) =>
          html`<figure>
            <h3>${model.name}</h3>
            ${histogramChart(model.histogram)}
          </figure>`,
      )}
    </div>
  </section>`;
}

function worstSection({ name, worst, models }: SetEvaluation, pictures: ReadonlyMap<string, string> = new Map()): Html {
  const picture = (path: string) => {
    const source = pictures.get(path);
    return source === undefined
      ? html`<div class="missing">no picture</div>`
      : html`<img src="${source}" alt="${path}" />`;
  };
  const pairs = (list: readonly ScoredPair[]) =>
    html`<div class="pairs">
      ${list.map(
        (pair) =>
          html`<figure class="pair">
            <div class="images">${picture(pair.a)}${picture(pair.b)}</div>
            <figcaption>
              <strong>similarity ${pair.similarity.toFixed(3)}</strong>${shortName(pair.a)}<br />${shortName(pair.b)}
            </figcaption>
          </figure>`,
      )}
    </div>`;
  return html`<section>
    <h2>Worst pairs of the ${models.at(-1)!.name} model${name === undefined ? '' : ` on ${name}`}</h2>
    <h3>Different people, found most alike</h3>
    ${pairs(worst.falseAccepts)}
    <h3>The same person, found least alike</h3>
    ${pairs(worst.falseRejects)}
  </section>`;
}

/** "identity/image.jpg": the folder above says little that the caption needs. */
const shortName = (path: string): string => path.split('/').slice(-2).join('/');

function environmentSection(environment: Environment): Html {
  return html`<section>
    <h2>Environment</h2>
    <table class="facts">
      <tbody>
        ${Object.entries(environment).map(
          ([name, value]) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td>${value}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`;
}
