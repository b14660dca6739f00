import { existsSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { Option, type Command } from 'commander';
import { FACE_RULES, type FaceRule } from '../../data/detect/face.js';
import { DETECTOR_NAMES } from '../../data/detect/recognise.js';
import { StopRequest } from '../../train/signals.js';
import { stoppedExit } from '../exitCodes.js';
import { decimal, wholeNumber } from '../options.js';

interface FaceFlags {
  readonly size: number;
  readonly format: 'jpg' | 'png';
  readonly jobs?: number;
  readonly skipBad?: boolean;
}

interface DetectorFlags {
  readonly detectorKind?: string;
  readonly detectorSize?: number;
  readonly minScore?: number;
  readonly face?: FaceRule;
  readonly saveLandmarks?: string;
}

interface AlignFlags extends FaceFlags, DetectorFlags {
  readonly root?: string;
  readonly detector?: string;
}

/** `hyperarc data align`. */
export function registerAlignCommand(data: Command): void {
  data
    .command('align <source> <out>')
    .description(
      "Cut faces out, aligned by five landmarks as ArcFace's data are; written as a whole or not at all. SOURCE is a list of landmarks or, with --detector, a folder of photographs",
    )
    .option('--root <folder>', "folder that the list's paths start from (default: the list's own)")
    .option('--size <pixels>', 'side of the aligned faces', wholeNumber(0), 112)
    .addOption(new Option('--format <name>', 'of the files').choices(['jpg', 'png']).default('jpg'))
    .option('--jobs <count>', 'images in work at once (default: the number of processors)', wholeNumber(0))
    .option('--skip-bad', 'leave bad rows and damaged photographs out, instead of refusing the whole')
    .option('--detector <file>', 'ONNX file of a face detector of yours: SCRFD with key points, YuNet, RetinaFace')
    .addOption(
      new Option('--detector-kind <name>', 'what the detector is (default: told by its outputs)').choices(
        DETECTOR_NAMES,
      ),
    )
    .option('--detector-size <pixels>', "side of the detector's input, if it is open (default: 640)", wholeNumber(0))
    .option('--min-score <number>', 'least score of a face (default: 0.5)', decimal)
    .addOption(new Option('--face <rule>', 'which of several faces is taken (default: largest)').choices(FACE_RULES))
    .option('--save-landmarks <file>', 'write what the detector found as a list that data align reads (.jsonl)')
    .action(async (source: string, out: string, flags: AlignFlags) => {
      checkFlags(flags);
      const interrupt = new AbortController();
      using stop = new StopRequest(() => interrupt.abort());
      try {
        await (flags.detector === undefined ? alignList : alignFolder)(source, out, flags, interrupt.signal);
      } catch (error) {
        if (stop.signal === undefined) throw error;
        // It was new, so it is of this run.
        const list = flags.saveLandmarks;
        const kept =
          list !== undefined && existsSync(list) ? `only the landmarks were kept, ${list}` : 'nothing was kept';
        process.stderr.write(`\n${stop.signal}: stopped aligning; ${kept}\n`);
        process.exitCode = stoppedExit(stop.signal);
      }
    });
}

const DETECTOR_FLAGS: Record<keyof DetectorFlags, string> = {
  detectorKind: '--detector-kind',
  detectorSize: '--detector-size',
  minScore: '--min-score',
  face: '--face',
  saveLandmarks: '--save-landmarks',
};

function checkFlags(flags: AlignFlags): void {
  if (flags.detector !== undefined) {
    if (flags.root === undefined) return;
    throw new HyperArcError(
      'E_RANGE',
      'root: expected only with a list of landmarks, received --root beside --detector; give the folder of photographs instead',
    );
  }
  for (const [key, name] of Object.entries(DETECTOR_FLAGS)) {
    if (flags[key as keyof DetectorFlags] === undefined) continue;
    throw new HyperArcError(
      'E_RANGE',
      `detector: expected a file for ${name}, received none; add --detector MODEL.onnx`,
    );
  }
}

const onWarning = (message: string): void => console.warn(`warning: ${message}`);

/** Rewrites one line on a terminal. */
function showProgress(done: number, total: number, what: string): void {
  if (!process.stderr.isTTY || (done % 10 !== 0 && done !== total)) return;
  process.stderr.write(`\r\x1b[K${done}/${total} ${what}${done === total ? '\n' : ''}`);
}

async function alignList(list: string, out: string, flags: AlignFlags, signal: AbortSignal): Promise<void> {
  const { alignDataset } = await import('../../data/align/alignDataset.js');
  const { images, skipped } = await alignDataset(list, out, {
    ...flags,
    onProgress: (done, total) => showProgress(done, total, 'images'),
    onWarning,
    signal,
  });
  console.log(
    `${out}: ${images} faces of ${flags.size}×${flags.size} pixels${skipped > 0 ? `; ${skipped} rows left out` : ''}`,
  );
}

async function alignFolder(photos: string, out: string, flags: AlignFlags, signal: AbortSignal): Promise<void> {
  const { alignPhotos } = await import('../../data/detect/alignPhotos.js');
  const { detector, face = 'largest', saveLandmarks } = flags;
  const result = await alignPhotos(photos, out, {
    ...flags,
    detector: detector!,
    onDetector: (description) => console.log(`${detector}: ${description}`),
    onProgress: (done, total, stage) => showProgress(done, total, stage === 'detecting' ? 'photographs' : 'faces'),
    onWarning,
    signal,
  });
  const { images, withoutFace, severalFaces, skipped } = result;
  const lines = [`${out}: ${images} faces of ${flags.size}×${flags.size} pixels from ${result.photos} photographs`];
  if (severalFaces > 0) lines.push(`${severalFaces} photographs have several faces: the ${RULE_NAMES[face]} was taken`);
  if (withoutFace > 0) lines.push(`${withoutFace} photographs without a face, listed in ${out}/detection.json`);
  if (skipped > 0) lines.push(`${skipped} damaged photographs left out, listed in ${out}/detection.json`);
  if (saveLandmarks !== undefined) lines.push(`${saveLandmarks}: the landmarks; align by them with --root ${photos}`);
  console.log(lines.join('\n'));
}

const RULE_NAMES: Record<FaceRule, string> = {
  largest: 'largest',
  center: 'one at the centre',
  best: 'one with the best score',
};
