// Margin families, negatives that grow harder, a margin of each sample's own: node examples/margins.mjs
import { checkMarginRule, ClassCenters } from '@hyperarc/kernels-cuda';

const [classes, dim, batch] = [1000, 64, 32];
const centers = ClassCenters.create({ classes, dim, device: 'cpu', seed: 1 });
const labels = Int32Array.from({ length: batch }, (_, i) => (i * 157) % classes);
const embeddings = Float32Array.from({ length: batch * dim }, (_, i) => Math.sin(1 + i * i));

const arcFace = checkMarginRule({ scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' });
const ofSphere = { m1: 1.5, m2: 0, blend: 0.2 }; // blend 1/(1 + λ), λ = 4
const sphereFace = checkMarginRule({ ...arcFace, family: 'sphere', ...ofSphere, fallback: 'none' });
for (const [name, margin] of Object.entries({ arcFace, sphereFace })) {
  const { loss, step } = centers.forward({ embeddings, labels, margin });
  step.dispose();
  console.log(`${name}: loss ${loss.toFixed(2)}`);
}

// Each sample's own (s, m1, m2, m3), and how the loss follows them: what a margin that a network makes is trained with.
const rowParameters = Float32Array.from({ length: batch * 4 }, (_, i) => [64, 1, 0.3 + i / 1000, 0][i % 4]);
const { rowGradient, step } = centers.forward({ embeddings, labels, margin: arcFace, rowParameters });
console.log(`d loss/d m2 of the first sample: ${rowGradient[2].toFixed(4)}`);
step.dispose();

// CurricularFace: a negative above its sample's own cos(θ + m) becomes c·(t + c), t a running mean of the targets' cosines.
let t = 0;
for (let i = 0; i < 10; i += 1) {
  const cosines = centers.targetCosines({ embeddings, labels });
  t = 0.99 * t + (0.01 * cosines.reduce((sum, c) => sum + c, 0)) / batch;
  const margin = checkMarginRule({
    ...arcFace,
    negatives: {
      threshold: 'target',
      above: { value: [0, t, 1], slope: [t, 2] }, // N(c) = t·c + c², dN/dc = t + 2·c
      below: { value: [0, 1, 0], slope: [1, 0] },
    },
  });
  const { loss, step } = centers.forward({ embeddings, labels, margin });
  centers.update(step, { learningRate: 0.0003 });
  step.dispose();
  if (i % 3 === 0) console.log(`CurricularFace, step ${i}: loss ${loss.toFixed(3)}, t ${t.toFixed(4)}`);
}
centers.dispose();
