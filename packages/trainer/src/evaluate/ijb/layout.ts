import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

export type IjbProtocol = 'ijbb' | 'ijbc';

/** Where a benchmark's parts are, as InsightFace distributes the lists. */
export interface IjbFiles {
  readonly protocol: IjbProtocol;
  /** Lines `image template media`. */
  readonly faces: string;
  /** Lines `image x1 y1 … x5 y5 score`: landmarks in pixels, and how sure the detector was. */
  readonly landmarks: string;
  /** Lines `template template 0|1`. */
  readonly pairs: string;
  /** Folder of the images. */
  readonly images: string;
  /** CSV with a header, `template,subject,…`; two galleries of different people. */
  readonly galleries: readonly [string, string];
  /** CSV as the galleries. */
  readonly probes: string;
}

/**
 * The files of IJB-B or IJB-C below `folder`, which is the one with `meta` and `loose_crop` (arcface_torch's `--image-path`) or holds it as IJBB or IJBC.
 * @throws HyperArcError E_FORMAT if there is no `meta`.
 */
export function ijbFiles(folder: string, protocol: IjbProtocol): IjbFiles {
  const nested = join(folder, protocol.toUpperCase());
  const root = !existsSync(join(folder, 'meta')) && existsSync(join(nested, 'meta')) ? nested : folder;
  const meta = join(root, 'meta');
  const faces = join(meta, `${protocol}_face_tid_mid.txt`);
  if (!existsSync(faces)) {
    throw new HyperArcError(
      'E_FORMAT',
      `${folder}: expected meta/${protocol}_face_tid_mid.txt, found none; give the folder with meta and loose_crop, and --protocol ijbb or ijbc`,
    );
  }
  const [first, second] = protocol === 'ijbc' ? ['G1', 'G2'] : ['S1', 'S2'];
  return {
    protocol,
    faces,
    landmarks: join(meta, `${protocol}_name_5pts_score.txt`),
    pairs: join(meta, `${protocol}_template_pair_label.txt`),
    images: join(root, 'loose_crop'),
    galleries: [join(meta, `${protocol}_1N_gallery_${first}.csv`), join(meta, `${protocol}_1N_gallery_${second}.csv`)],
    probes: join(meta, `${protocol}_1N_probe_mixed.csv`),
  };
}
