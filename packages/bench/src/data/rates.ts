import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { BatchLoader, convertDataset, openDataset, scanImageFolder, writeSynthDataset } from '@hyperarc/trainer';

/** Images a second, by what reads them. */
export interface Rates {
  readonly threads: number;
  readonly images: number;
  /** Medians over the rounds, in which all take turns. */
  readonly imagesPerSecond: Readonly<Record<string, number>>;
  /** Medians of the rounds' ratios to `sharp alone`. */
  readonly ratios: Readonly<Record<string, number>>;
}

const SIDE = 112;
const BATCH = 64;
const IDENTITIES = 32;
const SAMPLES = 32;
const BASELINE = 'sharp alone, from the folder';

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

/** Decode rate of the loader, from each form of one drawn dataset, beside that of `sharp` on as many threads. */
export async function measureRates(threads: number, rounds: number, log: (line: string) => void): Promise<Rates> {
  const work = mkdtempSync(join(tmpdir(), 'hyperarc-bench-'));
  try {
    const folder = join(work, 'faces');
    log(`drawing ${IDENTITIES * SAMPLES} faces of ${SIDE}×${SIDE}`);
    await writeSynthDataset({ out: folder, identities: IDENTITIES, samples: SAMPLES, seed: 1, size: SIDE });
    const forms = { folder, RecordIO: join(work, 'records', 'faces.rec'), 'tar shards': join(work, 'shards', 'faces.tar') };
    await convertDataset(folder, forms.RecordIO);
    await convertDataset(folder, forms['tar shards'], { shardBytes: 1 << 20 });
    const programs: Record<string, () => Promise<number>> = { [BASELINE]: await sharpAlone(folder, threads) };
    for (const [name, path] of Object.entries(forms)) {
      programs[`loader, from ${name}`] = await loaderOf(name === 'tar shards' ? join(work, 'shards') : path, threads);
    }
    const times: Record<string, number[]> = {};
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [name, program] of Object.entries(programs)) {
        const started = performance.now();
        const images = await program();
        if (round > 0) (times[name] ??= []).push((1000 * images) / (performance.now() - started));
      }
    }
    const entries = Object.entries(times);
    return {
      threads,
      images: IDENTITIES * SAMPLES,
      imagesPerSecond: Object.fromEntries(entries.map(([name, rates]) => [name, median(rates)])),
      ratios: Object.fromEntries(
        entries.map(([name, rates]) => [name, median(rates.map((rate, round) => rate / times[BASELINE]![round]!))]),
      ),
    };
  } finally {
    await Promise.all(closing.splice(0).map((close) => close()));
    rmSync(work, { recursive: true });
  }
}

const closing: (() => Promise<unknown>)[] = [];

async function sharpAlone(folder: string, threads: number): Promise<() => Promise<number>> {
  const { root, samples } = scanImageFolder(folder);
  const files = samples.map(({ path }) => join(root, path));
  const workers = Array.from({ length: threads }, () => new Worker(new URL('./sharpWorker.js', import.meta.url)));
  closing.push(() => Promise.all(workers.map((worker) => worker.terminate())));
  return async () => {
    let next = 0;
    await Promise.all(
      workers.map(async (worker) => {
        while (next < files.length) {
          worker.postMessage(files.slice(next, (next += BATCH)));
          await once(worker, 'message');
        }
      }),
    );
    return files.length;
  };
}

/** Batches of one epoch, normalised and mirrored, none kept from the epoch before. */
async function loaderOf(root: string, workers: number): Promise<() => Promise<number>> {
  const dataset = await openDataset(root);
  const loader = new BatchLoader({ dataset, batchSize: BATCH, imageSize: SIDE, seed: 1, workers, cacheDecoded: 0 });
  closing.push(() => loader.close());
  return async () => {
    let images = 0;
    for (let i = 0; i < loader.batchesPerEpoch; i++) images += (await loader.next()).labels.length;
    return images;
  };
}
