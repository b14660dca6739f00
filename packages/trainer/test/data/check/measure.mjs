/**
 * Distances behind the default of `hyperarc data check --near-distance` (docs/decisions/0025): between different pictures of an image folder, and
 * between pictures and edited copies of them. Usage, after a build: node measure.mjs FACES
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { nearPairs } from '../../../dist/data/check/nearPairs.js';
import {
  greyLevels,
  HASH_WORDS,
  HASHED_SIDE,
  perceptualHash,
  popcount,
} from '../../../dist/data/check/perceptualHash.js';
import { decodeImage, scanImageFolder } from '../../../dist/data/index.js';

const EDITS = {
  'JPEG quality 90': (image) => image.jpeg({ quality: 90 }),
  'JPEG quality 50': (image) => image.jpeg({ quality: 50 }),
  'JPEG quality 20': (image) => image.jpeg({ quality: 20 }),
  'half the size': (image, side) => image.resize(side / 2, side / 2).jpeg({ quality: 80 }),
  blurred: (image) => image.blur(1).jpeg(),
  grey: (image) => image.greyscale().jpeg(),
  'gamma 1.5': (image) => image.gamma(1.5).jpeg(),
  '20% brighter': (image) => image.modulate({ brightness: 1.2 }).jpeg(),
  'cut by 2% a side': (image, side) => image.extract({ left: 2, top: 2, width: side - 4, height: side - 4 }).jpeg(),
};

const { root, identities, samples } = scanImageFolder(process.argv[2]);
const hashOf = async (bytes, hash, at) => perceptualHash(greyLevels(await decodeImage(bytes, HASHED_SIDE)), hash, at);
const hashes = new Uint32Array(samples.length * HASH_WORDS);
for (const [i, { path }] of samples.entries()) await hashOf(readFileSync(join(root, path)), hashes, i * HASH_WORDS);
const apart = (a, i, b, j) => {
  let bits = 0;
  for (let word = 0; word < HASH_WORDS; word++) bits += popcount(a[i * HASH_WORDS + word] ^ b[j * HASH_WORDS + word]);
  return bits;
};

let [same, different] = [Infinity, Infinity];
for (let i = 0; i < samples.length; i++) {
  for (let j = 0; j < i; j++) {
    const bits = apart(hashes, i, hashes, j);
    if (samples[i].label === samples[j].label) same = Math.min(same, bits);
    else different = Math.min(different, bits);
  }
}
console.log(
  `${samples.length} pictures of ${identities.length} people: nearest of one person ${same} bits, of two ${different}`,
);
for (const [name, edit] of Object.entries(EDITS)) {
  const distances = [];
  for (let i = 0; i < samples.length; i += Math.ceil(samples.length / 200)) {
    const image = sharp(join(root, samples[i].path));
    const { width } = await image.metadata();
    const hash = new Uint32Array(HASH_WORDS);
    await hashOf(await edit(image, width).toBuffer(), hash, 0);
    distances.push(apart(hashes, i, hash, 0));
  }
  distances.sort((a, b) => a - b);
  const within = distances.filter((bits) => bits <= 16).length;
  console.log(
    `${name.padEnd(18)} median ${distances[distances.length >> 1]}, most ${distances.at(-1)}; within 16: ${Math.round((100 * within) / distances.length)}%`,
  );
}

for (const count of [100_000, 1_000_000]) {
  const random = new Uint32Array(count * HASH_WORDS);
  let state = 1;
  for (let i = 0; i < random.length; i++) {
    state ^= state << 13; // xorshift32 (Marsaglia)
    state ^= state >>> 17;
    state ^= state << 5;
    random[i] = state;
  }
  const started = process.cpuUsage();
  nearPairs(random, 16, () => {});
  console.log(
    `search among ${count} random hashes: ${(process.cpuUsage(started).user / 1e6).toFixed(1)} s of one core`,
  );
}
