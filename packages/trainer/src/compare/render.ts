import { lossesChart, modelColor, rocChart } from '../report/charts.js';
import { html, Html } from '../report/html.js';
import { page } from '../report/page.js';
import { legend } from '../report/parts.js';
import { COLOR } from '../report/style.js';
import { trainRecords, type Comparison } from './compareRuns.js';
import { figureCells, settingText } from './format.js';

type Line = { name: string; cells: readonly { text: string; best?: boolean }[] };

function table(runs: Comparison['runs'], lines: readonly Line[]): Html {
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th></th>
          ${runs.map(({ name }) => html`<th>${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${lines.map(
          ({ name, cells }) =>
            html`<tr>
              <td>${name}</td>
              ${cells.map(({ text, best }) => html`<td>${best === true ? html`<strong>${text}</strong>` : text}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

const section = (title: string, note: string, ...content: Html[]): Html =>
  html`<section>
    <h2>${title}</h2>
    <p class="note">${note}</p>
    ${content}
  </section>`;

/**
 * The comparison as one HTML document that needs no other.
 * @param createdAt ISO 8601.
 */
export function renderComparison({ runs, settings, figures, notes }: Comparison, createdAt: string): string {
  const color = (i: number): string => modelColor(i, runs.length);
  const losses = runs.map(trainRecords);
  const models = runs.flatMap(({ name, model }, i) => (model ? [{ name, model, color: color(i) }] : []));
  const sections = [
    section(
      'Figures',
      `Bold: the better one. ${notes.map((note) => `${note[0]!.toUpperCase()}${note.slice(1)}.`).join(' ')}`,
      table(
        runs,
        figures.map((row) => ({ name: row.name, cells: figureCells(row) })),
      ),
    ),
    settings.length === 0
      ? section('Configuration', 'The same in all of them, but for names and folders.')
      : section(
          'Configuration',
          'Keys whose values differ.',
          table(
            runs,
            settings.map(({ name, values }) => ({
              name,
              cells: values.map((value) => ({ text: settingText(value) })),
            })),
          ),
        ),
    ...(losses.some((records) => records.length > 0)
      ? [
          section(
            'Loss',
            'Faint: as logged; strong: running mean. Losses of other margins, scales or numbers of classes are other quantities.',
            legend(runs.map(({ name }, i) => [name, color(i)])),
            html`<figure class="wide">${lossesChart(losses)}</figure>`,
          ),
        ]
      : []),
    ...(models.length > 0
      ? [
          section(
            'Receiver operating characteristic',
            'Of each run’s evaluation. Up and to the left is better; the dashed line is guessing.',
            legend([
              ...models.map((one): [string, string] => [`${one.name} (AUC ${one.model.auc.toFixed(4)})`, one.color]),
              ['chance', COLOR.muted],
            ]),
            html`<figure class="wide">
              ${rocChart(
                models.map(({ name, model }) => ({ ...model, name })),
                models.map((one) => one.color),
              )}
            </figure>`,
          ),
        ]
      : []),
  ];
  return page(runs.map(({ name }) => name).join(' · '), 'comparison', createdAt, sections);
}
