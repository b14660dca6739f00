import {
  addonStatus,
  listDevices,
  openDevice,
  type DeviceSpec,
  type MarginRule,
  type Step,
} from '@hyperarc/kernels-cuda';

import type { Axes } from '../cases.js';
import { makeBatches, type Batch } from '../inputs.js';
import { MemoryWatch } from '../measure.js';
import type { BatchMargin } from './head-margins.js';
import { checkLoss, measureSteps, SGD, SkipCase, type ProgramFactory } from './program.js';

/** ArcFace as arcface_torch trains it; straight-through, so that the peers' arithmetic is the same. */
const MARGIN: MarginRule = { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'none', gradient: 'straight-through' };

/** The margin of each batch. */
async function marginsOf({ head, D }: Axes, batches: readonly Batch[]): Promise<BatchMargin[]> {
  if (head === undefined) return batches.map(() => ({ margin: MARGIN }));
  const { headMargin } = await import('./head-margins.js');
  return batches.map((batch) => headMargin(head, batch, D));
}

/** Our head: loss and gradient of the embeddings (pass 1), then the update of the class centres (pass 2). */
export const engine: ProgramFactory = async ({ axes, threads }) => {
  const { B, C, D, K, rate, precision, instructionSet } = axes;
  const status = addonStatus();
  if (!status.loaded) throw new SkipCase(`no addon: ${status.error ?? 'unknown'}`);
  const kind = axes.device.split(':')[0];
  if (!listDevices().some((device) => device.kind === kind)) throw new SkipCase(`no ${kind} device`);
  const device = openDevice(axes.device as DeviceSpec, { instructionSet, threads, kernels: axes.kernels ?? 'auto' });
  const batches = makeBatches(axes, 4);
  const margins = await marginsOf(axes, batches);
  const plan = device.plan({ classes: C, subCenters: K, dim: D, precision, batch: B, rate });
  const memory = await MemoryWatch.begin();
  const centers = device.createCenters({ classes: C, subCenters: K, dim: D, precision, seed: 1 });

  let iteration = 0;
  let step: Step | undefined;
  let loss = 0;
  return {
    ready: {
      facts: {
        device: device.info.name,
        instructionSet: device.info.instructionSet,
        kernels: centers.kernels(B),
        addon: status.buildDescription ?? '',
        ...(axes.head && { negatives: margins[0]!.margin.negatives ? 'by a rule' : 'as they are' }),
        planExtraBytes: plan.peakBytes - plan.persistentBytes,
      },
    },
    measure: measureSteps(() => {
      const { embeddingsBD, labelsB } = batches[iteration % batches.length]!;
      const margin = margins[iteration % batches.length]!;
      const sampled = rate < 1 ? centers.sample({ labels: labelsB, rate, seed: 1, step: iteration }) : undefined;
      const result = centers.forward({ embeddings: embeddingsBD, labels: labelsB, ...margin, sampled, step });
      ({ step, loss } = result);
      centers.update(step, SGD);
      memory.look();
      iteration++;
    }),
    finish: () => {
      checkLoss(loss);
      return { loss, takenBytes: memory.takenBytes };
    },
  };
};
