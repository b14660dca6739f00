import type * as tfl from '@tensorflow/tfjs-layers';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** One layer of a model, with the tensors that it joins. */
export interface WalkedLayer {
  readonly layer: tfl.layers.Layer;
  /** As it is registered with tfjs, such as `HyperArcPReLU`: what the exporters' tables are keyed on. */
  readonly className: string;
  readonly inputs: readonly tfl.SymbolicTensor[];
  readonly output: tfl.SymbolicTensor;
  /** What only training uses besides: which tokens were dropped. */
  readonly otherOutputs: readonly tfl.SymbolicTensor[];
}

const asList = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

/**
 * The layers of a model, each after those whose output it reads.
 * @throws HyperArcError E_SHAPE unless the model maps one tensor of images [B, S, S, 3] to embeddings [B, D], with every layer used once.
 */
export function walkLayers(model: tfl.LayersModel): WalkedLayer[] {
  const [inputs, outputs] = [model.inputs, model.outputs];
  const [, height, width, channels] = inputs[0]?.shape ?? [];
  const embeds = outputs.length === 1 && outputs[0]!.shape.length === 2;
  if (inputs.length !== 1 || inputs[0]!.shape.length !== 4 || !height || !width || channels !== 3 || !embeds) {
    const shapes = [inputs, outputs].map((tensors) => tensors.map(({ shape }) => `[${shape.join(', ')}]`).join(', '));
    throw new HyperArcError(
      'E_SHAPE',
      `model: expected images [B, height, width, 3] to embeddings [B, D], received ${shapes.join(' to ')}`,
    );
  }
  return model.layers.map((layer) => {
    if (layer.inboundNodes.length !== 1) {
      throw new HyperArcError('E_SHAPE', `layer ${layer.name}: expected to be used once, received one that is shared`);
    }
    const [output, ...otherOutputs] = asList(layer.output) as [tfl.SymbolicTensor, ...tfl.SymbolicTensor[]];
    const className = layer.getClassName();
    // An input layer's own node names its output as its input.
    const layerInputs = className === 'InputLayer' ? [] : asList(layer.input);
    return { layer, className, inputs: layerInputs, output, otherOutputs };
  });
}

/** Values of a layer's weight, by its part of the name `LAYER/part`. */
export function weightValues(layer: tfl.layers.Layer, part: string): Float32Array {
  const weight = layer.weights.find(({ originalName }) => originalName.endsWith(`/${part}`));
  if (weight === undefined) throw new RangeError(`${layer.name} has no weight '${part}'`);
  return weight.read().dataSync() as Float32Array;
}

/** The error for a layer that a format's table lacks. */
export function unsupportedLayer({ className, layer }: WalkedLayer, format: string, table: object): HyperArcError {
  return new HyperArcError(
    'E_RANGE',
    `layer ${layer.name}: expected a kind that can be exported to ${format} (${Object.keys(table).join(', ')}), received ${className}`,
  );
}
