import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll } from 'vitest';

let folders: string | undefined;
// Asked for here, while the file's tests are collected: within a test that runs, vitest takes no hook.
afterAll(() => {
  if (folders !== undefined) rmSync(folders, { recursive: true, force: true });
});

/** A new empty folder, removed after the file's tests. */
export function temporaryFolder(): string {
  folders ??= mkdtempSync(join(tmpdir(), 'hyperarc-test-'));
  return mkdtempSync(join(folders, 'folder-'));
}

/** A picture that no other number gives: a gradient whose left half is darker than its right half. */
export function picture(number: number, side = 24, format: 'jpeg' | 'png' | 'webp' = 'jpeg'): Promise<Buffer> {
  const pixels = Buffer.alloc(side * side * 3);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const at = (row * side + column) * 3;
      pixels[at] = (column * 255) / side;
      pixels[at + 1] = (row * 5 + number * 37) % 256;
      pixels[at + 2] = (number * 11) % 256;
    }
  }
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .toFormat(format)
    .toBuffer();
}

export function put(root: string, path: string, contents: Uint8Array | string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), contents);
}

/** An image folder of `identities` × `samples` different pictures. */
export async function imageFolder(
  identities: number,
  samples: number,
  side = 24,
  root = temporaryFolder(),
): Promise<string> {
  for (let identity = 0; identity < identities; identity++) {
    for (let sample = 0; sample < samples; sample++) {
      put(root, `person_${identity}/${sample}.jpg`, await picture(identity * samples + sample, side));
    }
  }
  return root;
}
