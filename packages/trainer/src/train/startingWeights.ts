import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { PartialFC } from '@hyperarc/heads/engine';
import { ClassCenters, HyperArcError } from '@hyperarc/kernels-cuda';
import type { LayersModel } from '@tensorflow/tfjs-layers';

import { visionTransformers } from '../backbones/registry.js';
import { VIT_DEFAULTS } from '../backbones/vit.js';
import { verifyFolder } from '../checkpoint/manifest.js';
import { readModelFolderLayers, readModelFolderWeights } from '../checkpoint/modelFolder.js';
import { readModelWeights, writeModelWeights } from '../checkpoint/modelWeights.js';
import { readSafetensors, type TensorData } from '../checkpoint/safetensors.js';
import { CheckpointStore } from '../checkpoint/store.js';
import type { Config } from '../config/index.js';
import { loadConfig } from '../config/load.js';
import { FILES } from './files.js';
import { isCheckpoint } from './runFolder.js';

type Log = (line: string) => void;

/**
 * The checkpoint that a path means: itself, or the newest of a run. Its bytes are checked.
 * @throws HyperArcError E_RANGE if the path is neither, E_FORMAT for a damaged one.
 */
async function openCheckpoint(path: string, key: string, expected: string): Promise<string> {
  if (isCheckpoint(path)) {
    await verifyFolder(path);
    return path;
  }
  if (existsSync(join(path, 'config.yaml'))) {
    return (await new CheckpointStore(join(path, 'checkpoints')).newest(false, () => undefined)).path;
  }
  const received = existsSync(path) ? `${path}, which is none of them` : `${path}, which is not there`;
  throw new HyperArcError('E_RANGE', `${key}: expected ${expected}, received ${received}`);
}

/** Weights of a backbone, and in words where they are from. */
interface Source {
  weights: Map<string, TensorData>;
  from: string;
  /** Of a vision transformer's MLPs, where it is known: no weight tells it. */
  activation?: string | undefined;
  /** Path of the configuration that they were trained with, where there is one. */
  config?: string;
}

async function openBackbone(path: string): Promise<Source> {
  if (existsSync(join(path, 'model.json'))) {
    return { weights: readModelFolderWeights(path), from: path, activation: activationOfModel(path) };
  }
  const folder = await openCheckpoint(path, 'backbone.weights', 'a model folder, a run or a checkpoint');
  const averaged = existsSync(join(folder, FILES.ema));
  const weights = readSafetensors(join(folder, averaged ? FILES.ema : FILES.backbone));
  const from = averaged ? `${folder}, the moving average` : folder;
  const config = join(folder, FILES.config);
  return { weights, from, config, activation: activationIn(config) };
}

type Shape = Pick<Config, 'backbone' | 'data'>;

/** What the layers of a saved model have between the two dense layers of an MLP; undefined where it has none. */
function activationOfModel(folder: string): string | undefined {
  const layers = readModelFolderLayers(folder);
  return ['relu6', 'gelu'].find((name) =>
    layers.some((layer) => layer.startsWith('block') && layer.endsWith(`/${name}`)),
  );
}

const activationOf = ({ backbone: { name, activation = VIT_DEFAULTS.activation } }: Shape): string | undefined =>
  visionTransformers.includes(name) ? activation : undefined;

/** As {@link activationOf}; undefined for a configuration that cannot be read. */
function activationIn(path: string): string | undefined {
  try {
    return activationOf(loadConfig(path));
  } catch {
    return undefined;
  }
}

const describeShape = ({ backbone: { name, embeddingSize, fused }, data }: Shape): string =>
  `backbone.name ${name}, embeddingSize ${embeddingSize}, data.imageSize ${data.imageSize}, fused ${fused}`;

/** What a configuration of any age says of its backbone: for an error message, so nothing where it cannot be read. */
function shapeIn(path: string | undefined): string {
  try {
    return path === undefined ? '' : ` (${describeShape(loadConfig(path))})`;
  } catch {
    return '';
  }
}

const isCounter = ({ values }: TensorData): boolean => values instanceof Int32Array;

/**
 * Sets a new backbone to the weights of `backbone.weights`, running statistics included. Counters of dropout stay at zero.
 * @returns in words, where they are from.
 * @throws HyperArcError E_RANGE if the path holds no weights or those of another backbone or activation; E_FORMAT for damaged files.
 */
export async function startBackbone(model: LayersModel, path: string, shape: Shape): Promise<string> {
  const { weights, from, config, activation } = await openBackbone(path);
  const own = [...readModelWeights(model)].filter(([, tensor]) => isCounter(tensor));
  const merged = new Map([...[...weights].filter(([, tensor]) => !isCounter(tensor)), ...own]);
  try {
    writeModelWeights(model, merged);
  } catch (cause) {
    if (!(cause instanceof HyperArcError)) throw cause;
    const detail = cause.message.replace(/^E_FORMAT: weights: /, '');
    throw new HyperArcError(
      'E_RANGE',
      `backbone.weights: expected weights of ${describeShape(shape)}, received others in ${from}${shapeIn(config)}: ${detail}; give the numbers that they were trained with`,
      { cause },
    );
  }
  const wanted = activationOf(shape);
  if (wanted !== undefined && activation !== undefined && wanted !== activation) {
    throw new HyperArcError(
      'E_RANGE',
      `backbone.weights: expected weights of backbone.activation ${wanted}, received ${activation} in ${from}; give backbone.activation=${activation}`,
    );
  }
  return from;
}

/** Writes the names of the classes, by which a later run finds their centres. */
export function writeIdentities(folder: string, identities: readonly string[]): void {
  writeFileSync(join(folder, FILES.identities), JSON.stringify(identities));
}

/** @throws HyperArcError E_RANGE for a checkpoint without them, E_FORMAT for a damaged file. */
export function readIdentities(folder: string): string[] {
  const path = join(folder, FILES.identities);
  if (!existsSync(path)) {
    const fix = 'go on with that run for a step to save one that has them, or leave head.weights out';
    throw new HyperArcError(
      'E_RANGE',
      `head.weights: expected a checkpoint with the names of its identities, received ${folder} from before they were saved; ${fix}`,
    );
  }
  let names: unknown;
  try {
    names = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    names = undefined;
  }
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
    throw new HyperArcError('E_FORMAT', `${path}: expected a list of names, received something else`);
  }
  return names;
}

/** Classes whose rows are copied at a time. */
const CLASSES_AT_A_TIME = 4096;

/** Rows class·K + k of these classes. */
function rowsOf(classes: readonly number[], subCenters: number): Float64Array {
  return Float64Array.from({ length: classes.length * subCenters }, (_, i) => {
    return classes[Math.floor(i / subCenters)]! * subCenters + (i % subCenters);
  });
}

/**
 * Gives a new head the centres that a run or a checkpoint has for the identities of the same name; the others keep their first values,
 * and nothing has momentum.
 * @throws HyperArcError E_RANGE if the path is no checkpoint, if its centres have another dimension or number of sub-centres, or if it
 *   knows none of the identities; E_FORMAT for damaged files.
 */
export async function startHead(head: PartialFC, path: string, identities: readonly string[], log: Log): Promise<void> {
  const folder = await openCheckpoint(path, 'head.weights', 'a run or a checkpoint');
  const names = readIdentities(folder);
  using source = await ClassCenters.load(join(folder, FILES.head), {
    device: 'cpu',
    precision: 'fp32',
    momentum: false,
  });
  const [classes, subCenters, dim] = source.shape;
  if (names.length !== classes) {
    throw new HyperArcError(
      'E_FORMAT',
      `${folder}: expected a name for each of ${classes} class centres, received ${names.length}`,
    );
  }
  const [, ownSubCenters, ownDim] = head.centers.shape;
  if (dim !== ownDim || subCenters !== ownSubCenters) {
    throw new HyperArcError(
      'E_RANGE',
      `head.weights: expected centres of backbone.embeddingSize ${ownDim} and head.subCenters ${ownSubCenters}, received ${dim} and ${subCenters} in ${folder}; give the same`,
    );
  }
  const classOf = new Map(names.map((name, index) => [name, index]));
  const known = identities.flatMap((name, to) => {
    const from = classOf.get(name);
    return from === undefined ? [] : [{ from, to }];
  });
  if (known.length === 0) {
    throw new HyperArcError(
      'E_RANGE',
      `head.weights: expected some of the ${identities.length} identities among the ${classes} of ${folder}, received none of the same name; leave head.weights out to start the centres anew`,
    );
  }
  for (let start = 0; start < known.length; start += CLASSES_AT_A_TIME) {
    const some = known.slice(start, start + CLASSES_AT_A_TIME);
    const rows = (which: 'from' | 'to') =>
      rowsOf(
        some.map((pair) => pair[which]),
        subCenters,
      );
    head.centers.writeRowsAt('weights', rows('to'), source.readRowsAt('weights', rows('from')));
  }
  const fresh = identities.length - known.length;
  log(`class centres of ${known.length} of ${identities.length} identities from ${folder}; ${fresh} are new`);
}
