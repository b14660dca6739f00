import type { ContractBatch, Implementation, Subject } from './implementation.js';
import { referenceImplementation } from './reference-implementation.js';
import { contractCases } from './suite.js';

const fp32 = referenceImplementation('fp32') as Implementation;

/** The reference with one thing broken. */
export function mutant(breakSubject: (subject: Subject) => Partial<Subject>, sound = fp32): Implementation {
  return {
    ...sound,
    hasShards: false,
    create: (centers) => {
      const subject = sound.create(centers);
      const { weights, momentum, secondMoment, updates, cosines, sample, seed, update } = subject;
      const whole: Subject = {
        forward: (batch) => subject.forward(batch),
        gradients: (steps) => subject.gradients(steps),
        ...{ update, weights, momentum, secondMoment, updates, cosines, sample, seed },
        dispose: () => subject.dispose(),
      } as Subject;
      return { ...whole, ...breakSubject(whole) };
    },
  };
}

/** The reference on a rule that is not the one it is given. */
export function withRule(change: Partial<ContractBatch['rule']>): Implementation {
  return mutant((subject) => ({
    forward: (batch) => subject.forward({ ...batch, rule: { ...batch.rule, ...change } }),
  }));
}

/** Whether some case of the suite fails, of the groups that `isWanted`. */
export function isCaughtBy(broken: Implementation, isWanted: (group: string) => boolean): boolean {
  return contractCases(broken)
    .filter(({ group }) => isWanted(group))
    .some((one) => {
      try {
        one.run(broken);
        return false;
      } catch {
        return true;
      }
    });
}
