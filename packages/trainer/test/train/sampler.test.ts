import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkConfig, resumeDifferences, type Config } from '../../dist/config/index.js';
import { readTrainingState } from '../../dist/checkpoint/trainingState.js';
import { scanImageFolder, type ImageFolder } from '../../dist/data/index.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { createSampler } from '../../dist/train/sampler.js';
import { train } from '../../dist/train/train.js';
import { imageFolder, put } from '../data/fixtures.js';

let dataset: ImageFolder;
beforeAll(async () => {
  dataset = scanImageFolder(await imageFolder(6, 3));
});

const configure = (sampler: unknown, augment?: unknown): Config =>
  checkConfig(
    {
      name: 'sampled',
      output: join(dataset.root, '.runs'),
      data: { root: dataset.root, imageSize: 16, sampler, ...(augment !== undefined && { augment }) },
      backbone: { name: 'iresnet10-w16', embeddingSize: 8 },
      head: { scale: 16, margin: 0.2 },
      training: { steps: 5, batchSize: 4 },
      checkpoint: { every: 0 },
    },
    'test',
  );

/** A file beside the identities; hidden, so that it is no identity. */
function groupsFile(name: string, contents: string): string {
  put(dataset.root, `.${name}`, contents);
  return join(dataset.root, `.${name}`);
}

describe('createSampler', () => {
  const groupsOfFirst = (config: Config) => {
    const order = createSampler(config, dataset)!.epoch(0);
    return Array.from(order.subarray(0, 4), (sample) => dataset.samples[sample]!.path);
  };

  it('is none for shuffle, and P × K for balanced', () => {
    expect(createSampler(configure(undefined), dataset)).toBeUndefined();
    expect(createSampler(configure('shuffle'), dataset)).toBeUndefined();
    const paths = groupsOfFirst(configure({ kind: 'balanced', identities: 2, images: 2 }));
    expect(new Set(paths.map((path) => path.split('/')[0])).size).toBe(2);
  });

  it('takes groups of identities from YAML, and of identities or images from a column of a CSV file', () => {
    const yaml = Array.from({ length: 6 }, (_, i) => `person_${i}: ${i === 0 ? 'rare' : 'common'}`).join('\n');
    const csv = [
      'path,light,"skin, tone"',
      ...dataset.samples.map(({ path, label }) => `${path},${label % 2},${label === 0 ? '"ra""re"' : 'common'}`),
    ].join('\r\n');
    const byIdentity = [
      'identity,age',
      ...Array.from({ length: 6 }, (_, i) => `person_${i},${i === 0 ? 'old' : 'young'}`),
    ].join('\n');
    for (const sampler of [
      { groups: groupsFile('groups.yaml', yaml) },
      { groups: groupsFile('attributes.csv', csv), column: 'skin, tone' },
      { groups: groupsFile('identities.csv', byIdentity) },
    ]) {
      const paths = groupsOfFirst(configure({ kind: 'group-balanced', ...sampler }));
      expect(paths.filter((path) => path.startsWith('person_0'))).toHaveLength(2);
    }
  });

  it.each([
    [
      'groups.yaml',
      'person_0: a',
      {},
      'expected a group for every image, received none for person_1/0.jpg and 14 others',
    ],
    ['groups.yaml', '[1, 2]', {}, 'expected lines of identity: group'],
    ['groups.yaml', 'person_0: [1]', {}, 'expected the name of a group for person_0'],
    ['groups.yaml', 'a: b', { column: 'c' }, 'of a .csv file only'],
    ['a.csv', 'path,a\nperson_0/0.jpg,1', { column: 'b' }, 'expected a column b in'],
    ['a.csv', 'path,a\nperson_0/0.jpg', {}, 'at row 2'],
    ['a.csv', 'path,a\np/0.jpg,1\np/0.jpg,2', {}, 'expected one group of p/0.jpg, received 1 and 2'],
    ['a.csv', '', {}, 'an empty file'],
  ])('refuses %s of %j', (name, contents, extra, message) => {
    const sampler = { kind: 'group-balanced', groups: groupsFile(name, contents), ...extra };
    expect(() => createSampler(configure(sampler), dataset)).toThrow(message);
  });

  it('refuses more identities than there are', () => {
    const many = {
      ...configure(undefined),
      data: { ...configure(undefined).data, sampler: { kind: 'balanced', identities: 7, images: 1 } as const },
    };
    expect(() => createSampler(many, dataset)).toThrow('the data have 6 identities');
  });
});

describe('data.sampler', () => {
  it.each([
    [
      'balnced',
      'data.sampler: expected one of shuffle, balanced, group-balanced, received "balnced"; did you mean balanced?',
    ],
    ['balanced', 'data.sampler.identities: expected with data.sampler.kind balanced, received nothing'],
    [{ kind: 'balanced', identities: 2, images: 3 }, 'identities × images = training.batchSize 4, received 2 × 3'],
    [
      { kind: 'group-balanced' },
      'data.sampler.groups: expected with data.sampler.kind group-balanced, received nothing',
    ],
    [
      { kind: 'shuffle', images: 2 },
      'data.sampler.images: expected with data.sampler.kind balanced, received kind shuffle',
    ],
    [{ kind: 'balanced', image: 2 }, 'data.sampler.image: no such key; did you mean data.sampler.images?'],
  ])('refuses %j', (sampler, message) => {
    expect(() => configure(sampler)).toThrow(message);
  });
});

it('training with augmentation and a balanced sampler goes on to the same bits, and only with them', async () => {
  const config = configure(
    { kind: 'balanced', identities: 2, images: 2 },
    { preset: 'robust', photometric: { probability: 1 } },
  );
  const run = (steps: number, folder: RunFolder, resume?: { fallBack: boolean }) => {
    let asked = 0;
    const stop = {
      get signal() {
        return asked++ < steps ? undefined : ('SIGINT' as const);
      },
    };
    return train({ run: folder, config, stream: new PassThrough().resume(), stop, ...(resume && { resume }) });
  };
  const [whole, stopped] = [RunFolder.create(config), RunFolder.create(config)];
  await run(9, whole);
  await run(3, stopped);
  await run(9, stopped, { fallBack: false });
  const digests = (folder: RunFolder) => {
    const path = join(folder.checkpointsPath, 'step-00000005');
    return readdirSync(path)
      .filter((name) => /safetensors|state/.test(name))
      .map((name) =>
        createHash('sha256')
          .update(readFileSync(join(path, name)))
          .digest('hex'),
      );
  };
  expect(digests(stopped)).toEqual(digests(whole));
  const state = readTrainingState(join(whole.checkpointsPath, 'step-00000005', 'state.json'));
  expect(state.loader).toMatchObject({ epoch: 1, position: 1, sampler: 'balanced, 2 identities of 2 images' });
  const other = configure({ kind: 'balanced', identities: 4, images: 1 }, 'adaface');
  const changed = resumeDifferences(config, other).map((line) => line.split(':')[0]);
  expect(changed).toContain('data.sampler.identities');
  expect(changed).toContain('data.augment.crop.mode');
});
