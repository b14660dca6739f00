import { closeSync, readSync } from 'node:fs';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { openToRead } from '../files.js';
import type { ForeignTensor } from './foreignTensor.js';
import { readSafetensorsFile } from './safetensorsFile.js';
import { readLegacyTorch, readTorchZip } from './torchFile.js';
import { TorchTensor } from './torchGlobals.js';

/** Tensors by name. */
export interface StateDict {
  readonly tensors: ReadonlyMap<string, ForeignTensor>;
  /** Where in the file they were, and what was taken off their names, in words; empty: at its top, nothing. */
  readonly notes: readonly string[];
}

/** Where checkpoints keep the backbone: arcface_torch's own, then the common ones. */
const PLACES = ['state_dict_backbone', 'backbone', 'state_dict', 'model_state_dict', 'model'];
/** What wrappers put before every name: DistributedDataParallel, and models with a backbone within. */
const PREFIXES = ['module.', '_orig_mod.', 'backbone.', 'model.'];

/** The tensors of a dict, or undefined where it is none of tensors alone. */
function tensorsOf(value: unknown): Map<string, ForeignTensor> | undefined {
  if (!(value instanceof Map) || value.size === 0) return undefined;
  const isTensors = [...value].every(([name, item]) => typeof name === 'string' && item instanceof TorchTensor);
  return isTensors ? (value as Map<string, ForeignTensor>) : undefined;
}

function findTensors(value: unknown, path: string): StateDict {
  const direct = tensorsOf(value);
  if (direct !== undefined) return { tensors: direct, notes: [] };
  if (value instanceof Map) {
    for (const place of PLACES) {
      const tensors = tensorsOf(value.get(place));
      if (tensors !== undefined) return { tensors, notes: [`taken from '${place}'`] };
    }
  }
  const received =
    value instanceof Map ? `a dict of ${[...value.keys()].slice(0, 8).map(String).join(', ')}` : 'no dict';
  throw new HyperArcError(
    'E_FORMAT',
    `${path}: expected a state dict, by itself or under ${PLACES.join(', ')}, received ${received.slice(0, 300)}; torch.save(model.state_dict(), FILE)`,
  );
}

/** Takes off what stands before every name. */
function withoutPrefixes({ tensors, notes }: StateDict): StateDict {
  const names = [...tensors.keys()];
  const prefix = PREFIXES.find((text) => names.length > 0 && names.every((name) => name.startsWith(text)));
  if (prefix === undefined) return { tensors, notes };
  const shorter = new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  return withoutPrefixes({ tensors: shorter, notes: [...notes, `'${prefix}' taken off the names`] });
}

function readAny(file: number, path: string): StateDict {
  const start = Buffer.alloc(2);
  const length = readSync(file, start, 0, 2, 0);
  const text = start.toString('latin1');
  if (path.endsWith('.onnx')) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected a state dict of PyTorch, received ONNX, which has lost the names and merged the batch norms; import the .pt or .pth it was made from`,
    );
  }
  if (length === 2 && text === 'PK') return findTensors(readTorchZip(file, path), path);
  if (length === 2 && text[0] === '\x80') return findTensors(readLegacyTorch(file, path), path);
  return { tensors: readSafetensorsFile(file, path), notes: [] };
}

/**
 * Opens a state dict of PyTorch: torch.save's zip archives and older files, or safetensors, told apart by their bytes. Nothing in the file is
 * run. Its tensors can be read until `use` has ended.
 * @throws HyperArcError E_FORMAT naming what does not fit; a pickle that asks for code is refused naming it.
 */
export async function withStateDict<T>(path: string, use: (state: StateDict) => Promise<T>): Promise<T> {
  const file = openToRead(path, 'a readable .pt, .pth or .safetensors', 'name the file of the weights');
  try {
    return await use(withoutPrefixes(readAny(file, path)));
  } finally {
    closeSync(file);
  }
}
