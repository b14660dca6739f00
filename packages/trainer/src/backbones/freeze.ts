import type { LayersModel } from '@tensorflow/tfjs-layers';

/**
 * Freezes layers of a model: their weights are no longer among its trainable ones, and they compute as in inference, also while the rest
 * trains: batch norm with its running statistics, which stay, and dropout not at all. Gradients still pass through them where a layer
 * before them is trained.
 */
export function freezeLayers(model: LayersModel, names: Iterable<string>): void {
  for (const name of names) {
    const layer = model.getLayer(name);
    layer.trainable = false;
    const call = layer.call.bind(layer);
    layer.call = (inputs, kwargs) => call(inputs, { ...kwargs, training: false });
  }
}
