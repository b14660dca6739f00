import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { formatConfig, headOptimizer, listRecipes, loadConfig, loadRequest } from '../../dist/config/index.js';
import { createSchedule } from '../../dist/train/schedule.js';

const folder = mkdtempSync(join(tmpdir(), 'hyperarc-recipes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DATA = ['data.root=FACES'];

describe('recipes', () => {
  // After a change that is meant: npx vitest run --root packages/trainer recipes -u
  it.each(listRecipes().map(({ name }) => name))('%s resolves to what is recorded', async (name) => {
    expect(loadRequest(name, DATA).name).toBe(name);
    await expect(formatConfig(loadRequest(name, DATA))).toMatchFileSnapshot(`recipes/${name}.yaml`);
  });

  it('each say in a line what they are, and ask for the data where they bring none', () => {
    for (const { name, summary } of listRecipes()) {
      expect(summary.length, name).toBeGreaterThan(20);
      expect(summary.length, name).toBeLessThan(140);
      expect(summary, name).not.toMatch(/^#|:$/);
    }
    const missing = 'E_RANGE: survey-table2: data.root: expected the path of a dataset, received nothing';
    expect(() => loadConfig('survey-table2')).toThrow(missing);
  });

  it("keep the survey's Table 2 and arcface_torch's numbers", () => {
    const survey = loadConfig('survey-table2', DATA);
    expect(survey.training.batchSize * survey.training.accumulate).toBe(512);
    const { factorAt } = createSchedule(survey, 45_000);
    const rates = [0, 99_999, 100_000, 160_000, 220_000, 239_999].map(
      (step) => survey.optimizer.learningRate * factorAt(step),
    );
    for (const [i, rate] of [0.1, 0.1, 0.01, 1e-3, 1e-4, 1e-4].entries()) expect(rates[i]).toBeCloseTo(rate, 12);
    expect(survey.head).toMatchObject({ loss: 'arcface', margin: 0.5, scale: 64 });

    const web = loadConfig('arcface-torch-webface42m', DATA);
    expect(web.head).toMatchObject({ loss: 'cosface', margin: 0.4, rate: 0.2, unsampled: 'decayed' });
    expect(web.training.batchSize * web.training.accumulate).toBe(1024);
    // Linear to zero over 20 epochs, no warm-up.
    const schedule = createSchedule(web, 8000);
    expect(schedule.totalSteps).toBe(20_000);
    expect([0, 5000, 15_000].map(schedule.factorAt)).toEqual([1, 0.75, 0.25]);
    expect(loadConfig('arcface-torch-ms1mv3', DATA).head).toMatchObject({
      loss: 'arcface',
      fallback: 'none',
      gradient: 'straight-through',
    });
    expect(loadConfig('arcface-torch-glint360k', DATA).optimizer.weightDecay).toBe(1e-4);
    const vit = loadConfig('arcface-torch-webface42m-vit-b', DATA);
    expect(vit.training.batchSize * vit.training.accumulate).toBe(24_576);
    expect(vit.backbone).toMatchObject({ name: 'vit-b', patchDropout: 0.05, dropPath: 0.05 });
    expect(vit.head).toMatchObject({ loss: 'cosface', margin: 0.4, rate: 0.3, unsampled: 'decayed' });
    for (const part of [vit.optimizer, headOptimizer(vit.optimizer)]) {
      expect(part).toMatchObject({ kind: 'adamw', learningRate: 1e-3, weightDecay: 0.1, betas: [0.9, 0.999] });
    }
    // Four of the forty epochs warm up.
    const warm = createSchedule(vit, 96_000);
    expect([0, 3999, 4000, 22_000].map((step) => +warm.factorAt(step).toFixed(3))).toEqual([0, 1, 1, 0.5]);
  });

  it('are named with or without .yaml, in `extends` too; a file of that name comes first', () => {
    expect(loadConfig('base.yaml')).toEqual(loadConfig('base'));
    const own = join(folder, 'own.yaml');
    writeFileSync(own, 'extends: arcface-torch-ms1mv3\nname: own\ndata: { root: mine }\n');
    expect(loadConfig(own)).toMatchObject({
      name: 'own',
      data: { root: 'mine' },
      head: { gradient: 'straight-through' },
    });
    writeFileSync(join(folder, 'base.yaml'), 'name: beside\ndata: { root: x }\n');
    writeFileSync(own, 'extends: base.yaml\n');
    expect(loadConfig(own).name).toBe('beside');
  });

  it('are suggested for a name that is nearly theirs', () => {
    expect(() => loadConfig('arcface-torch-msm1v3')).toThrow(
      'E_RANGE: configuration: expected a file or a recipe, received arcface-torch-msm1v3 (ENOENT); did you mean the recipe arcface-torch-ms1mv3?',
    );
    expect(() => loadConfig('zebra')).toThrow(/hyperarc recipes lists those that come with it$/);
    const own = join(folder, 'own.yaml');
    writeFileSync(own, 'extends: bsae\n');
    expect(() => loadConfig(own)).toThrow(
      /E_RANGE: extends in .*own\.yaml: expected a file or a recipe, received bsae/,
    );
    // A path is never taken for a recipe.
    expect(() => loadConfig('configs/base.yaml')).toThrow(/received configs\/base\.yaml \(ENOENT\)/);
  });
});
