import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { initBackend } from '../../../dist/backend/index.js';
import { embedFaces } from '../../../dist/evaluate/ijb/embedFaces.js';
import { evaluateIjb } from '../../../dist/evaluate/ijb/evaluateIjb.js';
import { ijbFiles } from '../../../dist/evaluate/ijb/layout.js';
import { readFaces, readSubjects, readTemplatePairs } from '../../../dist/evaluate/ijb/lists.js';
import { aggregateTemplates } from '../../../dist/evaluate/ijb/templates.js';
import { pairScores } from '../../../dist/evaluate/ijb/verification.js';
import { writeFeatureFile } from '../../../dist/evaluate/files/featureFile.js';
import { readNpy } from '../../../dist/evaluate/files/npy.js';

interface Rate {
  tar: number;
  measuredFar: number;
}
interface Case {
  flip: boolean;
  normScore: boolean;
  detectorScore: boolean;
  scores?: number[];
  templates?: Record<string, number[]>;
  nearest: Rate[];
  strict: (Rate | null)[];
  auc: number;
  galleries: {
    mated: number;
    nonMated: number;
    tpirAtFpir: { tpir: number; threshold: number; measuredFpir: number }[];
    cmc: number[];
  }[];
}
interface Expected {
  ijbc: { fars: number[]; images: number; pairs: number; cases: Case[] };
  ijbb: { embeddings: number[][]; mirrored: number[][]; scores: number[]; nearest: Rate[] };
}

const reference = join(import.meta.dirname, '../reference/protocols');
const expected = JSON.parse(readFileSync(join(reference, 'ijb.json'), 'utf8')) as Expected;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-ijb-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** IJB-C's vectors, as the two .npy files have them. */
function ijbcFeatures() {
  const [plain, mirrored] = ['embeddings', 'mirrored'].map((name) => {
    const { shape, values } = readNpy(join(reference, 'IJBC', `${name}.npy`));
    return { valuesND: values, dim: shape[1] };
  });
  return { plain: plain!, mirrored: mirrored! };
}

describe('IJB-C with vectors', () => {
  const features = ijbcFeatures();
  const faces = readFaces(ijbFiles(reference, 'ijbc'));

  it('has the template vectors and pair scores of the reference', () => {
    const [{ templates, scores }] = expected.ijbc.cases as [Case];
    const found = aggregateTemplates(faces, features);
    expect([...found.numbers].map(String)).toEqual(Object.keys(templates!));
    Object.values(templates!).forEach((vector, row) =>
      vector.forEach((value, d) => expect(found.vectorsTD[row * found.dim + d]).toBeCloseTo(value, 10)),
    );
    const pairs = readTemplatePairs(ijbFiles(reference, 'ijbc').pairs, new Set(faces.templates));
    pairScores(found, pairs).forEach((score, p) => expect(score).toBeCloseTo(scores![p]!, 10));
  });

  it.each(expected.ijbc.cases)(
    'flip $flip, norm $normScore, detector $detectorScore: has the figures of the reference',
    async ({ flip, normScore, detectorScore, nearest, strict, auc, galleries }) => {
      const file = join(folder, 'features.safetensors');
      writeFeatureFile(file, features);
      const options = { data: reference, protocol: 'ijbc', features: file, flip, normScore, detectorScore } as const;
      const evaluation = await evaluateIjb(options);
      expect(evaluation).toMatchObject({ images: expected.ijbc.images, flip, normScore, detectorScore });
      const { verification, identification } = evaluation;
      expect(verification.genuinePairs + verification.impostorPairs).toBe(expected.ijbc.pairs);
      expect(verification.tarAtFar.map(({ tar, measuredFar }) => ({ tar, measuredFar }))).toEqual(nearest);
      expect(verification.auc).toBeCloseTo(auc, 12);
      galleries.forEach((gallery, g) => {
        const found = identification!.galleries[g]!;
        expect(found).toMatchObject({
          gallery: `G${g + 1}`,
          matedProbes: gallery.mated,
          nonMatedProbes: gallery.nonMated,
        });
        expect(found.cmc.map(({ rate }) => rate)).toEqual(gallery.cmc);
        found.tpirAtFpir.forEach(({ tpir, threshold, measuredFpir }, f) => {
          expect({ tpir, measuredFpir }).toEqual({
            tpir: gallery.tpirAtFpir[f]!.tpir,
            measuredFpir: gallery.tpirAtFpir[f]!.measuredFpir,
          });
          expect(threshold).toBeCloseTo(gallery.tpirAtFpir[f]!.threshold, 10);
        });
      });
      const mean = galleries.map((gallery) => gallery.tpirAtFpir[0]!.tpir);
      expect(identification!.mean.tpirAtFpir[0]!.tpir).toBeCloseTo((mean[0]! + mean[1]!) / 2, 12);

      const strictly = await evaluateIjb({ ...options, rule: 'strict' });
      strict.forEach((rate, f) => {
        const { tar, measuredFar, note } = strictly.verification.tarAtFar[f]!;
        expect({ tar, measuredFar }).toEqual(rate ?? { tar: null, measuredFar: null });
        if (rate === null) expect(note).toMatch(/^needs at least 10+ impostor scores, has \d+$/);
      });
    },
  );

  it('takes a .npy file as embeddings that are added already', async () => {
    const options = { data: reference, protocol: 'ijbc' } as const;
    const plain = await evaluateIjb({ ...options, features: join(reference, 'IJBC/embeddings.npy') });
    expect(plain.flip).toBe(false);
    const same = expected.ijbc.cases.find((entry) => !entry.flip && entry.normScore && entry.detectorScore)!;
    expect(plain.verification.auc).toBeCloseTo(same.auc, 12);
  });

  it('leaves 1:N out where its lists are not', async () => {
    cpSync(join(reference, 'IJBC'), folder, { recursive: true });
    const options = { data: folder, protocol: 'ijbc', features: join(folder, 'embeddings.npy') } as const;
    for (const list of ['gallery_G1', 'gallery_G2']) rmSync(join(folder, `meta/ijbc_1N_${list}.csv`));
    await expect(evaluateIjb(options)).rejects.toThrow(
      'ijbc_1N_gallery_G1.csv: expected all lists of 1:N or none, found 1 of 3',
    );
    rmSync(join(folder, 'meta/ijbc_1N_probe_mixed.csv'));
    expect((await evaluateIjb(options)).identification).toBeNull();
  });
});

describe('IJB-B from pictures', () => {
  /** The mean of each 16×16 block. */
  const blockMeans = {
    predict: (images: tf.Tensor4D) => tf.reshape(tf.avgPool(images, 16, 16, 'valid'), [images.shape[0], 147]),
  };
  const source = { model: blockMeans, imageSize: 112, name: 'block means' };
  beforeAll(async () => {
    await initBackend('cpu');
  });

  it('aligns and embeds each picture as the reference does', async () => {
    const files = ijbFiles(reference, 'ijbb');
    const { plain, mirrored } = await embedFaces(blockMeans, readFaces(files), {
      imageSize: 112,
      images: files.images,
      batchSize: 4,
    });
    // A byte that is rounded the other way moves a mean by 2/255/256 = 3e-5.
    expected.ijbb.embeddings
      .flat()
      .forEach((value, i) => expect(Math.abs(plain.valuesND[i]! - value)).toBeLessThan(1e-4));
    expected.ijbb.mirrored
      .flat()
      .forEach((value, i) => expect(Math.abs(mirrored!.valuesND[i]! - value)).toBeLessThan(1e-4));
  });

  it('goes from the pictures to the figures, and again from the kept embeddings', async () => {
    const kept = join(folder, 'kept.safetensors');
    const seen: string[] = [];
    const options = { data: join(reference, 'IJBB'), protocol: 'ijbb', batchSize: 5 } as const;
    const onProgress = (done: number, total: number) => seen.push(`${done}/${total}`);
    const evaluation = await evaluateIjb({ ...options, saveFeatures: kept, onProgress }, source);
    expect(seen).toEqual(['5/11', '10/11', '11/11']);
    expect(evaluation).toMatchObject({
      source: 'block means',
      images: 11,
      templates: 6,
      identification: null,
      flip: true,
    });
    const rates = evaluation.verification.tarAtFar.map(({ tar, measuredFar }) => ({ tar, measuredFar }));
    expect(rates).toEqual(expected.ijbb.nearest);
    const again = await evaluateIjb({ ...options, features: kept });
    expect(again.verification).toEqual(evaluation.verification);
  });

  it('names what is missing before it embeds anything', async () => {
    cpSync(join(reference, 'IJBB'), folder, { recursive: true });
    const options = { data: folder, protocol: 'ijbb' } as const;
    await expect(evaluateIjb(options)).rejects.toThrow(
      'E_RANGE: features: expected a run, a model or a file of features',
    );
    await expect(
      evaluateIjb({ ...options, saveFeatures: join(folder, 'loose_crop/7.png/kept.safetensors') }, source),
    ).rejects.toThrow('E_RANGE: saveFeatures: expected a place that can be written to');
    await expect(evaluateIjb({ ...options, saveFeatures: join(folder, 'loose_crop/7.png') }, source)).rejects.toThrow(
      'E_RANGE: saveFeatures: expected a file that is not there yet',
    );
    rmSync(join(folder, 'loose_crop/7.png'));
    rmSync(join(folder, 'loose_crop/9.png'));
    await expect(evaluateIjb(options, source)).rejects.toThrow(
      'expected the 11 images of ijbb_face_tid_mid.txt, 2 are missing, the first is 7.png',
    );
    rmSync(join(folder, 'loose_crop'), { recursive: true });
    await expect(evaluateIjb(options, source)).rejects.toThrow(
      'loose_crop: expected the folder of the images, found none',
    );
    await expect(evaluateIjb({ ...options, protocol: 'ijbc' }, source)).rejects.toThrow(
      'expected meta/ijbc_face_tid_mid.txt',
    );
  });

  it('names the image that cannot be decoded, and keeps no embeddings', async () => {
    cpSync(join(reference, 'IJBB'), folder, { recursive: true });
    writeFileSync(join(folder, 'loose_crop/8.png'), 'no picture');
    const kept = join(folder, 'kept.safetensors');
    const options = { data: folder, protocol: 'ijbb', batchSize: 2, saveFeatures: kept } as const;
    await expect(evaluateIjb(options, source)).rejects.toThrow('loose_crop/8.png: expected a JPEG, PNG or WebP image');
    expect(existsSync(kept)).toBe(false);
  });
});

describe('the lists', () => {
  const files = () => ijbFiles(folder, 'ijbb');
  beforeEach(() => cpSync(join(reference, 'IJBB'), folder, { recursive: true }));

  /** Replaces a line (from 1) of a list. */
  function change(path: string, line: number, text: string): void {
    const lines = readFileSync(path, 'utf8').split('\n');
    lines[line - 1] = text;
    writeFileSync(path, lines.join('\n'));
  }

  it.each([
    '3.png 11',
    '3.png eleven 3',
    '3.png 11 3 4',
    '../3.png 11 3',
    '/3.png 11 3',
    '3.png 11 -3',
    '3.png 11 99999999999',
    '3.png 11 2147483648',
  ])('refuses the face "%s" by file and line', (text) => {
    change(files().faces, 3, text);
    expect(() => readFaces(files())).toThrow(
      `ijbb_face_tid_mid.txt:3: expected "image template media", received "${text}"; mend the line`,
    );
  });

  it.each([
    '3.png 1 2 3 4 5 6 7 8 9 10',
    '3.png 1 2 3 4 5 6 7 8 9 x 0.9',
    '3.png 1 2 3 4 5 6 7 8 9 10 0.9 1',
    '3.png 1 2 3 4 5 6 7 8 9 1e999 0.9',
  ])('refuses the landmarks "%s" by file and line', (text) => {
    change(files().landmarks, 3, text);
    expect(() => readFaces(files())).toThrow(
      'ijbb_name_5pts_score.txt:3: expected "image x1 y1 x2 y2 x3 y3 x4 y4 x5 y5 score"',
    );
  });

  it('refuses lists of other images', () => {
    const landmarks = readFileSync(files().landmarks, 'utf8');
    writeFileSync(files().landmarks, landmarks.split('\n').slice(0, 6).join('\n'));
    expect(() => readFaces(files())).toThrow('expected the 11 images of ijbb_face_tid_mid.txt, received 6');
    writeFileSync(files().landmarks, landmarks + landmarks);
    expect(() => readFaces(files())).toThrow('ijbb_name_5pts_score.txt:12: expected the 11 images');
    writeFileSync(files().landmarks, landmarks.replace('5.png', '4.png'));
    expect(() => readFaces(files())).toThrow('ijbb_name_5pts_score.txt:5: expected 5.png as in');
    rmSync(files().landmarks);
    expect(() => readFaces(files())).toThrow('ijbb_name_5pts_score.txt: expected a readable file, received ENOENT');
    writeFileSync(files().faces, '\n\n');
    expect(() => readFaces(files())).toThrow('expected at least one image, received none');
  });

  it.each([
    ['10 11', '"template template 0|1"'],
    ['10 11 2', '"template template 0|1"'],
    ['10 99 1', 'templates that have images'],
  ])('refuses the pair "%s" by file and line', (text, what) => {
    change(files().pairs, 2, text);
    const known = new Set([10, 11, 12, 13, 14, 15]);
    expect(() => readTemplatePairs(files().pairs, known)).toThrow(
      `ijbb_template_pair_label.txt:2: expected ${what}, received "${text}"`,
    );
  });

  it('refuses pairs of one kind', () => {
    writeFileSync(files().pairs, '10 11 1\r\n12 13 1\r\n');
    expect(() => readTemplatePairs(files().pairs, new Set([10, 11, 12, 13]))).toThrow(
      'expected pairs of both kinds, received 2 same and 0 different',
    );
  });

  it.each([
    ['T,S\n10,x\n', ':2: expected "template,subject,…", received "10,x"'],
    ['T,S\n10,1\n99,1\n', ':3: expected a template that has images'],
    ['T,S\n10,1\n11,2\n10,2\n', ':4: expected subject 1 for template 10 as before'],
    ['T,S\n', ': expected a header and at least one template, received none'],
  ])('refuses the gallery %j', (text, message) => {
    const path = join(folder, 'gallery.csv');
    writeFileSync(path, text);
    expect(() => readSubjects(path, new Set([10, 11]))).toThrow(`gallery.csv${message}`);
  });
});
