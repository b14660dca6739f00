/**
 * A backbone as plain data: what `hyperarc summary` prints and what build.ts turns into a tf.LayersModel.
 * Shapes are [H, W, C] or [C], without the batch.
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
  | { kind: 'norm'; scaleTrainable: boolean }
  | { kind: 'prelu' }
  | { kind: 'add' }
  | { kind: 'flatten' }
  | { kind: 'dropout'; rate: number; seed: number }
  | { kind: 'dense'; units: number; useBias: boolean; init: DenseInit };

/** `normal-0.1`: N(0, 0.1²). `fan-out`: N(0, 2/(filters·k²)), He et al. 2015 as PyTorch counts it (groups not divided out). */
export type ConvInit = 'normal-0.1' | 'fan-out';
/** `uniform-fan-in`: U(±1/√in) for weight and bias, PyTorch's default. `fan-out`: N(0, 2/units). */
export type DenseInit = 'uniform-fan-in' | 'fan-out';

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
  /** Multiply-accumulates for one image, of convolutions and dense layers. */
  readonly macs: number;
}

/** Networks of one kind of block; what follows from a name beyond its layers goes by family. */
export type BackboneFamily = 'iresnet' | 'mobilefacenet';

export interface BackbonePlan {
  readonly name: string;
  readonly family: BackboneFamily;
  /** Height and width of the input image, pixels. */
  readonly inputSize: number;
  readonly embeddingSize: number;
  readonly layers: readonly PlannedLayer[];
}

export const INPUT = 'input';

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

  norm(name: string, input: string, scaleTrainable = true): string {
    const shape = this.shape(input);
    const channels = shape[shape.length - 1]!;
    const frozenParameters = scaleTrainable ? 0 : channels;
    return this.add(name, { kind: 'norm', scaleTrainable }, [input], shape, {
      parameters: 2 * channels,
      frozenParameters,
    });
  }

  prelu(name: string, input: string): string {
    const shape = this.shape(input);
    return this.add(name, { kind: 'prelu' }, [input], shape, { parameters: shape[shape.length - 1]! });
  }

  sum(name: string, a: string, b: string): string {
    return this.add(name, { kind: 'add' }, [a, b], this.shape(a), {});
  }

  flatten(name: string, input: string): string {
    const size = this.shape(input).reduce((product, extent) => product * extent, 1);
    return this.add(name, { kind: 'flatten' }, [input], [size], {});
  }

  /** Nothing is added at rate 0. */
  dropout(name: string, input: string, rate: number, seed: number): string {
    return rate === 0 ? input : this.add(name, { kind: 'dropout', rate, seed }, [input], this.shape(input), {});
  }

  dense(name: string, input: string, options: { units: number; useBias: boolean; init: DenseInit }): string {
    const macs = this.shape(input)[0]! * options.units;
    const parameters = macs + (options.useBias ? options.units : 0);
    return this.add(name, { kind: 'dense', ...options }, [input], [options.units], { parameters, macs });
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
    counts: { parameters?: number; frozenParameters?: number; macs?: number },
  ): string {
    this.layers.push({ name, operation, inputs, outputShape, parameters: 0, frozenParameters: 0, macs: 0, ...counts });
    this.shapes.set(name, outputShape);
    return name;
  }
}
