import type { Config } from '../config/index.js';
import { RunFolder } from '../train/runFolder.js';
import { StopRequest } from '../train/signals.js';
import { train, type TrainResult } from '../train/train.js';

/** Trains at a terminal or in a log: SIGINT and SIGTERM save and stop, a second one stops at once. */
export async function runTraining(
  config: Config,
  resumed: RunFolder | undefined,
  fallBack: boolean,
): Promise<TrainResult & { run: RunFolder }> {
  const stream = process.stdout;
  using stop = new StopRequest((signal) => {
    stream.write(`\n${signal}: saving after this step; once more stops at once\n`);
  });
  const run = resumed ?? RunFolder.create(config);
  stream.write(`run ${run.path}\n`);
  let result: TrainResult;
  try {
    result = await train({ config, run, stream, stop, ...(resumed && { resume: { fallBack } }) });
  } catch (error) {
    if (resumed === undefined) run.removeUnstarted();
    throw error;
  }
  const state = result.stoppedBy === undefined ? 'finished' : 'stopped';
  stream.write(`${state} at step ${result.step} of ${result.totalSteps}; checkpoint ${result.checkpoint}\n`);
  if (result.stoppedBy !== undefined) stream.write(`go on with: hyperarc train --resume ${run.path}\n`);
  return { ...result, run };
}
