import { InvalidArgumentError, type Command } from 'commander';
import { StopRequest } from '../../train/signals.js';
import { registerDataBinCommand } from './dataBin.js';
import { stoppedExit } from '../exitCodes.js';
import { registerDataPreview } from './dataPreview.js';
import { FINDINGS, type DatasetReport, type FindingKind, type HistogramBin } from '../../data/findings.js';

/** Findings of one kind that are printed; `--json` has them all. */
const MAX_PRINTED = 10;
/** Resolutions that are printed. */
const MAX_RESOLUTIONS = 8;
const BAR_WIDTH = 40;

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

/** `hyperarc data check`, `hyperarc data convert`, `hyperarc data pairs`, `hyperarc data bin`. The image library is loaded only when an action runs. */
export function registerDataCommand(program: Command): void {
  const data = program.command('data').description('Look after face datasets (image folders, one folder an identity)');
  data
    .command('check <folder>')
    .description('Read every image; exit code 1 when something must be mended')
    .option('--json', 'print the whole report as JSON')
    .action(async (folder: string, options: { json?: boolean }) => {
      const { checkDataset } = await import('../../data/checkDataset.js');
      const report = await checkDataset(folder);
      console.log(options.json ? JSON.stringify(report, null, 2) : formatReport(report));
      if (!report.ok) process.exitCode = 1;
    });
  data
    .command('convert <from> <to>')
    .description(
      'Write a dataset in another form: an image folder, RecordIO (NEW/FACES.rec) or tar shards (NEW/FACES.tar); always a new folder',
    )
    .option('--shard-size <megabytes>', 'most of a shard', wholeNumber, 1024)
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
  data
    .command('pairs <folder>')
    .description('Write a list of verification pairs: pathA, pathB, 0|1, fold')
    .requiredOption('--out <file>', 'text file to write')
    .option('--pairs <count>', 'pairs, half of them of the same identity', wholeNumber, 6000)
    .option('--folds <count>', 'folds, without common identities where possible', wholeNumber, 10)
    .option('--seed <number>', 'the same seed draws the same pairs', wholeNumber, 1)
    .action(async (folder: string, options: { out: string; pairs: number; folds: number; seed: number }) => {
      const { openDataset } = await import('../../data/openDataset.js');
      const { makePairs, writePairs } = await import('../../data/pairs.js');
      const pairs = makePairs(await openDataset(folder, { log: (line) => console.warn(line) }), options);
      await writePairs(options.out, pairs);
      console.log(`${options.out}: ${pairs.length} pairs in ${options.folds} folds`);
    });
  registerDataPreview(data);
  registerDataBinCommand(data);
}

/** Rewrites one line on a terminal. */
function showCount(images: number): void {
  if (process.stderr.isTTY && images % 1000 === 0) process.stderr.write(`\r\x1b[K${images} images\r`);
}

/** The report as lines for a terminal. */
export function formatReport(report: DatasetReport): string {
  const lines = [
    `${report.root}: ${report.images} images of ${report.identities} identities, ${(report.bytes / 1e6).toFixed(1)} MB`,
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
