import type { BackendChoice } from '../backend/index.js';
import { createImageLoader } from '../data/loadImages.js';
import { embedImages } from '../evaluate/embed.js';
import { openTargetModel } from '../evaluate/openTarget.js';
import { EmbeddingFiles } from './embeddingFiles.js';
import { listImages } from './imageList.js';
import { LeavingOut, shareOf, type BadImageOptions, type LeftOutImage } from './leavingOut.js';

export interface EmbedToFileOptions extends BadImageOptions {
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
  /** Rows. */
  readonly images: number;
  /** Whose images have a row; undefined for images without identities. */
  readonly identities: number | undefined;
  readonly dim: number;
  /** The CSV file that says what the rows are. */
  readonly list: string;
  /** Images that cannot be decoded, in the order of the dataset. */
  readonly leftOut: readonly LeftOutImage[];
  /** The CSV file that names them; undefined if there are none. */
  readonly leftOutList: string | undefined;
  /** From the first image to the last. */
  readonly elapsedMs: number;
}

/**
 * Embeds images with a trained model and writes the embeddings, float32 [N, D], to `out`: `.npy`, or `.safetensors` with `embeddings` and, where there
 * are identities, `labels` int32 [N], which number them in the order of their names. What the rows are is written beside it, to the same name with
 * `.csv`: `path` and `identity` of each; with `onBadImage: 'skip'` images that cannot be decoded have no row in either, and are named, with the
 * `reason`, in `NAME.left-out.csv`. All files are written or none. Takes 4·N·D bytes.
 * @param source a run that has ended, a checkpoint, or a folder with a model.json
 * @param root what `openDataset` takes, or a folder of images at any depth
 * @throws HyperArcError E_RANGE for another ending and for files that are there already, and for `maxBadImages` without skipping; E_FORMAT if there is
 *   no image, or naming one that cannot be decoded, with `skip` the last of too many; those of the model, the backend and {@link embedImages}.
 */
export async function embedToFile(
  source: string,
  root: string,
  out: string,
  options: EmbedToFileOptions = {},
): Promise<EmbedToFileResult> {
  const { backend, batchSize, flip, normalize, identities, log, onProgress, signal } = options;
  const maxShare = shareOf(options);
  const files = new EmbeddingFiles(out);
  const { names, locate, owners } = await listImages(root, {
    ...(identities !== undefined && { identities }),
    ...(log && { log }),
  });
  const { model, imageSize, workers } = await openTargetModel(source, { backend, ...(log && { log }) });
  const loader = createImageLoader({ locate, ...(workers !== undefined && { workers }) });
  const leavingOut = maxShare === undefined ? undefined : new LeavingOut(loader, names.length, maxShare);
  try {
    const startedMs = performance.now();
    const embeddings = await embedImages(model, names, {
      imageSize,
      load: (batch, size) => {
        signal?.throwIfAborted();
        return (leavingOut ?? loader).load(batch, size);
      },
      ...(batchSize !== undefined && { batchSize }),
      ...(flip !== undefined && { flip }),
      ...(normalize !== undefined && { normalize }),
      ...(onProgress && { onProgress }),
    });
    const elapsedMs = performance.now() - startedMs;
    signal?.throwIfAborted();
    const list = { names, ...(owners && { owners }) };
    const rows = leavingOut?.part(list) ?? { ...list, leftOut: [] };
    files.write(embeddings, rows);
    return {
      images: rows.names.length,
      identities: rows.owners && new Set(rows.owners.labels).size,
      dim: embeddings.dim,
      list: files.list,
      leftOut: rows.leftOut,
      leftOutList: rows.leftOut.length === 0 ? undefined : files.leftOutList,
      elapsedMs,
    };
  } finally {
    await loader.close();
    model.dispose();
  }
}
