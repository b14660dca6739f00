import { philox4x32, sampleClasses } from '../../dist/reference/index.js';
import { ARCFACE, fp32Rule, problem } from '../contract/data.js';
import { expectProblem } from '../contract/expectations.js';
import type { Check } from './checks.js';
import type { EngineSubject } from './subjects.js';

const FALLBACKS = ['hard', 'easy', 'none', 'clip'] as const;

/** Draws of problem `index`, the same in every run: `below(n)` is an integer in [0, n). */
function drawsOf(index: number) {
  let counter = 0;
  const below = (n: number) => philox4x32([counter++, index, 1, 0], [2049, 0])[0] % n;
  return { below, among: <T>(choices: readonly T[]) => choices[below(choices.length)] };
}

/** Small shapes with everything drawn at once, a third of them around the row lengths 128, 256 and 512 that tensor-core kernels are made for. */
function randomProblem(index: number) {
  const { below, among } = drawsOf(index);
  const dim = among([2 + below(70), 2 + below(150), among([128, 256, 512]) - among([0, 0, 1, 8, below(100)])]);
  // Most are tiny, so that the reference can do ten thousand; some fill tiles of 64 and 128.
  const factor = among([1, 1, 1, 1, 1, 6]) / (dim > 150 ? 2 : 1);
  const size = {
    batch: 1 + below(24 * factor),
    classes: 1 + below(40 * factor),
    dim,
    subCenters: among([1, 1, 1, 1, 2, 3]),
  };
  const rule = fp32Rule({
    scale: among([8, 32, 64]),
    m1: among([1, 1, 0.9, 1.35]),
    m2: below(60) / 100,
    m3: below(40) / 100,
    fallback: among(FALLBACKS),
    gradient: among(['exact', 'straight-through'] as const),
  });
  return { size, rule, rate: among([1, 1, 0.1, 0.5]) };
}

/** `count` problems against the reference, dealt to the subjects in turn. */
export function* randomChecks(subjects: readonly EngineSubject[], count: number): Iterable<Check> {
  for (let index = 0; index < count; index++) {
    const { name, implementation } = subjects[index % subjects.length];
    const { size, rule, rate } = randomProblem(index);
    const { batch, classes, dim, subCenters } = size;
    yield {
      group: 'random shapes',
      subject: name,
      name: `${index}: ${name}: B ${batch}, C ${classes}, K ${subCenters}, D ${dim}, rate ${rate}, ${rule.fallback}, ${rule.gradient}`,
      run: () => {
        const whole = problem(5000 + index, size, { ...ARCFACE, ...rule });
        const draw = { classes, firstClass: 0, labels: whole.batch.labels, rate, seed: 1n, step: 2n, shard: 0 };
        const sampled = rate < 1 ? sampleClasses(draw) : undefined;
        expectProblem(implementation, { ...whole, batch: { ...whole.batch, sampled } });
      },
    };
  }
}
