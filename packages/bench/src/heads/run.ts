import { appendFileSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { initBackend, type BackendChoice } from '@hyperarc/trainer';

import { benchEnvironment } from '../environment.js';
import { labelNoise } from './label-noise.js';
import { longTail } from './long-tail.js';
import { quality } from './quality.js';
import { formatHeads, writeCircles, type HeadsRecord } from './report.js';
import { tighten } from './tighten.js';

/**
 * Trains small models under the heads: how margins tighten classes, what sub-centres find of wrong labels, what MagFace's norm
 * knows of quality, what class-variant margins do for rare classes. Adds a line to heads.jsonl, writes heads-circles.png, and
 * returns the tables. @param log takes a line for each result as it comes.
 */
export async function runHeads(choice: BackendChoice, results: string, log: (line: string) => void): Promise<string> {
  const { name, tensorflowVersion } = await initBackend(choice);
  const environment = benchEnvironment();
  const tightened = tighten(undefined, log);
  const record: HeadsRecord = {
    format: 'hyperarc-bench-heads-1',
    run: new Date().toISOString(),
    backend: tensorflowVersion === undefined ? name : `${name} ${tensorflowVersion}`,
    environment,
    tighten: tightened.rows,
    labelNoise: await labelNoise(undefined, log),
    quality: await quality(undefined, log),
    longTail: longTail(undefined, undefined, log),
  };
  mkdirSync(results, { recursive: true });
  appendFileSync(join(results, 'heads.jsonl'), `${JSON.stringify(record)}\n`);
  const picture = join(results, 'heads-circles.png');
  await writeCircles(tightened, `${picture}.partial`);
  renameSync(`${picture}.partial`, picture);
  return formatHeads(record);
}
