import { fstatSync } from 'node:fs';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { readAll } from '../checkpoint/safetensors.js';
import { unpickle } from '../pickle/index.js';
import { readStoredZip } from './storedZip.js';
import { parseStorageId, torchGlobals, TorchStorage } from './torchGlobals.js';

function refuse(path: string, expected: string, received: string): never {
  throw new HyperArcError('E_FORMAT', `${path}: expected ${expected}, received ${received}`);
}

/** Keeps the bytes of the last storage: tensors that share one mostly follow each other. */
function remembering(): (storage: string, read: () => Uint8Array) => Uint8Array {
  let last: { storage: string; bytes: Uint8Array } | undefined;
  return (storage, read) => {
    if (last?.storage !== storage) last = { storage, bytes: read() };
    return last.bytes;
  };
}

/**
 * The object in a file of torch.save (PyTorch 1.6 and newer): a zip archive of a pickle, `data.pkl`, and storages, `data/KEY`. Tensors are
 * {@link TorchTensor}s, read while the file is open.
 * @throws HyperArcError E_FORMAT for a damaged file, or a pickle that asks for code, naming it.
 */
export function readTorchZip(file: number, path: string): unknown {
  const entries = readStoredZip(file, path);
  const pickleName = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickleName === undefined) refuse(path, 'an archive of torch.save, with a data.pkl', 'another');
  const root = pickleName.slice(0, -'data.pkl'.length);
  const order = entries.get(`${root}byteorder`);
  if (order !== undefined && (order.bytes !== 'little'.length || Buffer.from(order.read()).toString() !== 'little')) {
    refuse(path, 'little-endian storages', 'others; save them on a little-endian machine');
  }
  const remember = remembering();
  const storages = new Map<string, TorchStorage>();
  const persistentLoad = (id: unknown): TorchStorage => {
    const { dtype, key, elements } = parseStorageId(id);
    const known = storages.get(`${dtype} ${key}`);
    if (known !== undefined) return known;
    const entry = entries.get(`${root}data/${key}`);
    const storage = new TorchStorage(key, dtype, elements, () => remember(key, () => entry!.read()));
    if (entry?.bytes !== storage.bytes) {
      refuse(
        path,
        `${storage.bytes} bytes of storage ${JSON.stringify(key.slice(0, 40))}`,
        `${entry?.bytes ?? 'none'}`,
      );
    }
    storages.set(`${dtype} ${key}`, storage);
    return storage;
  };
  const pickle = entries.get(pickleName)!.read();
  return unpickle(pickle, { name: `${path}: data.pkl`, globals: torchGlobals, persistentLoad }).value;
}

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
const COUNT_BYTES = 8;

/**
 * The object in a file of torch.save before PyTorch 1.6 (or with `_use_new_zipfile_serialization=False`): pickles of a magic number, a
 * protocol, the system, the object and the storages' keys, then each storage with its number of elements before it.
 * @throws HyperArcError as {@link readTorchZip}.
 */
export function readLegacyTorch(file: number, path: string): unknown {
  const bytes = new Uint8Array(fstatSync(file).size);
  readAll(file, bytes, 0, path);
  const view = new DataView(bytes.buffer);
  const storages = new Map<string, TorchStorage>();
  const positions = new Map<string, number>();
  const persistentLoad = (id: unknown): TorchStorage => {
    if (Array.isArray(id) && id[5] != null)
      refuse(path, 'whole storages', 'a view of one; save it with PyTorch 1.6 or newer');
    const { dtype, key, elements } = parseStorageId(id);
    const storage: TorchStorage =
      storages.get(key) ??
      new TorchStorage(key, dtype, elements, () => {
        const start = positions.get(key)!;
        return bytes.subarray(start, start + storage.bytes);
      });
    if (storage.dtype !== dtype || storage.elements !== elements) {
      refuse(path, `storage ${JSON.stringify(key.slice(0, 40))} of one type and size`, 'two');
    }
    storages.set(key, storage);
    return storage;
  };
  let at = 0;
  const next = (): unknown => {
    const { value, end } = unpickle(bytes, { name: path, offset: at, globals: torchGlobals, persistentLoad });
    at = end;
    return value;
  };
  if (next() !== MAGIC || next() !== PROTOCOL) refuse(path, 'a file of torch.save', 'another pickle');
  const system = next();
  if (!(system instanceof Map) || system.get('little_endian') !== true) {
    refuse(path, 'little-endian storages', 'others; save them on a little-endian machine');
  }
  const value = next();
  const keys = next();
  for (const key of Array.isArray(keys) ? (keys as unknown[]) : []) {
    const storage = storages.get(String(key));
    if (storage === undefined || positions.has(storage.key)) refuse(path, 'the keys of storages, each once', 'others');
    const left = bytes.length - at - COUNT_BYTES;
    if (storage.bytes > left || view.getBigUint64(at, true) !== BigInt(storage.elements)) {
      refuse(
        path,
        `${storage.elements} elements of storage ${storage.key.slice(0, 40)}`,
        'others; the file is damaged or cut short',
      );
    }
    positions.set(storage.key, at + COUNT_BYTES);
    at += COUNT_BYTES + storage.bytes;
  }
  if (positions.size !== storages.size) refuse(path, `${storages.size} storages`, `${positions.size}`);
  return value;
}
