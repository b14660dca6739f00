/** Trained backbones for other programs. */
export { EXPORT_TOLERANCE, formatCheck, type ExportCheck } from './compare.js';
export { exportModel, type ExportOptions, type ExportResult } from './exportModel.js';
export type { ExportFormat } from './formats.js';
export { modelToOnnx } from './onnx/export.js';
export { toStockModel } from './stock.js';
