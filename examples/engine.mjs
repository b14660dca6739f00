// Class centres of 10,000 identities, trained by hand: node examples/engine.mjs
import { checkMarginRule, ClassCenters } from '@hyperarc/kernels-cuda';

const [classes, dim, batch] = [10_000, 128, 64];
const centers = ClassCenters.create({ classes, dim, device: 'auto', seed: 1 });
console.log(`${centers.device.info.name}: ${(centers.bytes / 1e6).toFixed(1)} MB`);

// Stand-ins for a backbone's embeddings [B, D] and their identities [B].
const labels = Int32Array.from({ length: batch }, (_, i) => (i * 157) % classes);
const embeddings = Float32Array.from({ length: batch * dim }, (_, i) => Math.sin(1 + i * i));

const margin = checkMarginRule({ scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' }); // ArcFace
for (let i = 0; i < 10; i += 1) {
  const sampled = centers.sample({ labels, rate: 0.1, seed: 1, step: i }); // partial FC: a tenth of the classes
  const { loss, embeddingGradient, step } = await centers.forwardAsync({ embeddings, labels, margin, sampled });
  const update = centers.updateAsync(step, { learningRate: 0.001 }); // on the device's thread …
  embeddings.forEach((x, j) => (embeddings[j] = x - 0.5 * embeddingGradient[j])); // … while the backbone would go back
  await update;
  step.dispose();
  if (i % 3 === 0) console.log(`step ${i}: loss ${loss.toFixed(3)}`);
}
await centers.save(process.argv[2] ?? 'centers.safetensors');
centers.dispose();
