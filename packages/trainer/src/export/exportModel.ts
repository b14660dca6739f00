import { readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { initBackend, type BackendChoice } from '../backend/index.js';
import { makeFolder, renameDurably } from '../files.js';
import { checkNewOutput } from '../outputs.js';
import { findTrained, loadTrained } from '../train/trainedModel.js';
import { type ExportFormat, exportWriters, type WrittenExport } from './formats.js';

export interface ExportOptions {
  /** A run's folder, a checkpoint, or a folder with a tfjs model.json. */
  source: string;
  /** File to write (`tfjs`: folder); must not exist. */
  out: string;
  format: ExportFormat;
  /** ONNX: run it in every onnxruntime of this machine too. Default false. */
  check?: boolean;
  backend?: BackendChoice;
  log?: (line: string) => void;
}

export interface ExportResult extends WrittenExport {
  readonly out: string;
  readonly bytes: number;
}

function bytesOf(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
}

/**
 * Writes a trained backbone for other programs, compares its embeddings of two fixed images of noise with the model's, and only then gives
 * it its name: a file that does not agree to {@link EXPORT_TOLERANCE} is not kept.
 *
 * @throws HyperArcError E_RANGE if `out` exists, for a layer that the format does not have, or when the embeddings differ; E_FORMAT if
 *   there is no model.
 */
export async function exportModel(options: ExportOptions): Promise<ExportResult> {
  const { source, out, format, check = false, backend, log } = options;
  checkNewOutput('out', out);
  findTrained(source); // before a backend is started
  // cuDNN's ten-bit products would pass for an error of the export.
  process.env['NVIDIA_TF32_OVERRIDE'] ??= '0';
  // oneDNN's 1×1 convolution ends the process for many channels on some processors (docs/decisions/0018); tfjs's own layers have it.
  process.env['TF_ENABLE_ONEDNN_OPTS'] ??= '0';
  await initBackend(backend, log);
  const model = await loadTrained(source, log);
  makeFolder(dirname(out));
  const partial = `${out}.partial`;
  try {
    rmSync(partial, { recursive: true, force: true });
    const written = await exportWriters[format](model, partial, check);
    renameDurably(partial, out);
    return { ...written, out, bytes: bytesOf(out) };
  } finally {
    model.dispose();
    rmSync(partial, { recursive: true, force: true });
  }
}
