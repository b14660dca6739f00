import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { writeSafetensors, type WritableTensor } from '../checkpoint/safetensors.js';
import { writeNpy } from '../evaluate/files/writeNpy.js';
import type { Features } from '../evaluate/search/features.js';
import { makeFolder, writeWholeFile } from '../files.js';
import { checkNewOutput } from '../outputs.js';
import type { Owners } from './imageList.js';
import type { LeftOutImage, Rows } from './leavingOut.js';

/** Rows of the list that are put together at a time. */
const ROWS = 1 << 16;

type Write = (path: string, features: Features, owners?: Owners) => void;

/** By the ending of the file's name. */
const WRITERS: Readonly<Record<string, Write>> = {
  '.npy': writeNpy,
  '.safetensors': (path, { valuesND, dim }, owners) => {
    const rows = valuesND.length / dim;
    const tensors = new Map<string, WritableTensor>([['embeddings', { shape: [rows, dim], values: valuesND }]]);
    if (owners) tensors.set('labels', { shape: [rows], values: owners.labels });
    writeSafetensors(path, tensors);
  },
};

/** A file of embeddings, and beside it the list that says what its rows are, and another of the images that have none, if there are such. */
export class EmbeddingFiles {
  /** Lines of `path,identity`, or `path` alone, below a line of these names: CSV (RFC 4180), a line a row. */
  readonly list: string;
  /** Lines of `path,reason` below a line of these names. */
  readonly leftOutList: string;
  private readonly writeMatrix: Write;

  /** @throws HyperArcError E_RANGE for another ending than .npy and .safetensors, for names that are taken, and for a place that cannot be written to. */
  constructor(readonly out: string) {
    const ending = extname(out);
    const write = Object.hasOwn(WRITERS, ending) ? WRITERS[ending] : undefined;
    if (write === undefined) {
      const endings = Object.keys(WRITERS).join(' or ');
      throw new HyperArcError('E_RANGE', `out: expected a name that ends in ${endings}, received ${out}; rename it`);
    }
    this.writeMatrix = write;
    const stem = out.slice(0, -ending.length);
    this.list = `${stem}.csv`;
    this.leftOutList = `${stem}.left-out.csv`;
    this.checkNames();
  }

  /**
   * Writes all files, or none.
   * @param features a row for each name
   * @throws HyperArcError E_RANGE for names that have been taken meanwhile.
   */
  write(features: Features, { names, owners, leftOut }: Rows): void {
    this.checkNames();
    makeFolder(dirname(this.out));
    try {
      writeWholeFile(this.out, (partial) => {
        this.writeMatrix(partial, features, owners);
        // Before the matrix has its name: where that is, the lists are.
        if (leftOut.length > 0) writeWholeFile(this.leftOutList, (partialList) => writeLeftOut(partialList, leftOut));
        writeWholeFile(this.list, (partialList) => writeList(partialList, names, owners));
      });
    } catch (error) {
      for (const list of [this.list, this.leftOutList]) rmSync(list, { force: true });
      throw error;
    }
  }

  private checkNames(): void {
    for (const path of [this.out, this.list, this.leftOutList]) checkNewOutput('out', path, 'a file');
  }
}

function writeList(path: string, names: readonly string[], owners: Owners | undefined): void {
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, owners ? 'path,identity\n' : 'path\n');
    for (let first = 0; first < names.length; first += ROWS) {
      const lines = names.slice(first, first + ROWS).map((name, i) => {
        const cells = owners ? [name, owners.identities[owners.labels[first + i]!]!] : [name];
        return `${cells.map(cell).join(',')}\n`;
      });
      writeFileSync(file, lines.join(''));
    }
  } finally {
    closeSync(file);
  }
}

function writeLeftOut(path: string, leftOut: readonly LeftOutImage[]): void {
  const lines = leftOut.map(({ name, reason }) => `${cell(name)},${cell(reason)}\n`);
  writeFileSync(path, `path,reason\n${lines.join('')}`, { flag: 'wx' });
}

/** Spaces at an end are quoted too: readers may trim what is not. */
const cell = (text: string): string => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
