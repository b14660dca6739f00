import * as tf from '@tensorflow/tfjs-core';

/** One attribute of a TensorFlow op, as the binding of @tensorflow/tfjs-node takes it. */
export interface OpAttribute {
  name: string;
  type: number;
  value: boolean | number | number[] | string;
}

/** The part of tfjs-node's backend that runs TensorFlow ops by name; see nodejs_kernel_backend.ts there. */
interface RawBackend {
  binding: Readonly<
    Record<
      'TF_ATTR_TYPE' | 'TF_ATTR_INT' | 'TF_ATTR_FLOAT' | 'TF_ATTR_BOOL' | 'TF_ATTR_STRING' | 'TF_FLOAT' | 'TF_INT32',
      number
    >
  >;
  executeSingleOutput(name: string, attributes: OpAttribute[], inputs: tf.Tensor[]): tf.Tensor;
  executeMultipleOutputs(name: string, attributes: OpAttribute[], inputs: tf.Tensor[], outputs: number): tf.Tensor[];
}

/**
 * Runs TensorFlow's own fp32 kernels by name: one dispatch where tfjs would compose many.
 * Tensors that come back belong to the tidy scope they are made in, as with every tfjs op.
 */
export class TensorFlowOps {
  constructor(private readonly backend: RawBackend) {}

  type(name: string, dtype: 'float32' | 'int32' = 'float32'): OpAttribute {
    const { TF_ATTR_TYPE, TF_FLOAT, TF_INT32 } = this.backend.binding;
    return { name, type: TF_ATTR_TYPE, value: dtype === 'float32' ? TF_FLOAT : TF_INT32 };
  }
  int(name: string, value: number | number[]): OpAttribute {
    return { name, type: this.backend.binding.TF_ATTR_INT, value };
  }
  float(name: string, value: number): OpAttribute {
    return { name, type: this.backend.binding.TF_ATTR_FLOAT, value };
  }
  bool(name: string, value: boolean): OpAttribute {
    return { name, type: this.backend.binding.TF_ATTR_BOOL, value };
  }
  string(name: string, value: string): OpAttribute {
    return { name, type: this.backend.binding.TF_ATTR_STRING, value };
  }

  /** Runs an op of one output; without attributes, T = float32. */
  one(name: string, inputs: tf.Tensor[], attributes: OpAttribute[] = [this.type('T')]): tf.Tensor {
    return this.backend.executeSingleOutput(name, attributes, inputs);
  }

  /** Runs an op of several outputs. */
  many(name: string, inputs: tf.Tensor[], attributes: OpAttribute[], outputs: number): tf.Tensor[] {
    return this.backend.executeMultipleOutputs(name, attributes, inputs, outputs);
  }
}

const opsOfBackend = new WeakMap<object, TensorFlowOps>();

/** TensorFlow's ops if the current tfjs backend is tfjs-node's, else null: the caller then composes portable tfjs ops. */
export function tensorFlowOps(): TensorFlowOps | null {
  if (tf.getBackend() !== 'tensorflow') return null;
  const backend = tf.backend() as unknown as RawBackend;
  let ops = opsOfBackend.get(backend);
  if (ops === undefined) {
    ops = new TensorFlowOps(backend);
    opsOfBackend.set(backend, ops);
  }
  return ops;
}
