import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { Option, type Command } from 'commander';

import type { BackendChoice } from '../../backend/index.js';
import type { ExportFormat } from '../../export/index.js';
import { TARGET } from '../options.js';

const FORMATS: readonly ExportFormat[] = ['onnx', 'safetensors', 'tfjs'];

interface ExportFlags {
  format?: ExportFormat;
  check?: boolean;
  backend?: BackendChoice;
}

/** The format that a file's ending names. */
function formatOf(out: string): ExportFormat {
  const format = FORMATS.find((name) => out.endsWith(`.${name}`));
  if (format !== undefined) return format;
  throw new HyperArcError(
    'E_RANGE',
    `--format: expected one of ${FORMATS.join(', ')}, received none, and ${out} names none`,
  );
}

async function runExport(source: string, out: string, flags: ExportFlags): Promise<void> {
  const { check = false, backend } = flags;
  const format = flags.format ?? formatOf(out);
  const { exportModel, formatCheck } = await import('../../export/index.js');
  const result = await exportModel({ source, out, format, check, ...(backend !== undefined && { backend }) });
  const lines = [
    `${out}: ${result.description}; ${(result.bytes / 1e6).toFixed(2)} MB`,
    ...result.checks.map(formatCheck),
    ...result.notes,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** `hyperarc export`. */
export function registerExportCommand(program: Command): void {
  program
    .command('export')
    .description('write a trained backbone for other programs, and compare its embeddings with the model’s')
    .argument('<run|model>', TARGET)
    .argument('<out>', 'file to write; a folder for tfjs')
    .addOption(new Option('--format <name>', 'default: as the ending of <out> says').choices(FORMATS))
    .option('--check', 'ONNX: run it in the onnxruntime of python3 and of Node.js too, where there is one')
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm', 'cpu']))
    .action(runExport);
}
