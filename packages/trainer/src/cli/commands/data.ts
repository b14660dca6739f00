import { join } from 'node:path';
import type { Command } from 'commander';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImagePair } from '../../data/pairs.js';
import { checkNewOutput } from '../../outputs.js';
import { StopRequest } from '../../train/signals.js';
import { registerDataBinCommand } from './dataBin.js';
import { stoppedExit } from '../exitCodes.js';
import { addOutAlias, decimal, wholeNumber } from '../options.js';
import { registerAlignCommand } from './dataAlign.js';
import { registerDataPreview } from './dataPreview.js';
import {
  FINDINGS,
  type DatasetReport,
  type EvaluationOverlap,
  type FindingKind,
  type HistogramBin,
} from '../../data/findings.js';

/** Findings of one kind that are printed; `--json` has them all. */
const MAX_PRINTED = 10;
/** Resolutions that are printed. */
const MAX_RESOLUTIONS = 8;
const BAR_WIDTH = 40;

/** `hyperarc data check`, `hyperarc data align`, `hyperarc data convert`, `hyperarc data pairs`, `hyperarc data bin`, `hyperarc data preview`. The image library is loaded only when an action runs. */
export function registerDataCommand(program: Command): void {
  const data = program.command('data').description('Look after face datasets (image folders, one folder an identity)');
  data
    .command('check <dataset>')
    .description(
      'Read every image of a dataset (folder, .rec, .tar, list, .parquet); exit code 1 when something must be mended',
    )
    .option(
      '--against <dataset...>',
      'evaluation sets (folders or .rec files) whose images and people must not be in it',
    )
    .option('--near-distance <bits>', 'near-duplicates: bits of 256 that may differ, 0 to 32', wholeNumber(0), 16)
    .option('--json', 'print the whole report as JSON')
    .action(async (dataset: string, options: { against?: string[]; nearDistance: number; json?: boolean }) => {
      const { checkDataset } = await import('../../data/checkDataset.js');
      const report = await checkDataset(dataset, {
        against: options.against ?? [],
        nearDistance: options.nearDistance,
        onProgress: (done, name) => showCount(done, `${name}: `),
        onWarning: (message) => console.warn(`warning: ${message}`),
      });
      console.log(options.json ? JSON.stringify(report, null, 2) : formatReport(report));
      if (!report.ok) process.exitCode = 1;
    });
  registerAlignCommand(data);
  data
    .command('convert <from> <to>')
    .description(
      'Write a dataset in another form: an image folder, RecordIO (NEW/FACES.rec) or tar shards (NEW/FACES.tar); always a new folder',
    )
    .option('--shard-size <megabytes>', 'most of a shard', wholeNumber(0), 1024)
    .action(async (from: string, to: string, { shardSize }: { shardSize: number }) => {
      const { convertDataset } = await import('../../data/convert/convert.js');
      const interrupt = new AbortController();
      using stop = new StopRequest(() => interrupt.abort());
      try {
        const { images, identities } = await convertDataset(from, to, {
          shardBytes: shardSize * 2 ** 20,
          onProgress: showCount,
          log: (line) => console.warn(line),
          signal: interrupt.signal,
        });
        console.log(`${to}: ${images} images of ${identities} identities`);
      } catch (error) {
        if (stop.signal === undefined) throw error;
        process.stderr.write(`${stop.signal}: stopped converting; nothing was kept\n`);
        process.exitCode = stoppedExit(stop.signal);
      }
    });
  const pairs = data
    .command('pairs <folder>')
    .description('Write a list of verification pairs: pathA, pathB, 0|1, fold')
    .requiredOption('-o, --output <file>', 'text file to write')
    .option('--pairs <count>', 'pairs, half of them of the same identity', wholeNumber(0), 6000)
    .option('--attribute <name>', 'the two images of a pair differ in this column of the attributes')
    .option('--attributes <file>', "table of attributes (default: the folder's attributes.csv)")
    .option('--between <values>', 'VALUE,VALUE: one image of a pair has the first, the other the second')
    .option('--gap <number>', 'values of a pair are numbers at least this far apart', decimal)
    .option('--folds <count>', 'folds, without common identities where possible', wholeNumber(0), 10)
    .option('--seed <number>', 'the same seed draws the same pairs', wholeNumber(0), 1)
    .action(async (folder: string, options: PairFlags) => {
      checkNewOutput('--output', options.output, 'a file');
      const { openDataset } = await import('../../data/openDataset.js');
      const { makePairs, writePairs } = await import('../../data/pairs.js');
      const { attribute, attributes, between, gap } = options;
      if (attribute === undefined && [attributes, between, gap].some((flag) => flag !== undefined)) {
        throw new HyperArcError(
          'E_RANGE',
          'attribute: expected a column for --attributes, --between and --gap, received none',
        );
      }
      const pairs =
        attribute === undefined
          ? makePairs(await openDataset(folder, { log: (line) => console.warn(line) }), options)
          : await drawAttributePairs(folder, attribute, options);
      await writePairs(options.output, pairs);
      console.log(`${options.output}: ${pairs.length} pairs in ${options.folds} folds`);
    });
  addOutAlias(pairs);
  registerDataPreview(data);
  registerDataBinCommand(data);
}

interface PairFlags {
  readonly output: string;
  readonly pairs: number;
  readonly folds: number;
  readonly seed: number;
  readonly attribute?: string;
  readonly attributes?: string;
  readonly between?: string;
  readonly gap?: number;
}

async function drawAttributePairs(folder: string, attribute: string, flags: PairFlags): Promise<ImagePair[]> {
  const { makeAttributePairs, readAttribute } = await import('../../data/attributePairs.js');
  const { openDataset } = await import('../../data/openDataset.js');
  const { pairs, folds, seed, between, gap, attributes = join(folder, 'attributes.csv') } = flags;
  const ends = between?.split(',');
  if (ends !== undefined && ends.length !== 2) {
    throw new HyperArcError('E_RANGE', `between: expected VALUE,VALUE, received ${between}`);
  }
  const dataset = await openDataset(folder, { log: (line) => console.warn(line) });
  const values = await readAttribute(attributes, attribute);
  const { labels, nameOf } = dataset;
  const missing = labels.filter((_, index) => !values.has(nameOf(index))).length;
  if (missing > 0) {
    console.warn(`warning: ${missing} of ${labels.length} images are not in ${attributes}: they take no part`);
  }
  return makeAttributePairs(dataset, {
    pairs,
    folds,
    seed,
    values,
    ...(ends !== undefined && { between: [ends[0]!, ends[1]!] as const }),
    ...(gap !== undefined && { gap }),
  });
}

/** Rewrites one line on a terminal. */
function showCount(images: number, what = ''): void {
  if (process.stderr.isTTY && images % 1000 === 0) process.stderr.write(`\r\x1b[K${what}${images} images\r`);
}

/** The report as lines for a terminal. */
export function formatReport(report: DatasetReport): string {
  const { labels, imagesOfAnIdentity, nearDuplicates } = report;
  const lines = [
    `${report.root}: ${report.images} images of ${report.identities} identities, ${(report.bytes / 1e6).toFixed(1)} MB`,
    `labels ${labels.lowest} to ${labels.highest}; images of an identity: ${imagesOfAnIdentity.least} to ${imagesOfAnIdentity.most}, median ${imagesOfAnIdentity.median}`,
    `near-duplicates (at most ${nearDuplicates.distance} of 256 bits differ): ${nearDuplicates.pairs} pairs of files`,
    ...report.against.map(formatOverlap),
    '',
    ...histogram('images of an identity', 'identities', report.imagesPerIdentity),
    '',
    ...histogram('width × height', 'images', report.resolutions.slice(0, MAX_RESOLUTIONS)),
  ];
  const others = report.resolutions.slice(MAX_RESOLUTIONS);
  if (others.length > 0) lines.push(`  and ${others.length} more resolutions`);
  for (const kind of Object.keys(FINDINGS) as FindingKind[]) {
    const found = report.findings.filter((finding) => finding.kind === kind);
    if (found.length === 0) continue;
    lines.push('', `${FINDINGS[kind].severity}: ${kind} (${found.length}); ${FINDINGS[kind].fix}`);
    for (const { paths, detail } of found.slice(0, MAX_PRINTED))
      lines.push(`  ${paths.join(' = ')}${detail && `: ${detail}`}`);
    if (found.length > MAX_PRINTED) lines.push(`  and ${found.length - MAX_PRINTED} more (--json lists all)`);
  }
  lines.push('', report.ok ? 'Ready to train.' : 'Mend the errors above before training.');
  return lines.join('\n');
}

function formatOverlap({
  root,
  images,
  identities,
  damaged,
  overlappingImages,
  commonIdentities,
}: EvaluationOverlap): string {
  const names =
    commonIdentities === null
      ? 'identities are numbers, not compared'
      : `names of identities in both: ${commonIdentities}`;
  const unread = damaged === 0 ? '' : `; ${damaged} of its images cannot be read and were not compared`;
  return `against ${root} (${images} images of ${identities} identities): ${overlappingImages} of its images are in training; ${names}${unread}`;
}

function histogram(title: string, unit: string, bins: readonly HistogramBin[]): string[] {
  const most = Math.max(1, ...bins.map(({ count }) => count));
  const width = Math.max(title.length, ...bins.map(({ label }) => label.length));
  return [
    `  ${title.padEnd(width)}  ${unit}`,
    ...bins.map(
      ({ label, count }) =>
        `  ${label.padEnd(width)}  ${String(count).padStart(unit.length)}  ${'█'.repeat(Math.max(1, Math.round((count / most) * BAR_WIDTH)))}`,
    ),
  ];
}
