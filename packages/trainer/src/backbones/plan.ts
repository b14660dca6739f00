import type { ActivationFunction } from '../layers/activation.js';
import { streamSeed } from './streamSeed.js';

/**
 * A backbone as plain data: what `hyperarc summary` prints and what create.ts turns into a tf.LayersModel.
 * Shapes are [H, W, C], [T, C] (tokens) or [C], without the batch.
 */
export type Operation =
  | {
      kind: 'conv';
      filters: number;
      kernelSize: number;
      stride: number;
      padding: number;
      groups: number;
      init: ConvInit;
    }
  | ({ kind: 'norm' } & NormOptions)
  | { kind: 'prelu' }
  | { kind: 'activation'; function: ActivationFunction }
  | { kind: 'pool'; poolSize: number; stride: number; padding: number }
  | { kind: 'squeeze-excite'; reduction: number }
  | { kind: 'add' }
  | { kind: 'flatten' }
  | { kind: 'dropout'; rate: number; seed: number }
  | { kind: 'patches'; filters: number; patchSize: number }
  | { kind: 'positions' }
  | { kind: 'token-dropout'; rate: number; seed: number }
  | { kind: 'token-restore' }
  | { kind: 'layer-norm' }
  | { kind: 'attention'; heads: number }
  | { kind: 'token-dense'; units: number }
  | { kind: 'drop-path'; rate: number; seed: number }
  | { kind: 'dense'; units: number; useBias: boolean; init: DenseInit };

/** `normal-0.1`: N(0, 0.1²). `fan-out`: N(0, 2/(filters·k²)), He et al. 2015 as PyTorch counts it (groups not divided out). */
export type ConvInit = 'normal-0.1' | 'fan-out';
/** `uniform-fan-in`: U(±1/√in) for weight and bias, PyTorch's default. Bias 0 and weight `fan-out`: N(0, 2/units); `normal-0.02`. */
export type DenseInit = 'uniform-fan-in' | 'fan-out' | 'normal-0.02';

/** Batch norm: whether γ is trained; whether there are γ and β at all; ε. */
export interface NormOptions {
  scaleTrainable: boolean;
  affine: boolean;
  epsilon: number;
}

export interface PlannedLayer {
  /** `STAGE/…/PART`; unique in the plan, and the name of the layer in the model. */
  readonly name: string;
  readonly operation: Operation;
  /** Names of the layers it reads; `input` is the image. */
  readonly inputs: readonly string[];
  readonly outputShape: readonly number[];
  /** Weights as PyTorch's `parameters()` counts them: a frozen γ included, running statistics not. */
  readonly parameters: number;
  readonly frozenParameters: number;
  /** Multiply-accumulates for one image, of convolutions, dense layers and attention's products. */
  readonly macs: number;
  /** Numbers that a training step keeps of one image: the output, and what attention needs besides. */
  readonly activations: number;
}

/** Networks of one kind of block; what follows from a name beyond its layers goes by family. */
export type BackboneFamily = 'iresnet' | 'ir-se' | 'resnet' | 'mobilefacenet' | 'vit';

export interface BackbonePlan {
  readonly name: string;
  readonly family: BackboneFamily;
  /** Height and width of the input image, pixels. */
  readonly inputSize: number;
  readonly embeddingSize: number;
  readonly layers: readonly PlannedLayer[];
}

export const INPUT = 'input';

/** How {@link PlannedLayer.inputs} names the second output of a layer that has two. */
export const secondOutput = (layer: string): string => `${layer}#1`;

const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/** Collects layers in order; every method returns the name of what it added. */
export class PlanBuilder {
  private readonly layers: PlannedLayer[] = [];
  private readonly shapes = new Map<string, readonly number[]>();

  constructor(
    private readonly name: string,
    private readonly family: BackboneFamily,
    private readonly inputSize: number,
  ) {
    this.shapes.set(INPUT, [inputSize, inputSize, 3]);
  }

  shape(layer: string): readonly number[] {
    const shape = this.shapes.get(layer);
    if (shape === undefined) throw new RangeError(`no layer '${layer}' in the plan of ${this.name}`);
    return shape;
  }

  conv(
    name: string,
    input: string,
    options: {
      filters: number;
      kernelSize: number;
      stride?: number;
      padding?: number;
      groups?: number;
      init: ConvInit;
    },
  ): string {
    const operation = { kind: 'conv', stride: 1, padding: 0, groups: 1, ...options } as const;
    const [height, width, channels] = this.shape(input) as [number, number, number];
    const { kernelSize, padding, stride, filters, groups } = operation;
    const reduce = (size: number) => Math.floor((size + 2 * padding - kernelSize) / stride) + 1;
    const outputShape = [reduce(height), reduce(width), filters];
    const parameters = kernelSize * kernelSize * channels * (filters / groups);
    const macs = parameters * outputShape[0]! * outputShape[1]!;
    return this.add(name, operation, [input], outputShape, { parameters, macs });
  }

  norm(name: string, input: string, options: Partial<NormOptions> = {}): string {
    const operation = { kind: 'norm', scaleTrainable: true, affine: true, epsilon: 1e-5, ...options } as const;
    const shape = this.shape(input);
    const channels = shape[shape.length - 1]!;
    return this.add(name, operation, [input], shape, {
      parameters: operation.affine ? 2 * channels : 0,
      frozenParameters: operation.affine && !operation.scaleTrainable ? channels : 0,
    });
  }

  activation(name: string, input: string, fn: ActivationFunction): string {
    return this.add(name, { kind: 'activation', function: fn }, [input], this.shape(input), {});
  }

  pool(name: string, input: string, options: { poolSize: number; stride: number; padding: number }): string {
    const [height, width, channels] = this.shape(input) as [number, number, number];
    const { poolSize, stride, padding } = options;
    const reduce = (size: number) => Math.floor((size + 2 * padding - poolSize) / stride) + 1;
    return this.add(name, { kind: 'pool', ...options }, [input], [reduce(height), reduce(width), channels], {});
  }

  squeezeExcite(name: string, input: string, reduction: number): string {
    const shape = this.shape(input);
    const count = (2 * shape[2]! ** 2) / reduction;
    return this.add(name, { kind: 'squeeze-excite', reduction }, [input], shape, { parameters: count, macs: count });
  }

  prelu(name: string, input: string): string {
    const shape = this.shape(input);
    return this.add(name, { kind: 'prelu' }, [input], shape, { parameters: shape[shape.length - 1]! });
  }

  sum(name: string, a: string, b: string): string {
    return this.add(name, { kind: 'add' }, [a, b], this.shape(a), {});
  }

  flatten(name: string, input: string): string {
    return this.add(name, { kind: 'flatten' }, [input], [size(this.shape(input))], {});
  }

  /** Nothing is added at rate 0. */
  dropout(name: string, input: string, rate: number, seed: number): string {
    return rate === 0 ? input : this.add(name, { kind: 'dropout', rate, seed }, [input], this.shape(input), {});
  }

  dense(name: string, input: string, options: { units: number; useBias: boolean; init: DenseInit }): string {
    const macs = size(this.shape(input)) * options.units;
    const parameters = macs + (options.useBias ? options.units : 0);
    return this.add(name, { kind: 'dense', ...options }, [input], [options.units], { parameters, macs });
  }

  /** Images to tokens, a patch each. */
  patches(name: string, input: string, options: { filters: number; patchSize: number }): string {
    const [height, width, channels] = this.shape(input) as [number, number, number];
    const { filters, patchSize } = options;
    const tokens = Math.floor(height / patchSize) * Math.floor(width / patchSize);
    const weights = patchSize * patchSize * channels * filters;
    return this.add(name, { kind: 'patches', ...options }, [input], [tokens, filters], {
      parameters: weights + filters,
      macs: weights * tokens,
    });
  }

  positions(name: string, input: string): string {
    const shape = this.shape(input);
    return this.add(name, { kind: 'positions' }, [input], shape, { parameters: size(shape) });
  }

  /** The shape stays that of all tokens. Nothing is added at rate 0. */
  tokenDropout(name: string, input: string, rate: number, seed: number): string {
    if (rate === 0) return input;
    return this.add(
      name,
      { kind: 'token-dropout', rate, seed: streamSeed(seed, name) },
      [input],
      this.shape(input),
      {},
    );
  }

  /** @param dropped the layer of {@link tokenDropout}; nothing is added if that was nothing. */
  tokenRestore(name: string, input: string, dropped: string): string {
    if (this.layers.find((layer) => layer.name === dropped)?.operation.kind !== 'token-dropout') return input;
    const shape = this.shape(input);
    return this.add(name, { kind: 'token-restore' }, [input, secondOutput(dropped)], shape, { parameters: shape[1]! });
  }

  layerNorm(name: string, input: string): string {
    const shape = this.shape(input);
    return this.add(name, { kind: 'layer-norm' }, [input], shape, { parameters: 2 * shape[shape.length - 1]! });
  }

  attention(name: string, input: string, heads: number): string {
    const [tokens, dim] = this.shape(input) as [number, number];
    const weights = 4 * dim * dim;
    return this.add(name, { kind: 'attention', heads }, [input], [tokens, dim], {
      parameters: weights + dim,
      // Queries times keys, and probabilities times values, besides the four dense products.
      macs: weights * tokens + 2 * tokens * tokens * dim,
      // Queries, keys, values, their joined form, the result before the projection and after; probabilities.
      activations: 8 * tokens * dim + heads * tokens * tokens,
    });
  }

  tokenDense(name: string, input: string, units: number): string {
    const [tokens, dim] = this.shape(input) as [number, number];
    return this.add(name, { kind: 'token-dense', units }, [input], [tokens, units], {
      parameters: dim * units + units,
      macs: tokens * dim * units,
    });
  }

  /** Nothing is added at rate 0. */
  dropPath(name: string, input: string, rate: number, seed: number): string {
    if (rate === 0) return input;
    return this.add(name, { kind: 'drop-path', rate, seed: streamSeed(seed, name) }, [input], this.shape(input), {});
  }

  finish(): BackbonePlan {
    const embeddingSize = this.layers[this.layers.length - 1]!.outputShape[0]!;
    const { name, family, inputSize, layers } = this;
    return { name, family, inputSize, embeddingSize, layers };
  }

  private add(
    name: string,
    operation: Operation,
    inputs: string[],
    outputShape: readonly number[],
    counts: { parameters?: number; frozenParameters?: number; macs?: number; activations?: number },
  ): string {
    const none = { parameters: 0, frozenParameters: 0, macs: 0, activations: size(outputShape) };
    this.layers.push({ name, operation, inputs, outputShape, ...none, ...counts });
    this.shapes.set(name, outputShape);
    return name;
  }
}
