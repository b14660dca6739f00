/** Something found in a dataset. Errors must be mended before training; notes need not. */
export interface DatasetFinding {
  readonly severity: 'error' | 'note';
  readonly kind: FindingKind;
  /** What it is about, relative to the dataset; of duplicates, all the files alike. */
  readonly paths: readonly string[];
  readonly detail: string;
}

export const FINDINGS = {
  'damaged image': { severity: 'error', fix: 'replace or remove these files' },
  'damaged record': { severity: 'error', fix: 'fetch the file again: what stands after this record was not read' },
  'empty identity': { severity: 'error', fix: 'add images to these folders or remove them' },
  'duplicate across identities': { severity: 'error', fix: 'keep each image in one identity only, or merge the identities' },
  'image of an evaluation set': { severity: 'error', fix: 'remove them from training, or the set measures what was learnt by heart' },
  'near-duplicate across identities': { severity: 'note', fix: 'look at them: one photograph in two identities is a wrong label' },
  'identity of an evaluation set': { severity: 'note', fix: 'remove them from training where they are the same people' },
  'picture left out': { severity: 'note', fix: 'training does not see them: make JPEG, PNG or WebP of them, or move them into the folder of their identity' },
  'blank image': { severity: 'note', fix: 'look at them: they have no contrast' },
  'labels without images': { severity: 'note', fix: 'number the identities anew: each such label is a class centre that no image trains' },
  'label above 2^24': { severity: 'note', fix: 'neighbouring fp32 labels are the same number there: convert from the list of files instead' },
  'duplicate within an identity': { severity: 'note', fix: 'remove all but one: they count twice' },
  'near-duplicate within an identity': { severity: 'note', fix: 'remove all but one: they count more than once' },
  'wrong extension': { severity: 'note', fix: 'rename these files; they are read by their contents' },
  'not an image': { severity: 'note', fix: 'nothing to do: these entries are ignored' },
} as const satisfies Record<string, { severity: 'error' | 'note'; fix: string }>;
export type FindingKind = keyof typeof FINDINGS;

export interface HistogramBin {
  readonly label: string;
  readonly count: number;
}

/** What a training set has in common with an evaluation set. */
export interface EvaluationOverlap {
  readonly root: string;
  readonly identities: number;
  readonly images: number;
  /** Images of it that could not be read, and so were not compared. */
  readonly damaged: number;
  /** Images of it that are, or nearly are, training images. */
  readonly overlappingImages: number;
  /** Identities of one name; null where one of the two has labels instead of names. */
  readonly commonIdentities: number | null;
}

export interface DatasetReport {
  readonly root: string;
  /** Folders, empty ones too; of a RecordIO file, labels. */
  readonly identities: number;
  /** Files with an image's extension, damaged ones too. */
  readonly images: number;
  readonly bytes: number;
  /** Range of the labels, and how many in 0 … highest no image has. Those of a folder's identities are given by the order of their names. */
  readonly labels: { readonly lowest: number; readonly highest: number; readonly missing: number };
  readonly imagesOfAnIdentity: { readonly least: number; readonly median: number; readonly most: number };
  /** Identities by their number of images. */
  readonly imagesPerIdentity: readonly HistogramBin[];
  /** Images by width × height, most frequent first. */
  readonly resolutions: readonly HistogramBin[];
  /** Pairs of different files whose perceptual hashes differ by at most `distance` of 256 bits. */
  readonly nearDuplicates: { readonly distance: number; readonly pairs: number };
  readonly against: readonly EvaluationOverlap[];
  readonly findings: readonly DatasetFinding[];
  /** No finding is an error. */
  readonly ok: boolean;
}
