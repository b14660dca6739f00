import { createInterface } from 'node:readline';

import {
  addonStatus,
  HyperArcError,
  listDevices,
  openDevice,
  type DeviceSpec,
  type MarginRule,
  type MemoryPlan,
  type Step,
} from '@hyperarc/kernels-cuda';

import { makeBatches } from '../inputs.js';
import { SGD } from '../programs/program.js';
import type { GpuDone, GpuSamples, GpuSpec } from './protocol.js';
import { keptBytes } from './counts.js';
import { relativeError, rowGradient } from './row-check.js';

/** ArcFace as arcface_torch trains it; straight-through, so that the peers' arithmetic is the same. */
const MARGIN: MarginRule = { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'none', gradient: 'straight-through' };
/** Rows of the momentum against float64 on the same rounded operands (docs/numerics.md), and a bf16 rounding of each element beside it. */
const WORST_ROW = { fp32: 1e-4, bf16: 1e-2, 'bf16-master': 2e-2 } as const;

type Reply = (message: object) => void;

/** A child process that runs our head: loss and dX (pass 1), then the update (pass 2), staged from JavaScript. */
export async function runHead(spec: GpuSpec): Promise<void> {
  const reply: Reply = (message) => void process.stdout.write(`${JSON.stringify(message)}\n`);
  const why = whyNot(spec);
  if (why !== undefined) {
    reply({ kind: 'skip', reason: why });
    return;
  }
  const { B, C, D, rate, precision, kernels } = spec.axes;
  const isCuda = spec.device !== 'cpu';
  const device = openDevice(spec.device as DeviceSpec, { kernels: isCuda ? kernels : 'auto' });
  const batches = makeBatches({ B, C, D }, 4);
  let plan: MemoryPlan;
  try {
    plan = device.plan({ classes: C, dim: D, precision, batch: B, rate });
  } catch (error) {
    // A family of kernels that this device or shape rules out is no fault.
    if (!(error instanceof HyperArcError && error.message.includes('kernels: expected'))) throw error;
    reply({ kind: 'skip', reason: error.message });
    return;
  }
  if (!plan.fits) {
    reply({
      kind: 'skip',
      reason: `${gigabytes(plan.peakBytes)} GB planned, ${gigabytes(plan.availableBytes)} GB free`,
    });
    return;
  }
  const freeBefore = device.info.freeMemoryBytes;
  const centers = device.createCenters({ classes: C, dim: D, precision, seed: 1 });
  const facts: Record<string, string | number> = {
    device: device.info.name,
    addon: addonStatus().buildDescription ?? '',
    kernels: centers.kernels(B),
    clock: isCuda ? 'device events' : 'wall clock',
  };
  if (spec.checksRows) facts['worstRow'] = checkFirstUpdate();
  reply({ kind: 'ready', facts });

  let iteration = 0;
  let step: Step | undefined;
  let loss = 0;
  let freeAfter: number | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const samples: GpuSamples = { kind: 'samples', deviceMs: [], wallMs: [] };
    for (let left = (JSON.parse(line) as { iterations: number }).iterations; left > 0; left--) {
      const { embeddingsBD, labelsB } = batches[iteration % batches.length]!;
      const start = process.hrtime.bigint();
      const sampled = rate < 1 ? centers.sample({ labels: labelsB, rate, seed: 1, step: iteration }) : undefined;
      ({ step, loss } = centers.forward({ embeddings: embeddingsBD, labels: labelsB, margin: MARGIN, sampled, step }));
      centers.update(step, SGD);
      const times = centers.lastTimes(); // waits for the update
      const wallMs = Number(process.hrtime.bigint() - start) / 1e6;
      samples.wallMs.push(wallMs);
      samples.deviceMs.push(times === undefined ? wallMs : times.forwardMs + times.updateMs);
      iteration++;
    }
    // Once, while the cases that this one takes turns with have not begun: what they take is theirs.
    freeAfter ??= device.info.freeMemoryBytes;
    reply(samples);
  }
  if (!(Number.isFinite(loss) && loss >= 0)) throw new Error(`loss: expected a finite number ≥ 0, received ${loss}`);
  const { weightsAndMomentum, copy } = keptBytes(spec.axes);
  const extraBytes = freeBefore - (freeAfter ?? NaN) - weightsAndMomentum - copy;
  reply({ kind: 'done', ...(isCuda && { extraBytes }), copyBytes: copy, facts: { loss } } satisfies GpuDone);

  /** One update of fresh centres without decay: the momentum of rows of labels and of others is their gradient. The worst relative error. */
  function checkFirstUpdate(): number {
    const { embeddingsBD, labelsB } = batches[0]!;
    const row = (index: number) => centers.readRows(index, 1);
    const targets = new Map(Array.from(labelsB, (label) => [label, row(label)]));
    const others = Array.from({ length: 16 }, (_, n) => Math.floor(((n + 0.5) / 16) * C));
    const chosen = [...new Set([...labelsB.slice(0, 16), ...others, 0, C - 1])];
    const before = new Map(chosen.map((index) => [index, row(index)]));
    const result = centers.forward({ embeddings: embeddingsBD, labels: labelsB, margin: MARGIN });
    centers.update(result.step, { learningRate: 1e-5, momentum: 0.9, weightDecay: 0 });
    result.step.dispose();
    const { lossPerSample } = result;
    const checked = {
      embeddings: embeddingsBD,
      labels: labelsB,
      lossPerSample,
      scale: MARGIN.scale,
      m2: MARGIN.m2,
      precision,
    };
    const errors = chosen.map((index) => {
      const expected = rowGradient(checked, index, before.get(index)!, targets);
      return { index, error: relativeError(centers.readRows(index, 1, 'momentum'), expected) };
    });
    // NaN is the worst of all.
    const worst = errors.reduce((a, b) => (b.error <= a.error || Number.isNaN(a.error) ? a : b));
    if (!(worst.error <= WORST_ROW[precision])) {
      throw new Error(
        `row ${worst.index}: expected an update within ${WORST_ROW[precision]} of float64, received ${worst.error}`,
      );
    }
    return worst.error;
  }
}

function whyNot({ device, axes }: GpuSpec): string | undefined {
  const status = addonStatus();
  if (!status.loaded) return `no addon: ${status.error ?? 'unknown'}`;
  if (device === 'cpu') return axes.precision === 'fp32' ? undefined : 'the CPU engine has fp32 alone';
  const isThere = listDevices().some(({ kind, index }) => `${kind}:${index}` === device);
  return isThere ? undefined : `no device ${device}${status.whyNoCuda ? `: ${status.whyNoCuda}` : ''}`;
}

const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
