/** Native kernels that let TensorFlow.js's WebAssembly backend train convolutional networks. */
import * as tf from '@tensorflow/tfjs-core';

import { loadAddon } from '../loader.js';
import type { NativeAddon } from '../binding.js';
import { convShape, type ConvAttributes } from './geometry.js';

/** The part of tfjs's wasm backend that moves data in and out of its memory. */
interface WasmBackend {
  readSync(dataId: object): Float32Array | Int32Array;
  makeOutput(shape: number[], dtype: tf.DataType, memoryOffset: undefined, values: Float32Array): tf.TensorInfo;
}

interface KernelArguments {
  inputs: Record<string, tf.TensorInfo>;
  attributes: ConvAttributes & { inputShape: number[]; filterShape: number[]; numSegments: number };
  backend: WasmBackend;
}

type NativeKernels = Pick<
  NativeAddon,
  | 'conv2d'
  | 'conv2dBackpropFilter'
  | 'conv2dBackpropInput'
  | 'depthwiseBackpropFilter'
  | 'depthwiseBackpropInput'
  | 'unsortedSegmentSum'
>;

/** One kernel: name, and values of its output from its inputs. */
interface Kernel {
  name: string;
  run(args: KernelArguments, read: (name: string) => Float32Array): { shape: number[]; values: Float32Array };
}

function kernelsOf(addon: NativeKernels): Kernel[] {
  return [
    {
      // WebAssembly has one of its own, in one thread.
      name: tf.Conv2D,
      run({ inputs, attributes }, read) {
        const shape = convShape(this.name, inputs['x']!.shape, inputs['filter']!.shape, attributes, false);
        return {
          shape: [shape.batch, shape.outHeight, shape.outWidth, shape.outChannels],
          values: addon.conv2d(read('x'), read('filter'), shape),
        };
      },
    },
    {
      name: tf.Conv2DBackpropFilter,
      run({ inputs, attributes }, read) {
        const shape = convShape(this.name, inputs['x']!.shape, attributes.filterShape, attributes, false);
        return {
          shape: attributes.filterShape,
          values: addon.conv2dBackpropFilter(read('x'), read('dy'), shape),
        };
      },
    },
    {
      // WebAssembly has one of its own, which runs at a tenth of its forward convolution's speed.
      name: tf.Conv2DBackpropInput,
      run({ inputs, attributes }, read) {
        const shape = convShape(this.name, attributes.inputShape, inputs['filter']!.shape, attributes, false);
        return { shape: attributes.inputShape, values: addon.conv2dBackpropInput(read('dy'), read('filter'), shape) };
      },
    },
    {
      name: tf.DepthwiseConv2dNativeBackpropFilter,
      run({ inputs, attributes }, read) {
        const shape = convShape(this.name, inputs['x']!.shape, attributes.filterShape, attributes, true);
        return {
          shape: attributes.filterShape,
          values: addon.depthwiseBackpropFilter(read('x'), read('dy'), shape),
        };
      },
    },
    {
      name: tf.DepthwiseConv2dNativeBackpropInput,
      run({ inputs, attributes }, read) {
        const shape = convShape(this.name, attributes.inputShape, inputs['filter']!.shape, attributes, true);
        return {
          shape: attributes.inputShape,
          values: addon.depthwiseBackpropInput(read('dy'), read('filter'), shape),
        };
      },
    },
    {
      name: tf.UnsortedSegmentSum,
      run({ inputs, attributes, backend }, read) {
        const { numSegments } = attributes;
        const ids = backend.readSync(inputs['segmentIds']!.dataId) as Int32Array;
        return {
          shape: [numSegments, ...inputs['x']!.shape.slice(1)],
          values: addon.unsortedSegmentSum(read('x'), ids, numSegments),
        };
      },
    },
  ];
}

/**
 * Registers, for tfjs's `wasm` backend, the convolution and the gradients of convolutions, depthwise convolutions and gather,
 * computed by HyperArc's addon in fp32 on all processors. Import '@tensorflow/tfjs-backend-wasm' first. It may be called again.
 *
 * @throws HyperArcError E_DEVICE when the addon cannot be loaded.
 */
export function registerWasmKernels(addon: NativeKernels = loadAddon()): void {
  for (const kernel of kernelsOf(addon)) {
    if (tf.getKernel(kernel.name, 'wasm')) tf.unregisterKernel(kernel.name, 'wasm');
    tf.registerKernel({
      kernelName: kernel.name,
      backendName: 'wasm',
      kernelFunc: ({ inputs, attrs, backend }) => {
        const wasm = backend as WasmBackend;
        const args = { inputs, attributes: attrs, backend: wasm } as unknown as KernelArguments;
        const read = (name: string) => wasm.readSync(args.inputs[name]!.dataId) as Float32Array;
        const { shape, values } = kernel.run(args, read);
        return wasm.makeOutput(shape, 'float32', undefined, values);
      },
    });
  }
}
