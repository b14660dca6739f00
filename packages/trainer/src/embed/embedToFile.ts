import type { BackendChoice } from '../backend/index.js';
import { createImageLoader } from '../data/loadImages.js';
import { embedImages } from '../evaluate/embed.js';
import { openTargetModel } from '../evaluate/openTarget.js';
import { EmbeddingFiles } from './embeddingFiles.js';
import { listImages } from './imageList.js';

export interface EmbedToFileOptions {
  readonly backend?: BackendChoice;
  /** Images of one forward pass. Default 64. */
  readonly batchSize?: number;
  /** Adds the embedding of the mirrored image, as evaluation does. Default true. */
  readonly flip?: boolean;
  /** Scales the embeddings to unit length. Default true. */
  readonly normalize?: boolean;
  /** false: a folder's images at every depth, without identities. Default: those of its identities, where it has any. */
  readonly identities?: boolean;
  readonly log?: (line: string) => void;
  /** Called after every batch. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the work with its reason before the next batch; nothing is kept. */
  readonly signal?: AbortSignal;
}

export interface EmbedToFileResult {
  readonly images: number;
  /** Undefined for images without identities. */
  readonly identities: number | undefined;
  readonly dim: number;
  /** The CSV file that says what the rows are. */
  readonly list: string;
  /** From the first image to the last. */
  readonly elapsedMs: number;
}

/**
 * Embeds images with a trained model and writes the embeddings, float32 [N, D], to `out`: `.npy`, or `.safetensors` with `embeddings` and, where there
 * are identities, `labels` int32 [N], which number them in the order of their names. What the rows are is written beside it, to the same name with
 * `.csv`: `path` and `identity` of each. Both files are written or neither. Takes 4·N·D bytes.
 * @param source a run that has ended, a checkpoint, or a folder with a model.json
 * @param root what `openDataset` takes, or a folder of images at any depth
 * @throws HyperArcError E_RANGE for another ending and for files that are there already; E_FORMAT if there is no image, or naming one that cannot be
 *   decoded; those of the model, the backend and {@link embedImages}.
 */
export async function embedToFile(
  source: string,
  root: string,
  out: string,
  options: EmbedToFileOptions = {},
): Promise<EmbedToFileResult> {
  const { backend, batchSize, flip, normalize, identities, log, onProgress, signal } = options;
  const files = new EmbeddingFiles(out);
  const { names, locate, owners } = await listImages(root, {
    ...(identities !== undefined && { identities }),
    ...(log && { log }),
  });
  const { model, imageSize, workers } = await openTargetModel(source, { backend, ...(log && { log }) });
  const loader = createImageLoader({ locate, ...(workers !== undefined && { workers }) });
  try {
    const startedMs = performance.now();
    const embeddings = await embedImages(model, names, {
      imageSize,
      load: (batch, size) => {
        signal?.throwIfAborted();
        return loader.load(batch, size);
      },
      ...(batchSize !== undefined && { batchSize }),
      ...(flip !== undefined && { flip }),
      ...(normalize !== undefined && { normalize }),
      ...(onProgress && { onProgress }),
    });
    const elapsedMs = performance.now() - startedMs;
    signal?.throwIfAborted();
    files.write(embeddings, { names, ...(owners && { owners }) });
    return {
      images: names.length,
      identities: owners?.identities.length,
      dim: embeddings.dim,
      list: files.list,
      elapsedMs,
    };
  } finally {
    await loader.close();
    model.dispose();
  }
}
