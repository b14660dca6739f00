import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { numpyGlobals, type PickleGlobal, type PickleGlobals, PickleReference, plainGlobals } from '../pickle/index.js';
import { DTYPE_BYTES, type ForeignDtype } from './dtypes.js';
import { elementCount, type ForeignTensor, gather } from './foreignTensor.js';

/** PyTorch's storage classes. */
const STORAGES: Readonly<Record<string, ForeignDtype>> = {
  'torch HalfStorage': 'float16',
  'torch BFloat16Storage': 'bfloat16',
  'torch FloatStorage': 'float32',
  'torch DoubleStorage': 'float64',
  'torch CharStorage': 'int8',
  'torch ByteStorage': 'uint8',
  'torch BoolStorage': 'bool',
  'torch ShortStorage': 'int16',
  'torch IntStorage': 'int32',
  'torch LongStorage': 'int64',
};
const MAX_RANK = 32;

/** The memory that tensors are views of. */
export class TorchStorage {
  /** @param read all its bytes, little-endian. */
  constructor(
    readonly key: string,
    readonly dtype: ForeignDtype,
    readonly elements: number,
    readonly read: () => Uint8Array,
  ) {}

  get bytes(): number {
    return this.elements * DTYPE_BYTES[this.dtype];
  }
}

/** A tensor as a pickle of PyTorch rebuilds it. */
export class TorchTensor implements ForeignTensor {
  constructor(
    private readonly storage: TorchStorage,
    private readonly offset: number,
    readonly shape: readonly number[],
    private readonly strides: readonly number[],
  ) {}

  get dtype(): ForeignDtype {
    return this.storage.dtype;
  }

  read(): Float32Array {
    const { storage, offset, shape, strides } = this;
    return gather(storage.read(), storage.dtype, { offset, shape, strides }, `storage ${storage.key}`);
  }
}

function refuse(expected: string, received: string): never {
  throw new HyperArcError('E_FORMAT', `tensor: expected ${expected}, received ${received}`);
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const areSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= MAX_RANK && value.every(isSize);

/** `_rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks)`. */
const rebuildTensor: PickleGlobal = {
  call([storage, offset, shape, strides]) {
    if (!(storage instanceof TorchStorage)) refuse('a storage', 'none');
    if (!isSize(offset) || !areSizes(shape) || !areSizes(strides) || shape.length !== strides.length) {
      refuse('an offset, a shape and as many strides', 'others');
    }
    const count = elementCount(shape);
    const last = count === 0 ? -1 : shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset);
    if (!Number.isSafeInteger(count) || last >= storage.elements) {
      refuse(`elements among the ${storage.elements} of its storage`, `shape [${shape.join(', ')}] with others`);
    }
    return new TorchTensor(storage, offset, shape, strides);
  },
};

/** `_rebuild_parameter(tensor, requires_grad, backward_hooks)`: the tensor. */
const rebuildParameter: PickleGlobal = {
  call([tensor]) {
    return tensor instanceof TorchTensor ? tensor : refuse('a tensor in a parameter', 'none');
  },
};

const size: PickleGlobal = {
  call: ([sizes]) => (areSizes(sizes) ? sizes : refuse('sizes', 'others')),
};

/** `Counter(dict)`, which a learning rate schedule of milestones keeps: the dict. */
const counter: PickleGlobal = {
  call: ([counts = new Map()]) => (counts instanceof Map ? counts : refuse('a dict to count', 'none')),
};

/** What a state dict or a training checkpoint of PyTorch may name. Nothing of it runs code. */
export const torchGlobals: PickleGlobals = new Map<string, PickleGlobal>([
  ...plainGlobals,
  ...numpyGlobals,
  ...Object.keys(STORAGES).map((name): [string, PickleGlobal] => [name, {}]),
  ['torch._utils _rebuild_tensor_v2', rebuildTensor],
  ['torch._utils _rebuild_parameter', rebuildParameter],
  ['torch Size', size],
  ['collections Counter', counter],
]);

/** The parts of a persistent id `('storage', type, key, location, elements, …)`. */
export function parseStorageId(id: unknown): { dtype: ForeignDtype; key: string; elements: number } {
  const [kind, type, key, , elements] = Array.isArray(id) ? (id as unknown[]) : [];
  const dtype = type instanceof PickleReference ? STORAGES[type.name] : undefined;
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !isSize(elements)) {
    return refuse("a storage's type, key and size", 'others');
  }
  return { dtype, key, elements };
}
