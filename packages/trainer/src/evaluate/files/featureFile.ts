import { existsSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { readSafetensors, writeSafetensors, type TensorData } from '../../checkpoint/safetensors.js';
import { writeWholeFile } from '../../files.js';
import type { Features } from '../search/features.js';
import { readNpy } from './npy.js';

/** Embeddings of a list of images, in its order, with their lengths kept; and of the mirrored images where there are. */
export interface ImageFeatures {
  readonly plain: Features;
  readonly mirrored?: Features;
}

function matrixOf(path: string, name: string, tensor: TensorData): Features {
  const { shape, values } = tensor;
  if (shape.length !== 2 || !(values instanceof Float32Array)) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected ${name} as float32 [N, D], received shape [${shape.join(', ')}]`,
    );
  }
  return { valuesND: values, dim: shape[1]! };
}

/**
 * Reads embeddings: a .npy matrix [N, D], or a .safetensors file with `embeddings` [N, D] and, where the mirrored images were embedded
 * too, `mirrored` [N, D].
 * @param rows how many there must be
 * @param list the list whose order they have, for the message
 * @throws HyperArcError E_FORMAT, E_SHAPE for another number of rows.
 */
export function readFeatureFile(path: string, rows: number, list: string): ImageFeatures {
  if (!existsSync(path))
    throw new HyperArcError('E_FORMAT', `${path}: expected a file of features, found none; check the path`);
  const features = path.endsWith('.npy') ? readNpyFeatures(path) : readTensorFeatures(path);
  for (const { valuesND, dim } of [features.plain, ...(features.mirrored ? [features.mirrored] : [])]) {
    if (dim < 1 || dim > 4096 || dim !== features.plain.dim) {
      throw new HyperArcError(
        'E_SHAPE',
        `${path}: expected rows of 1 to 4096 numbers, the same in all tensors, received ${dim}`,
      );
    }
    if (valuesND.length !== rows * dim) {
      const received = `${valuesND.length / dim}`;
      throw new HyperArcError(
        'E_SHAPE',
        `${path}: expected a row for each of the ${rows} lines of ${list}, received ${received}`,
      );
    }
  }
  return features;
}

function readNpyFeatures(path: string): ImageFeatures {
  const { shape, values } = readNpy(path);
  return { plain: { valuesND: values, dim: shape[1] } };
}

function readTensorFeatures(path: string): ImageFeatures {
  if (!path.endsWith('.safetensors')) {
    throw new HyperArcError('E_FORMAT', `${path}: expected a .npy or .safetensors file; convert it with numpy.save`);
  }
  const tensors = readSafetensors(path);
  const plain = tensors.get('embeddings');
  if (plain === undefined) {
    const names = [...tensors.keys()].slice(0, 8).join(', ') || 'no tensor';
    throw new HyperArcError('E_FORMAT', `${path}: expected a tensor "embeddings", received ${names}`);
  }
  const mirrored = tensors.get('mirrored');
  return {
    plain: matrixOf(path, 'embeddings', plain),
    ...(mirrored && { mirrored: matrixOf(path, 'mirrored', mirrored) }),
  };
}

/** Writes what {@link readFeatureFile} reads as .safetensors, whole or not at all; replaces a file of the name. */
export function writeFeatureFile(path: string, { plain, mirrored }: ImageFeatures): void {
  const tensor = ({ valuesND, dim }: Features): TensorData => ({
    shape: [valuesND.length / dim, dim],
    values: valuesND,
  });
  const tensors = new Map([['embeddings', tensor(plain)]]);
  if (mirrored) tensors.set('mirrored', tensor(mirrored));
  writeWholeFile(path, (partial) => writeSafetensors(partial, tensors));
}
