import { html, type Html } from './html.js';

export const percent = (share: number, digits = 2): string => `${(100 * share).toFixed(digits)}%`;

/** Names and their colours. */
export const legend = (entries: readonly (readonly [string, string])[]): Html =>
  html`<ul class="legend">
    ${entries.map(([name, color]) => html`<li><i style="background:${color}"></i>${name}</li>`)}
  </ul>`;

/** Rows of cells below a header. */
export const table = (header: readonly string[], rows: readonly (readonly string[])[]): Html =>
  html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${header.map((cell) => html`<th>${cell}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
