import type { Config } from '../config/index.js';
import { RunFolder } from '../train/runFolder.js';
import { StopRequest } from '../train/signals.js';
import { train, type TrainResult } from '../train/train.js';
import { isOutputClosed, watchOutput } from './closedOutput.js';

/** Trains at a terminal or in a log: SIGINT, SIGTERM and output that is closed save and stop; a second signal stops at once. */
export async function runTraining(
  config: Config,
  resumed: RunFolder | undefined,
  fallBack: boolean,
): Promise<TrainResult & { run: RunFolder }> {
  const stream = process.stdout;
  watchOutput();
  using request = new StopRequest((signal) => {
    stream.write(`\n${signal}: saving after this step; once more stops at once\n`);
  });
  const stop = {
    get signal() {
      return request.signal ?? (isOutputClosed() ? ('SIGPIPE' as const) : undefined);
    },
  };
  const run = resumed ?? RunFolder.create(config);
  stream.write(`run ${run.path}\n`);
  let result: TrainResult;
  try {
    result = await train({ config, run, stream, stop, ...(resumed && { resume: { fallBack } }) });
  } catch (error) {
    if (resumed === undefined) run.removeUnstarted();
    throw error;
  }
  const { step, totalSteps, checkpoint, best, end, reason } = result;
  const state = { finished: 'finished', signal: 'stopped', 'early-stop': 'stopped early', time: 'stopped' }[end];
  const why = end === 'early-stop' || end === 'time' ? `: ${reason}` : '';
  stream.write(`${state} at step ${step} of ${totalSteps}${why}; checkpoint ${checkpoint}\n`);
  if (best !== undefined && best !== checkpoint) stream.write(`best checkpoint ${best}\n`);
  if (end === 'early-stop') {
    stream.write(`go on all the same with: hyperarc train --resume ${run.path} training.earlyStop=null\n`);
  } else if (end !== 'finished') {
    stream.write(`go on with: hyperarc train --resume ${run.path}\n`);
  }
  return { ...result, run };
}
