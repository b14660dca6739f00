export { checkContactSheet, writeContactSheet, type ContactSheetOptions } from './contactSheet.js';
export type { Shares, SynthControls } from './controls.js';
export type { SynthParameters } from './layout.js';
export { writeSynthDataset, type WriteDatasetOptions, type WriteDatasetResult } from './writeDataset.js';
