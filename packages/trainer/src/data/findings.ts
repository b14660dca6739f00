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
  'empty identity': { severity: 'error', fix: 'add images to these folders or remove them' },
  'duplicate across identities': { severity: 'error', fix: 'keep each image in one identity only, or merge the identities' },
  'duplicate within an identity': { severity: 'note', fix: 'remove all but one: they count twice' },
  'wrong extension': { severity: 'note', fix: 'rename these files; they are read by their contents' },
  'not an image': { severity: 'note', fix: 'nothing to do: these entries are ignored' },
} as const satisfies Record<string, { severity: 'error' | 'note'; fix: string }>;
export type FindingKind = keyof typeof FINDINGS;

export interface HistogramBin {
  readonly label: string;
  readonly count: number;
}

export interface DatasetReport {
  readonly root: string;
  /** Folders, empty ones too. */
  readonly identities: number;
  /** Files with an image's extension, damaged ones too. */
  readonly images: number;
  readonly bytes: number;
  /** Identities by their number of images. */
  readonly imagesPerIdentity: readonly HistogramBin[];
  /** Images by width × height, most frequent first. */
  readonly resolutions: readonly HistogramBin[];
  readonly findings: readonly DatasetFinding[];
  /** No finding is an error. */
  readonly ok: boolean;
}
