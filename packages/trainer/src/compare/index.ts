/** Runs side by side: `compareRuns`, and the comparison as text and as a page. */
export { compareRuns, type ComparedRun, type Comparison, type FigureRow, type Row } from './compareRuns.js';
export { formatComparison } from './format.js';
export { renderComparison } from './render.js';
