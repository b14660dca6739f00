import type {
  BatchOptions,
  Device,
  DeviceSpec,
  InstructionSet,
  Kernels,
  Precision,
  Seam,
  Step,
} from '../../dist/index.js';
import { ClassCenters, openDevice } from '../../dist/index.js';
import type { ContractBatch, ContractCenters, ForwardResult, Implementation, Subject } from './implementation.js';

class EngineSubject implements Subject<Step> {
  readonly centers: ClassCenters;
  private readonly rows: number;
  private readonly steps: Step[] = [];

  constructor(
    device: Device,
    precision: Precision,
    { classes, subCenters, dim, firstClass, globalClasses, weights, momentum, ...more }: ContractCenters,
  ) {
    this.rows = classes * subCenters;
    const { secondMoment, updates = 0 } = more;
    const optimizer = secondMoment === undefined ? 'sgd' : 'adamw';
    const shape = { classes, subCenters, dim, precision, firstClass, globalClasses, optimizer } as const;
    this.centers = ClassCenters.create({ ...shape, device });
    this.centers.writeRows(0, weights, 'weights');
    this.centers.writeRows(0, momentum, 'momentum');
    if (secondMoment === undefined) return;
    this.centers.writeRows(0, secondMoment, 'secondMoment');
    this.centers.setUpdates(updates);
  }

  forward: Subject<Step>['forward'] = (batch) => this.result(this.centers.forward(toOptions(batch)));

  /** Keeps the step to dispose it with the centres. */
  result(result: ReturnType<ClassCenters['forward']>): ForwardResult<Step> {
    const { step, lossPerSample: sampleLoss, embeddingGradient, targetCosine, rowGradient } = result;
    this.steps.push(step);
    return { step, sampleLoss, embeddingGradient, targetCosine, rowGradient };
  }

  gradients: Subject<Step>['gradients'] = (steps) => this.centers.gradients(steps);
  update: Subject<Step>['update'] = (steps, options) => this.centers.update(steps, options);
  weights = () => this.centers.readRows(0, this.rows, 'weights');
  momentum = () => this.centers.readRows(0, this.rows, 'momentum');
  secondMoment = () => this.centers.readRows(0, this.rows, 'secondMoment');
  updates = () => this.centers.updates;
  cosines = (embeddings: Float32Array) => this.centers.logits(embeddings);
  seed = (seed: bigint, stddev: number) => this.centers.seed(seed, stddev);
  sample: Subject['sample'] = ({ labels, rate, seed, step, shard }) =>
    this.centers.sample({ labels: Int32Array.from(labels), rate, seed, step, shard });

  dispose(): void {
    for (const step of this.steps) step.dispose();
    this.centers.dispose();
    this.centers.device.dispose();
  }
}

function toOptions({ embeddings, labels, rule, rowParameters, sampled }: ContractBatch): BatchOptions {
  return { embeddings, labels, margin: rule, rowParameters, sampled };
}

function sum(parts: readonly Float32Array[]): Float32Array {
  return parts[0].map((_, e) => parts.reduce((total, part) => total + part[e], 0));
}

/** The three stages on every shard, with their seams summed in between, as a group of processes would. */
function forwardSharded(shards: readonly EngineSubject[], batch: ContractBatch): ForwardResult<readonly Step[]> {
  const steps = shards.map(({ centers }) => centers.targetTerms(toOptions(batch)));
  const addSeam = (seam: Seam) => {
    const total = sum(shards.map(({ centers }, h) => centers.getSeam(steps[h], seam)));
    shards.forEach(({ centers }, h) => centers.setSeam(steps[h], seam, total));
  };
  addSeam('targetLogits');
  if (batch.rule.negatives?.threshold === 'target') addSeam('targetThreshold');
  shards.forEach(({ centers }, h) => centers.negativeSums(steps[h]));
  addSeam('sumExp');
  const results = shards.map((shard, h) => shard.result(shard.centers.finishForward(steps[h])));
  const sumOf = (valuesOf: (result: ForwardResult<Step>) => ArrayLike<number>) =>
    sum(results.map((result) => Float32Array.from(valuesOf(result))));
  return {
    step: steps,
    sampleLoss: results[0].sampleLoss,
    embeddingGradient: sumOf((result) => result.embeddingGradient),
    targetCosine: sumOf((result) => result.targetCosine),
    rowGradient: sumOf((result) => result.rowGradient!),
  };
}

function implementationOf(
  name: string,
  precision: Precision,
  open: (centers: ContractCenters) => Device,
  maxProducts = Infinity,
): Implementation {
  const implementation: Implementation<Step> = {
    name,
    precision,
    maxProducts,
    maxSubCenters: 16,
    hasRowParameters: true,
    hasFamilies: true,
    hasNegativeRules: true,
    hasRowGradient: true,
    hasUpdate: true,
    hasAdamW: true,
    hasSampling: true,
    hasShards: true,
    create: (centers) => new EngineSubject(open(centers), precision, centers),
    forwardSharded: (subjects, batch) => forwardSharded(subjects as readonly EngineSubject[], batch),
  };
  return implementation as Implementation;
}

/** The CPU engine with one of its instruction sets. */
export function cpuImplementation(instructionSet: InstructionSet): Implementation {
  const open = () => openDevice('cpu', { instructionSet, threads: 2 });
  return implementationOf(`CPU engine, ${instructionSet}`, 'fp32', open);
}

/**
 * The CUDA engine with one of its kernel families, on `device`. What the tensor-core families do not serve runs on whatever the
 * engine chooses.
 */
export function cudaImplementation(
  precision: Precision,
  kernels: Kernels,
  maxProducts?: number,
  device: DeviceSpec = 'cuda:0',
): Implementation {
  const name = `CUDA engine, ${precision}, ${kernels} kernels`;
  const serves = ({ subCenters, dim }: ContractCenters) => kernels === 'plain' || (subCenters === 1 && dim <= 512);
  const open = (centers: ContractCenters) => openDevice(device, { kernels: serves(centers) ? kernels : 'auto' });
  const implementation = implementationOf(name, precision, open, maxProducts);
  // Asked for by name, wgmma refuses negative rules and AdamW, and the tensor-core families steps that differ (decision 0009).
  const takesAll = kernels !== 'wgmma';
  const leftOut = { hasNegativeRules: takesAll, hasAdamW: takesAll, roundsFewTerms: kernels === 'wgmma' };
  return { ...implementation, mixesSamples: kernels === 'plain', ...leftOut };
}
