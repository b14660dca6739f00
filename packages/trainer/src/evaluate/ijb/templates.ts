import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageFeatures } from '../files/featureFile.js';
import type { IjbFaces } from './lists.js';

/** What an image's embedding counts for in its template; InsightFace's names and defaults. */
export interface TemplateOptions {
  /** Add the embedding of the mirrored image, where there is one: `use_flip_test`. Default true. */
  readonly flip?: boolean;
  /** Keep the embedding's length, which is small where the image is bad; false: scale to 1. `use_norm_score`. Default true. */
  readonly normScore?: boolean;
  /** Multiply by how sure the detector was: `use_detector_score`. Default true. */
  readonly detectorScore?: boolean;
}

/** Template vectors of length 1, float64. */
export interface Templates {
  /** [T] template numbers, ascending */
  readonly numbers: Int32Array;
  /** [T, D]; a template whose sum is zero stays zero. */
  readonly vectorsTD: Float64Array;
  readonly dim: number;
  /** Row of each template number. */
  readonly rowOf: ReadonlyMap<number, number>;
}

/**
 * Templates from embeddings of their images (IJB-B, Whitelam et al. 2017; as InsightFace's `image2template_feature`): the mean over the frames of each
 * medium, the sum over media, scaled to length 1. Computed in float64, where the published code takes float32 means.
 *
 * @param features [N, D] in the order of `faces`
 * @throws HyperArcError E_SHAPE; E_NONFINITE naming the image.
 */
export function aggregateTemplates(faces: IjbFaces, features: ImageFeatures, options: TemplateOptions = {}): Templates {
  const { names, templates, media } = faces;
  const { dim } = features.plain;
  checkRows(features, names.length);
  const addImage = imageAdder(faces, features, options);
  const order = Uint32Array.from(names.keys()).sort(
    (i, j) => templates[i]! - templates[j]! || media[i]! - media[j]! || i - j,
  );
  const numbers = Int32Array.from(new Set(templates)).sort();
  const vectorsTD = new Float64Array(numbers.length * dim);
  const frameSum = new Float64Array(dim);
  for (let at = 0, row = -1, template = -1; at < order.length;) {
    const first = order[at]!;
    if (templates[first] !== template) {
      template = templates[first]!;
      row += 1;
    }
    frameSum.fill(0);
    const start = at;
    for (; at < order.length; at++) {
      const image = order[at]!;
      if (templates[image] !== template || media[image] !== media[first]) break;
      addImage(image, frameSum);
    }
    const vector = vectorsTD.subarray(row * dim, (row + 1) * dim);
    for (let d = 0; d < dim; d++) vector[d]! += frameSum[d]! / (at - start);
  }
  for (let row = 0; row < numbers.length; row++) scaleToUnit(vectorsTD.subarray(row * dim, (row + 1) * dim));
  return { numbers, vectorsTD, dim, rowOf: new Map(Array.from(numbers, (number, row) => [number, row])) };
}

function checkRows(features: ImageFeatures, images: number): void {
  for (const [name, matrix] of Object.entries(features)) {
    if (matrix.valuesND.length === images * features.plain.dim) continue;
    const expected = `${images} rows of ${features.plain.dim} numbers`;
    throw new HyperArcError(
      'E_SHAPE',
      `features.${name}: expected ${expected}, received ${matrix.valuesND.length} numbers`,
    );
  }
}

/** Adds an image's embedding, flip-added, scaled and weighted as the options say, to a sum [D]. */
function imageAdder(faces: IjbFaces, { plain, mirrored }: ImageFeatures, options: TemplateOptions) {
  const { flip = true, normScore = true, detectorScore = true } = options;
  const { dim } = plain;
  const values = new Float64Array(dim);
  return (image: number, sum: Float64Array): void => {
    const base = image * dim;
    let squared = 0;
    for (let d = 0; d < dim; d++) {
      const value = plain.valuesND[base + d]! + (flip && mirrored ? mirrored.valuesND[base + d]! : 0);
      values[d] = value;
      squared += value * value;
    }
    if (!Number.isFinite(squared)) {
      const name = faces.names[image]!;
      throw new HyperArcError(
        'E_NONFINITE',
        `embedding of ${name}: expected finite numbers, received NaN or Inf; look at the model or the features`,
      );
    }
    const length = normScore || squared === 0 ? 1 : Math.sqrt(squared);
    const weight = (detectorScore ? faces.detectorScores[image]! : 1) / length;
    for (let d = 0; d < dim; d++) sum[d]! += weight * values[d]!;
  };
}

function scaleToUnit(vector: Float64Array): void {
  let squared = 0;
  for (const value of vector) squared += value * value;
  if (squared === 0) return;
  const length = Math.sqrt(squared);
  for (let d = 0; d < vector.length; d++) vector[d]! /= length;
}

/** Inner product of row `i` of `a` and row `j` of `b`: the cosine of two templates. */
export function templateCosine(a: Float64Array, i: number, b: Float64Array, j: number, dim: number): number {
  let p = i * dim;
  let q = j * dim;
  // Four sums, since an addition waits for the one before it: IJB-C takes 85 million cosines.
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (const end = p + dim - (dim % 4); p < end; p += 4, q += 4) {
    s0 += a[p]! * b[q]!;
    s1 += a[p + 1]! * b[q + 1]!;
    s2 += a[p + 2]! * b[q + 2]!;
    s3 += a[p + 3]! * b[q + 3]!;
  }
  for (const end = (i + 1) * dim; p < end; p++, q++) s0 += a[p]! * b[q]!;
  return s0 + s1 + (s2 + s3);
}
