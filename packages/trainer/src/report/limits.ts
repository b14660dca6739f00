import { intervalNotes, type Condition, type Fairness, type Robustness } from '../evaluate/index.js';
import { severityChart } from './charts.js';
import { html, type Html } from './html.js';
import { percent, table } from './parts.js';

/** Where a model's limits are: corruptions and poses, and groups of people. */

const rates = (at: Condition['atCleanThreshold']): string =>
  at === null ? 'n/a' : `${percent(at.fmr)} / ${percent(at.fnmr)}`;

export function robustnessSection(robustness: Robustness): Html {
  const { data, clean, corruptions, corrupted, cleanThreshold, fmrTarget, yaw = [] } = robustness;
  const curves = corruptions.map(({ name, unit, severities }) => ({
    name,
    unit,
    values: [clean, ...severities].map(({ accuracy }) => accuracy.mean),
    strengths: severities.map(({ strength }) => strength),
  }));
  const lowest = Math.min(...curves.flatMap(({ values }) => values));
  // One scale for all charts, from the tenth below: half of all is guessing.
  const low = Math.min(0.5, Math.floor(10 * lowest) / 10);
  const severities = ['1', '2', '3', '4', '5'];
  const fixed =
    cleanThreshold === null
      ? html`<p class="note">
          No rates at a fixed threshold: too few different pairs to measure a false match rate of ${fmrTarget}.
        </p>`
      : html`<h3 style="margin-top: 18px">At the clean images' threshold</h3>
          <p class="note">
            FMR / FNMR at a similarity of ${cleanThreshold.toFixed(4)}, where FMR is at most ${fmrTarget} on clean
            images.
          </p>
          ${table(
            ['corruption', 'clean', ...severities],
            corruptions.map(({ name, severities: conditions }) => [
              name,
              rates(clean.atCleanThreshold),
              ...conditions.map(({ atCleanThreshold }) => rates(atCleanThreshold)),
            ]),
          )}`;
  const poses =
    yaw.length === 0
      ? html``
      : html`<h3 style="margin-top: 18px">By pose</h3>
          <p class="note">Clean pairs by the larger |yaw| of the two images, FMR / FNMR at the same threshold.</p>
          ${table(
            ['degrees', 'same', 'different', 'AUC', 'FMR / FNMR'],
            yaw.map((bin) => [
              `${bin.from}–${bin.to}`,
              String(bin.samePairs),
              String(bin.differentPairs),
              bin.auc === null ? 'n/a' : bin.auc.toFixed(4),
              rates(bin.atCleanThreshold),
            ]),
          )}`;
  return html`<section>
    <h2>Robustness</h2>
    <p class="note">
      ${data}: accuracy of ${robustness.pairs} pairs with ${corrupted === 'both' ? 'both images' : 'the second image'}
      corrupted, thresholds from the other folds of the same condition. Severity 0 is clean. Pixels are those of a 112 ×
      112 image.
    </p>
    <div class="charts">
      ${curves.map(
        ({ name, unit, values, strengths }) =>
          html`<figure>
            <h3>${name}</h3>
            <p class="note">${unit}: ${strengths.join(', ')}</p>
            ${severityChart('accuracy', values, low)}
          </figure>`,
      )}
    </div>
    ${fixed} ${poses}
  </section>`;
}

export function fairnessSection(fairness: Fairness): Html {
  const { overall, threshold, fmrTarget, groups, measures, measureIntervals, bootstrap, alpha } = fairness;
  type Bounds = { readonly low: number; readonly high: number } | null;
  const between = (bounds: Bounds, show: (value: number) => string): string =>
    bounds === null ? '' : ` [${show(bounds.low)}, ${show(bounds.high)}]`;
  const rate = (value: number | null, bounds: Bounds): string =>
    value === null ? 'n/a' : percent(value) + between(bounds, (share) => percent(share));
  const decimal = (value: number): string => value.toFixed(4);
  const measure = (value: number | null, bounds: Bounds): string =>
    value === null ? 'undefined' : decimal(value) + between(bounds, decimal);
  return html`<section>
    <h2>Groups of people</h2>
    <p class="note">
      ${fairness.data}; groups of ${fairness.groupSource}. One threshold for all, a similarity of
      ${threshold.toFixed(4)}${fmrTarget === null ? '' : `, where FMR is at most ${fmrTarget} over all`}: FMR
      ${percent(overall.fmr)} of ${overall.differentPairs} different pairs, FNMR ${percent(overall.fnmr)} of
      ${overall.samePairs} same pairs. In brackets ${100 * bootstrap.confidence}% intervals of ${bootstrap.replicates}
      bootstrap replicates over people within groups${fairness.people === undefined ? '' : `; ${fairness.people}`}.
      ${intervalNotes(fairness).map((note) => `${note[0]!.toUpperCase()}${note.slice(1)}. `)}
    </p>
    ${table(
      ['group', 'people', 'different pairs', 'FMR', 'same pairs', 'FNMR'],
      groups.map((group) => [
        group.group,
        String(group.identities),
        String(group.differentPairs),
        rate(group.fmr, group.fmrInterval),
        String(group.samePairs),
        rate(group.fnmr, group.fnmrInterval),
      ]),
    )}
    <p class="note" style="margin-top: 18px">
      Measures with α = ${alpha}; undefined where a group has no such pair, or no error to compare.
    </p>
    ${table(
      ['FDR (1 is fair)', 'inequity (1 is fair)', 'GARBE (0 is fair)'],
      [
        [
          measure(measures.fdr, measureIntervals.fdr),
          measure(measures.inequity, measureIntervals.inequity),
          measure(measures.garbe, measureIntervals.garbe),
        ],
      ],
    )}
  </section>`;
}
