// A backbone and its class centres trained, resumed and evaluated from code, in seconds: node examples/train.mjs
import {
  checkConfig,
  evaluateRun,
  loadModelFolder,
  RunFolder,
  train,
  writeReport,
  writeSynthDataset,
} from '@hyperarc/trainer';

await writeSynthDataset({ out: 'faces', identities: 24, samples: 6, seed: 1, size: 48 });
const config = checkConfig(
  {
    name: 'example',
    data: { root: 'faces', heldOut: 4, imageSize: 32 },
    backbone: { name: 'iresnet10-w16', embeddingSize: 32 },
    head: { loss: 'arcface', scale: 16, margin: 0.2, rate: 0.5 },
    training: { steps: 40, batchSize: 20 },
    evaluate: { pairs: 40, folds: 2 },
  },
  'examples/train.mjs', // what error messages call the configuration
);
const run = RunFolder.create(config); // runs/example-001, then -002, …
const { step, checkpoint } = await train({ run, config, stream: process.stdout });
console.log(`${step} steps; train({ run, config, resume: … }) goes on from ${checkpoint}`);
const { models } = await evaluateRun(run);
for (const { name, accuracy } of models) console.log(`${name}: ${(100 * accuracy.mean).toFixed(1)}%`);
console.log('report:', await writeReport({ runFolder: run.path }));
const backbone = await loadModelFolder(run.modelPath); // a tf.LayersModel: [B, 32, 32, 3] in [−1, 1] → [B, 32]
console.log('embeddings:', backbone.outputShape);
