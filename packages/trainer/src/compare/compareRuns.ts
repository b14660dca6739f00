import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { CheckpointStore } from '../checkpoint/store.js';
import { flattenFields } from '../config/differences.js';
import { outdated, readEvaluation, type Evaluation, type ModelEvaluation } from '../evaluate/evaluation.js';
import { readMetrics, type MetricsRecord, type TrainRecord } from '../metrics/jsonLines.js';
import { RunFolder } from '../train/runFolder.js';

/** Runs a page has colours for. */
export const MOST_RUNS = 5;

/** What a run folder holds of a run. */
export interface ComparedRun {
  readonly name: string;
  readonly metrics: readonly MetricsRecord[];
  readonly evaluation: Evaluation | undefined;
  /** In words, that the run has gone on since it was evaluated. */
  readonly outdated: string | undefined;
  /** The evaluation's own model: its last. */
  readonly model: ModelEvaluation | undefined;
}

/** A line of a table: a value for each run; undefined where it has none. */
export interface Row<T> {
  readonly name: string;
  readonly values: readonly (T | undefined)[];
}

/** A line of figures. */
export interface FigureRow extends Row<number> {
  /** How a value is written. */
  readonly format: (value: number) => string;
  /** Which is the better one; undefined: neither. */
  readonly better?: 'high' | 'low';
}

export interface Comparison {
  readonly runs: readonly ComparedRun[];
  /** Keys of the configuration whose values differ, JSON; `name` and `output` left out. */
  readonly settings: readonly Row<string>[];
  /** Figures that a run at least has. */
  readonly figures: readonly FigureRow[];
  /** What keeps figures from being compared. */
  readonly notes: readonly string[];
}

/** Names of runs: those of their folders, with as much of the path before them as tells them apart. */
function runNames(paths: readonly string[]): string[] {
  const parts = paths.map((path) => path.split('/').filter((part) => part !== '' && part !== '.'));
  const longest = Math.max(...parts.map((one) => one.length));
  for (let depth = 1; depth <= longest; depth++) {
    const names = parts.map((one) => one.slice(-depth).join('/'));
    if (new Set(names).size === names.length) return names;
  }
  throw new HyperArcError('E_RANGE', `run: expected different run folders, received ${paths.join(', ')}`);
}

function readRun(run: RunFolder, name: string): ComparedRun {
  const path = join(run.path, 'evaluation.json');
  const evaluation = existsSync(path) ? readEvaluation(path) : undefined;
  const metrics = existsSync(run.metricsPath) ? readMetrics(run.metricsPath) : [];
  const reached = [...metrics, ...new CheckpointStore(run.checkpointsPath).list()];
  return {
    name,
    metrics,
    evaluation,
    outdated: evaluation && outdated(evaluation, reached),
    model: evaluation?.models.at(-1),
  };
}

/** The lines of training in a run's metrics. */
export const trainRecords = ({ metrics }: ComparedRun): TrainRecord[] =>
  metrics.filter((record) => record.kind === 'train');

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

const percent = (share: number): string => `${(100 * share).toFixed(2)}%`;
const whole = (value: number): string => value.toFixed(0);
const power = (far: number): string => far.toExponential(0);

function figuresOf(runs: readonly ComparedRun[]): FigureRow[] {
  const row = (
    name: string,
    valueOf: (run: ComparedRun) => number | undefined,
    format: (value: number) => string,
    better?: 'high' | 'low',
  ): FigureRow => ({ name, values: runs.map(valueOf), format, ...(better && { better }) });
  const models = runs.map(({ model }) => model);
  const unique = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => b - a);
  const vals = unique(models.flatMap((model) => (model ? [model.val.farTarget] : [])));
  const fars = unique(models.flatMap((model) => model?.tarAtFar.map(({ far }) => far) ?? []));
  const rows = [
    row('steps', (run) => trainRecords(run).at(-1)?.step, whole),
    row(
      'epochs',
      (run) => trainRecords(run).at(-1)?.epoch,
      (value) => value.toFixed(2),
    ),
    row(
      'last loss',
      (run) => trainRecords(run).at(-1)?.loss,
      (value) => value.toFixed(4),
    ),
    row(
      'last cosine to own centre',
      (run) => trainRecords(run).at(-1)?.targetCosine,
      (value) => value.toFixed(3),
    ),
    row('img/s (median)', (run) => median(trainRecords(run).map((record) => record.imagesPerSecond)), whole, 'high'),
    row('skipped steps', (run) => run.metrics.findLast((record) => record.kind === 'skip')?.skipped, whole, 'low'),
    row('bad images', (run) => run.metrics.findLast((record) => record.kind === 'bad-image')?.badImages, whole, 'low'),
    row(
      'best accuracy in training',
      ({ metrics }) => {
        const values = metrics.flatMap((record) => (record.kind === 'evaluate' ? [record.accuracy] : []));
        return values.length === 0 ? undefined : Math.max(...values);
      },
      percent,
      'high',
    ),
    row('accuracy', ({ model }) => model?.accuracy.mean, percent, 'high'),
    ...vals.map((far) =>
      row(
        `VAL@${power(far)}`,
        ({ model }) => (model?.val.farTarget === far ? model.val.mean : undefined),
        percent,
        'high',
      ),
    ),
    row(
      'AUC',
      ({ model }) => model?.auc,
      (value) => value.toFixed(4),
      'high',
    ),
    row('EER', ({ model }) => model?.eer, percent, 'low'),
    ...fars.map((far) =>
      row(
        `TAR@${power(far)}`,
        ({ model }) => model?.tarAtFar.find((at) => at.far === far)?.tar ?? undefined,
        percent,
        'high',
      ),
    ),
  ];
  return rows.filter(({ values }) => values.some((value) => value !== undefined));
}

function notesOf(runs: readonly ComparedRun[]): string[] {
  const notes = runs
    .filter(({ evaluation }) => evaluation === undefined)
    .map(({ name }) => `${name} has no evaluation.json: hyperarc evaluate makes it`);
  for (const { name, outdated: old } of runs) if (old !== undefined) notes.push(`${name} was ${old}`);
  const evaluated = runs.flatMap(({ evaluation }) => evaluation ?? []);
  const what = new Set(
    evaluated.map(({ data, flip, images }) => `${data}, ${images} images${flip ? '' : ', not mirrored'}`),
  );
  if (what.size > 1) notes.push(`the runs were verified on different pairs: ${[...what].join('; ')}`);
  return notes;
}

/**
 * Reads run folders and lays them side by side.
 * @throws HyperArcError E_RANGE for fewer than 2 or more than {@link MOST_RUNS} runs, or one given twice; E_FORMAT for a folder that is no run.
 */
export function compareRuns(paths: readonly string[]): Comparison {
  if (paths.length < 2 || paths.length > MOST_RUNS) {
    throw new HyperArcError('E_RANGE', `runs: expected 2 to ${MOST_RUNS} run folders, received ${paths.length}`);
  }
  const folders = paths.map((path) => RunFolder.open(path));
  const names = runNames(folders.map(({ path }) => path));
  const fields = folders.map((run) => {
    const { name: _, output: __, ...config } = run.readConfig();
    return flattenFields(config);
  });
  const keys = [...new Set(fields.flatMap((map) => [...map.keys()]))];
  const settings = keys
    .map((name) => ({ name, values: fields.map((map) => map.get(name)) }))
    .filter(({ values }) => new Set(values).size > 1);
  const runs = folders.map((run, i) => readRun(run, names[i]!));
  return { runs, settings, figures: figuresOf(runs), notes: notesOf(runs) };
}
