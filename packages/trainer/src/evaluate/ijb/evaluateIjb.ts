import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import type { BackendInfo } from '../../backend/index.js';
import { makeFolder } from '../../files.js';
import { checkNewOutput } from '../../outputs.js';
import type { EmbeddingModel } from '../embed.js';
import { collectEnvironment, type Environment } from '../environment.js';
import { readFeatureFile, writeFeatureFile, type ImageFeatures } from '../files/featureFile.js';
import type { TarRule } from '../tarRules.js';
import { embedFaces } from './embedFaces.js';
import { combineGalleries, identifyInGallery, type Identification } from './identification.js';
import { ijbFiles, type IjbFiles, type IjbProtocol } from './layout.js';
import { readFaces, readSubjects, readTemplatePairs, type IjbFaces } from './lists.js';
import { aggregateTemplates, type TemplateOptions, type Templates } from './templates.js';
import { pairScores, verifyTemplates, type TemplateVerification } from './verification.js';

/** Contents of ijbb.json and ijbc.json. */
export interface IjbEvaluation {
  format: 'hyperarc-ijb-1';
  /** ISO 8601. */
  createdAt: string;
  protocol: IjbProtocol;
  /** The benchmark's folder, and what gave the embeddings. */
  data: string;
  source: string;
  images: number;
  templates: number;
  flip: boolean;
  normScore: boolean;
  detectorScore: boolean;
  verification: TemplateVerification;
  /** null where the 1:N lists are not there. */
  identification: Identification | null;
  /** Of the process that evaluated. */
  environment: Environment;
}

/** A model, and the image size it takes. */
export interface SizedModel {
  readonly model: EmbeddingModel;
  readonly imageSize: number;
  /** How the evaluation calls it. */
  readonly name: string;
  /** What it runs on, for the record. */
  readonly backend?: BackendInfo;
}

export interface IjbOptions extends TemplateOptions {
  /** Folder with `meta` and `loose_crop`, or with IJBB or IJBC. */
  readonly data: string;
  readonly protocol: IjbProtocol;
  /** Embeddings in the order of the lists: .npy or .safetensors. Then no model and no image is needed. */
  readonly features?: string;
  /** Where to keep the model's embeddings (.safetensors), so that other options need no model. */
  readonly saveFeatures?: string;
  /** Default `nearest`, as published. */
  readonly rule?: TarRule;
  /** Images of one forward pass. Default 64. */
  readonly batchSize?: number;
  readonly log?: (line: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Evaluates on IJB-B or IJB-C: 1:1 verification, and 1:N identification where its lists are.
 * @param source what embeds the images, unless `options.features` has their embeddings
 * @throws HyperArcError E_FORMAT naming file and line, or a missing image; E_RANGE without features and model; those of the parts.
 */
export async function evaluateIjb(options: IjbOptions, source?: SizedModel): Promise<IjbEvaluation> {
  const { data, protocol, features: featureFile, log = () => undefined } = options;
  const files = ijbFiles(data, protocol);
  const faces = readFaces(files);
  log(`${faces.names.length} images of ${new Set(faces.templates).size} templates`);
  const known = new Set(faces.templates);
  // Every list is read before the first image: a bad line shows at once and not after hours.
  const pairs = readTemplatePairs(files.pairs, known);
  log(`${pairs.first.length} pairs of templates`);
  const lists = readIdentification(files, known);
  if (lists === undefined) log(`1:N left out: no ${basename(files.galleries[0])} in meta`);
  const features =
    featureFile === undefined
      ? await embedList(options, files, faces, source)
      : readFeatureFile(featureFile, faces.names.length, basename(files.faces));
  const { flip = true, normScore = true, detectorScore = true } = options;
  const templates = aggregateTemplates(faces, features, { flip, normScore, detectorScore });
  const verification = verifyTemplates(pairScores(templates, pairs), pairs, options.rule);
  return {
    format: 'hyperarc-ijb-1',
    createdAt: new Date().toISOString(),
    protocol,
    data,
    source: featureFile ?? source!.name,
    images: faces.names.length,
    templates: templates.numbers.length,
    flip: flip && features.mirrored !== undefined,
    normScore,
    detectorScore,
    verification,
    identification: lists === undefined ? null : identify(templates, lists),
    environment: collectEnvironment(source?.backend),
  };
}

type IdentificationLists = ReturnType<typeof readIdentification> & object;

function readIdentification(files: IjbFiles, known: ReadonlySet<number>) {
  const lists = [...files.galleries, files.probes];
  const missing = lists.filter((list) => !existsSync(list));
  if (missing.length === lists.length) return undefined;
  if (missing.length > 0) {
    throw new HyperArcError(
      'E_FORMAT',
      `${missing[0]}: expected all lists of 1:N or none, found ${lists.length - missing.length} of ${lists.length}; copy it too`,
    );
  }
  const galleries = files.galleries.map((path) => ({
    name: basename(path, '.csv').replace(/^.*_/, ''),
    list: readSubjects(path, known),
  }));
  return { galleries, probes: readSubjects(files.probes, known) };
}

function identify(templates: Templates, { galleries, probes }: IdentificationLists): Identification {
  return combineGalleries(galleries.map(({ name, list }) => identifyInGallery(name, templates, list, probes)));
}

async function embedList(
  { saveFeatures, flip = true, batchSize, onProgress }: IjbOptions,
  files: IjbFiles,
  faces: IjbFaces,
  source: SizedModel | undefined,
): Promise<ImageFeatures> {
  if (source === undefined) {
    throw new HyperArcError(
      'E_RANGE',
      'features: expected a run, a model or a file of features, received none; give one of them',
    );
  }
  checkImages(files, faces);
  if (saveFeatures !== undefined) checkNewOutput('saveFeatures', saveFeatures, 'a file');
  const features = await embedFaces(source.model, faces, {
    imageSize: source.imageSize,
    images: files.images,
    flip,
    ...(batchSize !== undefined && { batchSize }),
    ...(onProgress && { onProgress }),
  });
  if (saveFeatures !== undefined) {
    makeFolder(dirname(saveFeatures));
    writeFeatureFile(saveFeatures, features);
  }
  return features;
}

/** @throws HyperArcError E_FORMAT if an image of the list is not there */
function checkImages({ images, faces: list }: IjbFiles, faces: IjbFaces): void {
  if (!existsSync(images)) {
    throw new HyperArcError(
      'E_FORMAT',
      `${images}: expected the folder of the images, found none; copy loose_crop, or give --features`,
    );
  }
  const present = new Set(readdirSync(images));
  const missing = [...faces.names.keys()].filter(
    (n) => !present.has(faces.names[n]!) && !existsSync(join(images, faces.names[n]!)),
  );
  if (missing.length === 0) return;
  const first = `the first is ${faces.names[missing[0]!]}`;
  throw new HyperArcError(
    'E_FORMAT',
    `${images}: expected the ${faces.names.length} images of ${basename(list)}, ${missing.length} are missing, ${first}; copy the folder again`,
  );
}
