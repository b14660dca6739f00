/** Weights of other programs as models. */
export { importModel, type ImportOptions, type ImportResult } from './importModel.js';
