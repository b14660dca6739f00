import { html, type Html } from './html.js';

export const percent = (share: number, digits = 2): string => `${(100 * share).toFixed(digits)}%`;

/** Names and their colours. */
export const legend = (entries: readonly (readonly [string, string])[]): Html =>
  html`<ul class="legend">
    ${entries.map(([name, color]) => html`<li><i style="background:${color}"></i>${name}</li>`)}
  </ul>`;
