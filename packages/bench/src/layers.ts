import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { initBackend, timeBackbone, timeLayers, type BackendChoice } from '@hyperarc/trainer';

import { benchEnvironment } from './environment.js';

/** The fused layers of the backbones against tfjs's own: one line of layers.jsonl. */
interface LayersRecord {
  format: 'hyperarc-bench-layers-1';
  run: string;
  backend: string;
  environment: ReturnType<typeof benchEnvironment>;
  rows: Row[];
}

interface Row {
  what: string;
  fusedMs: number;
  stockMs: number;
}

const ACTIVATIONS: [number, number, number, number] = [8, 112, 112, 64];
const BATCH = 8;
const BACKBONES = ['iresnet18', 'mobilefacenet'];

function measure(): Row[] {
  const layers = timeLayers({ shape: ACTIVATIONS });
  const rows = layers.map(({ layer, fusedMs, stockMs }) => ({
    what: `${layer}, forward and backward, ${ACTIVATIONS.join('×')}`,
    fusedMs,
    stockMs,
  }));
  for (const name of BACKBONES) {
    const { fusedMs, stockMs } = timeBackbone({ name }, BATCH, 6);
    rows.push({ what: `${name}, training step, B = ${BATCH}, 112×112`, fusedMs, stockMs });
  }
  return rows;
}

/** Times the layers on a backend, adds a record to `results`, and returns a Markdown table. */
export async function runLayers(choice: BackendChoice, results: string): Promise<string> {
  const { name, tensorflowVersion } = await initBackend(choice);
  const record: LayersRecord = {
    format: 'hyperarc-bench-layers-1',
    run: new Date().toISOString(),
    backend: tensorflowVersion === undefined ? name : `${name} ${tensorflowVersion}`,
    environment: benchEnvironment(),
    rows: measure(),
  };
  mkdirSync(results, { recursive: true });
  appendFileSync(join(results, 'layers.jsonl'), `${JSON.stringify(record)}\n`);
  const lines = record.rows.map(
    ({ what, fusedMs, stockMs }) =>
      `| ${what} | ${fusedMs.toFixed(1)} | ${stockMs.toFixed(1)} | ${(stockMs / fusedMs).toFixed(2)}× |`,
  );
  return [
    `Best times on ${record.backend}, ${record.environment.cpu}, ${record.environment.cores} cores:`,
    '',
    '| | fused ms | stock ms | stock/fused |',
    '| --- | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}
