import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { Command } from 'commander';

// Not from backbones/index.js: counting needs no TensorFlow.js.
import { type BackboneDescription, describeBackbone } from '../../backbones/describe.js';
import { backboneNames, DEFAULT_EMBEDDING_SIZE, DEFAULT_INPUT_SIZE } from '../../backbones/registry.js';

interface Row {
  name: string;
  output: string;
  layers: string;
  parameters: string;
  macs: string;
}

const NUMBERS = new Intl.NumberFormat('en-US');

function layout(rows: readonly Row[]): string {
  const columns = ['name', 'output', 'layers', 'parameters', 'macs'] as const;
  const widths = columns.map((column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: Row) =>
    columns.map((c, i) => (i < 2 ? row[c].padEnd(widths[i]!) : row[c].padStart(widths[i]!))).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}

function row(name: string, shape: readonly number[], layers: number | string, parameters: number, macs: number): Row {
  return {
    name,
    output: shape.join('×'),
    layers: String(layers),
    parameters: NUMBERS.format(parameters),
    macs: NUMBERS.format(macs),
  };
}

/** The table of `hyperarc summary`: one line a stage, or a layer, and the totals. */
export function formatSummary(description: BackboneDescription, byLayer = false): string {
  const { name, inputSize, embeddingSize, parameters, trainableParameters, macs, stages, layers } = description;
  const megabytes = (description.activations * 4) / 1e6;
  const parts = byLayer
    ? layers.map((layer) => row(layer.name, layer.outputShape, layer.operation.kind, layer.parameters, layer.macs))
    : stages.map((stage) => row(stage.stage, stage.outputShape, stage.layers, stage.parameters, stage.macs));
  const header: Row = {
    name: byLayer ? 'layer' : 'stage',
    output: 'output',
    layers: byLayer ? 'kind' : 'layers',
    parameters: 'parameters',
    macs: 'MACs an image',
  };
  const total = row('total', [embeddingSize], byLayer ? '' : layers.length, parameters, macs);
  const frozen = parameters - trainableParameters;
  return [
    `${name}: ${inputSize}×${inputSize}×3 → ${embeddingSize}`,
    '',
    layout([header, ...parts, total]),
    '',
    `${(parameters / 1e6).toFixed(2)} M parameters (${NUMBERS.format(frozen)} of them frozen), ${(macs / 1e9).toFixed(3)} GMACs.`,
    `A training step keeps about ${megabytes.toFixed(1)} MB of activations an image (fp32).`,
    'Running statistics are not counted; MACs are those of convolutions, dense layers and attention.',
    '',
  ].join('\n');
}

const integer = (option: string) => (text: string) => {
  const value = Number(text);
  if (Number.isInteger(value)) return value;
  throw new HyperArcError('E_RANGE', `${option}: expected an integer, received '${text}'`);
};

/** `hyperarc summary`. */
export function registerSummaryCommand(program: Command): void {
  program
    .command('summary')
    .description('print the layers, parameters and multiply-accumulates of a backbone')
    .argument('<name>', backboneNames.join(', '))
    .option(
      '--input-size <pixels>',
      'height and width of the images, a multiple of 16',
      integer('--input-size'),
      DEFAULT_INPUT_SIZE,
    )
    .option('--embedding-size <D>', 'length of an embedding', integer('--embedding-size'), DEFAULT_EMBEDDING_SIZE)
    .option('--layers', 'one line a layer instead of a stage')
    .action((name: string, flags: { inputSize: number; embeddingSize: number; layers?: boolean }) => {
      const { inputSize, embeddingSize, layers = false } = flags;
      process.stdout.write(formatSummary(describeBackbone(name, { inputSize, embeddingSize }), layers));
    });
}
