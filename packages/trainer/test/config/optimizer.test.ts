import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';

import { checkConfig, formatConfig, headOptimizer, resumeDifferences, type Config } from '../../dist/config/index.js';

const configure = (sections: object): Config =>
  checkConfig({ name: 'test', data: { root: 'faces' }, ...sections }, 'test.yaml');

const SGD = { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4 };

describe('optimizer section', () => {
  it('has the defaults of its kind, and the centres those of sgd', () => {
    const sgd = configure({}).optimizer;
    expect(sgd).toMatchObject({ kind: 'sgd', learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4, clipNorm: 5 });
    expect(sgd.betas).toBeUndefined();
    expect(headOptimizer(configure({ optimizer: { learningRate: 0.2, momentum: 0.5 } }).optimizer)).toEqual({
      kind: 'sgd',
      learningRate: 0.2,
      momentum: 0.5,
      weightDecay: 5e-4,
    });
    const { optimizer: adamw } = configure({ optimizer: { kind: 'adamw', weightDecay: 0.2, head: { momentum: 0.8 } } });
    expect(adamw).toMatchObject({ learningRate: 1e-3, weightDecay: 0.2, betas: [0.9, 0.999], epsilon: 1e-8 });
    expect(adamw.momentum).toBeUndefined();
    expect(headOptimizer(adamw)).toEqual({ kind: 'sgd', learningRate: 0.1, momentum: 0.8, weightDecay: 5e-4 });
  });

  it('gives the centres AdamW when it is asked for, with its defaults or with the numbers of a backbone that has it too', () => {
    const head = (optimizer: object) => headOptimizer(configure({ optimizer }).optimizer);
    const defaults = { kind: 'adamw', learningRate: 1e-3, weightDecay: 0.1, betas: [0.9, 0.999], epsilon: 1e-8 };
    expect(head({ learningRate: 0.2, momentum: 0.5, head: { kind: 'adamw' } })).toEqual(defaults);
    expect(head({ kind: 'adamw', head: { kind: 'adamw' } })).toEqual(defaults);
    const both = { kind: 'adamw', learningRate: 0.02, betas: [0.8, 0.9], epsilon: 1e-6, weightDecay: 0.3 };
    expect(head({ ...both, head: { kind: 'adamw' } })).toEqual(both);
    const own = { kind: 'adamw', learningRate: 0.01, betas: [0, 0.5], epsilon: 1e-30, weightDecay: 0 };
    expect(head({ ...both, head: own })).toEqual(own);
    expect(head({ head: own })).toEqual(own);
    expect(head({ kind: 'sgd', head: { kind: 'sgd' } })).toEqual({ kind: 'sgd', ...SGD });
  });

  it('reads back what it wrote', () => {
    for (const kind of ['sgd', 'adamw']) {
      const config = configure({
        optimizer: { kind, clipNorm: null, head: { kind: 'adamw' } },
        training: { ema: {} },
        evaluate: { weights: 'raw' },
      });
      expect(config.training.ema).toEqual({ decay: 0.999, warmup: true });
      expect(checkConfig(parse(formatConfig(config)), 'again')).toEqual(config);
    }
  });

  it('may not change when a run goes on, but for the weights that are verified', () => {
    const was = configure({ training: { ema: {} } });
    const now = configure({
      optimizer: { kind: 'adamw' },
      training: { ema: { decay: 0.99 } },
      backbone: { frozen: ['stem'] },
      evaluate: { weights: 'raw' },
    });
    const differences = resumeDifferences(was, now);
    expect(differences).toContain('optimizer.kind: was "sgd", now "adamw"');
    expect(differences).toContain('training.ema.decay: was 0.999, now 0.99');
    expect(differences).toContain('backbone.frozen: was unset, now ["stem"]');
    expect(differences.join()).not.toContain('evaluate.weights');
  });

  it.each<[object, string]>([
    [
      { optimizer: { kind: 'adam' } },
      'optimizer.kind: expected one of sgd, adamw, received "adam"; did you mean adamw?',
    ],
    [
      { optimizer: { kind: 'adamw', momentum: 0.9 } },
      'optimizer.momentum: expected only with optimizer.kind sgd, received optimizer.kind adamw; remove it or set it to null',
    ],
    [
      { optimizer: { betas: [0.9, 0.99] } },
      'optimizer.betas: expected only with optimizer.kind adamw, received optimizer.kind sgd',
    ],
    [{ optimizer: { epsilon: 1e-8 } }, 'optimizer.epsilon: expected only with optimizer.kind adamw'],
    [
      { optimizer: { kind: 'adamw', betas: [0.9, 1] } },
      'optimizer.betas: expected a list of two numbers in [0, 1), received [0.9,1]',
    ],
    [
      { optimizer: { kind: 'adamw', betas: 0.9 } },
      'optimizer.betas: expected a list of two numbers in [0, 1), received 0.9',
    ],
    [{ optimizer: { kind: 'adamw', epsilon: 0 } }, 'optimizer.epsilon: expected a number in (0, 1], received 0'],
    [
      { optimizer: { head: { kind: 'adam' } } },
      'optimizer.head.kind: expected one of sgd, adamw, received "adam"; did you mean adamw?',
    ],
    [
      { optimizer: { head: { kind: 'adamw', momentum: 0.9 } } },
      'optimizer.head.momentum: expected only with optimizer.head.kind sgd, received optimizer.head.kind adamw; remove it or set it to null',
    ],
    [
      { optimizer: { kind: 'adamw', head: { betas: [0.9, 0.99] } } },
      'optimizer.head.betas: expected only with optimizer.head.kind adamw, received optimizer.head.kind sgd',
    ],
    [
      { optimizer: { head: { epsilon: 1e-8 } } },
      'optimizer.head.epsilon: expected only with optimizer.head.kind adamw, received optimizer.head.kind sgd',
    ],
    [
      { optimizer: { head: { kind: 'adamw', epsilon: 0 } } },
      'optimizer.head.epsilon: expected a number in [1e-30, 1], received 0',
    ],
    [
      { optimizer: { head: { kind: 'adamw', betas: [0.9] } } },
      'optimizer.head.betas: expected a list of two numbers in [0, 1), received [0.9]',
    ],
    [{ training: { ema: { decay: 1 } } }, 'training.ema.decay: expected a number in (0, 0.999999], received 1'],
    [{ evaluate: { weights: 'ema' } }, 'evaluate.weights: expected only with training.ema, received none'],
    [{ backbone: { frozen: 'stem' } }, 'backbone.frozen: expected a list of names of layers, received "stem"'],
  ])('is refused: %j', (sections, message) => {
    expect(() => configure(sections)).toThrow(message);
  });
});
