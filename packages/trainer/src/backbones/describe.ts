import type { PlanOptions } from './iresnet.js';
import type { PlannedLayer } from './plan.js';
import { planBackbone } from './registry.js';

export interface StageSummary {
  /** stem, stage1…, head. */
  readonly stage: string;
  readonly outputShape: readonly number[];
  readonly layers: number;
  readonly parameters: number;
  /** For one image. */
  readonly macs: number;
}

export interface BackboneDescription {
  readonly name: string;
  readonly inputSize: number;
  readonly embeddingSize: number;
  /** Convolutions, γ and β, slopes, dense weights and biases; a frozen γ counts, running statistics do not (as in PyTorch). */
  readonly parameters: number;
  readonly trainableParameters: number;
  /** Multiply-accumulates for one image, of convolutions, dense layers and attention's products. */
  readonly macs: number;
  /** Numbers that a training step keeps of one image, an estimate: every layer's output, and what attention needs besides. */
  readonly activations: number;
  readonly stages: readonly StageSummary[];
  readonly layers: readonly PlannedLayer[];
}

const total = (layers: readonly PlannedLayer[], field: 'parameters' | 'frozenParameters' | 'macs' | 'activations') =>
  layers.reduce((sum, layer) => sum + layer[field], 0);

/** Counts a backbone without building it. Errors as {@link planBackbone}. */
export function describeBackbone(name: string, options: Partial<PlanOptions> = {}): BackboneDescription {
  const { layers, inputSize, embeddingSize } = planBackbone(name, options);
  const byStage = new Map<string, PlannedLayer[]>();
  for (const layer of layers) {
    const stage = layer.name.split('/')[0]!;
    const members = byStage.get(stage);
    if (members === undefined) byStage.set(stage, [layer]);
    else members.push(layer);
  }
  const stages = [...byStage].map(([stage, members]) => ({
    stage,
    outputShape: members[members.length - 1]!.outputShape,
    layers: members.length,
    parameters: total(members, 'parameters'),
    macs: total(members, 'macs'),
  }));
  const parameters = total(layers, 'parameters');
  const trainableParameters = parameters - total(layers, 'frozenParameters');
  return {
    name,
    inputSize,
    embeddingSize,
    parameters,
    trainableParameters,
    macs: total(layers, 'macs'),
    activations: inputSize * inputSize * 3 + total(layers, 'activations'),
    stages,
    layers,
  };
}
