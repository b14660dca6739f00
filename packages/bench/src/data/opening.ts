import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How long a RecordIO dataset of many images takes to open. */
export interface Opening {
  readonly images: number;
  readonly identities: number;
  /** The first time, when the index is made. */
  readonly indexSeconds: number;
  /** Afterwards, the process started anew: median. */
  readonly openSeconds: number;
  readonly peakBytes: number;
}

const IMAGES_PER_IDENTITY = 48;
/** Magic, length, image header, the first bytes of a JPEG. */
const RECORD_BYTES = 8 + 24 + 8;
const CHUNK = 1 << 16;

/** Records with headers of their own and images of 8 bytes: an index is made of headers alone. */
function writeRecords(folder: string, images: number): void {
  const records = openSync(join(folder, 'train.rec'), 'wx');
  const index = openSync(join(folder, 'train.idx'), 'wx');
  const chunk = Buffer.alloc(CHUNK * RECORD_BYTES);
  for (let first = 0; first < images; first += CHUNK) {
    const count = Math.min(CHUNK, images - first);
    let lines = '';
    for (let i = 0; i < count; i++) {
      const at = i * RECORD_BYTES;
      chunk.writeUInt32LE(0xced7230a, at);
      chunk.writeUInt32LE(32, at + 4);
      chunk.writeFloatLE(Math.floor((first + i) / IMAGES_PER_IDENTITY), at + 12);
      chunk.writeUInt32LE(0xe0ffd8ff, at + 32);
      lines += `${first + i + 1}\t${(first + i) * RECORD_BYTES}\n`;
    }
    writeSync(records, chunk, 0, count * RECORD_BYTES);
    writeSync(index, lines);
  }
  closeSync(records);
  closeSync(index);
}

const OPEN = `
  const { openDataset } = await import(process.argv[1]);
  const started = performance.now();
  const { labels, identities } = await openDataset(process.argv[2]);
  const seconds = (performance.now() - started) / 1000;
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  console.log(JSON.stringify({ seconds, images: labels.length, identities: identities.length, peakBytes }));`;

/** Opens a dataset of `images` records in processes of their own: once to index it, then with the index. */
export function measureOpening(images: number, log: (line: string) => void): Opening {
  const folder = mkdtempSync(join(tmpdir(), 'hyperarc-bench-'));
  try {
    log(`writing ${images} records`);
    writeRecords(folder, images);
    const open = () =>
      JSON.parse(
        execFileSync(process.execPath, ['--input-type=module', '-e', OPEN, import.meta.resolve('@hyperarc/trainer'), folder], {
          encoding: 'utf8',
        }),
      ) as { seconds: number; images: number; identities: number; peakBytes: number };
    const first = open();
    const again = [open(), open(), open()].sort((a, b) => a.seconds - b.seconds)[1]!;
    return {
      images: first.images,
      identities: first.identities,
      indexSeconds: first.seconds,
      openSeconds: again.seconds,
      peakBytes: again.peakBytes,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
