import { marginByName, withInterClassFilter, type MarginSpec } from '@hyperarc/heads';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { FAMILY_KEYS, type HeadConfig } from './headSchema.js';

/** What some families take from the run and its data. */
export interface MarginFacts {
  readonly seed: number;
  /** C */
  readonly classes: number;
  /** [C] samples of each class. */
  readonly counts: ArrayLike<number>;
  /** [C] group of each class, a key of the configuration's `margins`. */
  groupNames(): readonly string[];
}

function groupOptions({ margins = {} }: NonNullable<HeadConfig['parameters']>, facts: MarginFacts): object {
  const names = Object.keys(margins);
  const groups = facts.groupNames().map((name) => names.indexOf(name));
  return { groups, margins: names.map((name) => margins[name]) };
}

/** What a family takes besides the configuration's own numbers. */
function optionsOfRun(head: HeadConfig, facts: MarginFacts): object {
  switch (head.loss) {
    case 'adacos':
      return { classes: facts.classes };
    case 'class-variant':
      return { counts: facts.counts };
    case 'elasticface':
      return { seed: facts.seed };
    case 'group-margin':
      return groupOptions(head.parameters ?? {}, facts);
    default:
      return {};
  }
}

/**
 * The margin of a configuration's `head` section; what is absent is as the family has it.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function marginOf(head: HeadConfig, facts: MarginFacts): MarginSpec {
  const { loss, parameters = {}, interClassFilter } = head;
  const { groups: _groups, margins: _margins, ...numbers } = parameters;
  const own = Object.fromEntries(FAMILY_KEYS[loss].keys.map((key) => [key, head[key]]));
  const margin = marginByName(loss, { ...own, ...numbers, ...optionsOfRun(head, facts) });
  return interClassFilter === undefined ? margin : withInterClassFilter(margin, { threshold: interClassFilter });
}

/** Facts of any run, for a check before there is data. */
function anyFacts(head: HeadConfig): MarginFacts {
  const groups = Object.keys(head.parameters?.margins ?? {});
  return { seed: 1, classes: 1000, counts: [1, 2], groupNames: () => groups };
}

/** What is wrong with a head section whose fields are right one by one. */
export function marginProblems(head: HeadConfig): string[] {
  if (head.loss === 'group-margin') {
    const missing = (['groups', 'margins'] as const).filter((key) => head.parameters?.[key] === undefined);
    const problems = missing.map(
      (key) => `head.parameters.${key}: expected with head.loss group-margin, received nothing`,
    );
    if (problems.length > 0) return problems;
  }
  try {
    marginOf(head, anyFacts(head));
    return [];
  } catch (error) {
    if (!(error instanceof HyperArcError)) throw error;
    return [`head.loss ${head.loss}: ${error.message.slice(`${error.code}: `.length)}`];
  }
}

/** The section with the family's own scale, fallback and gradient where they were left open and the family has them. */
export function withMarginDefaults(head: HeadConfig): HeadConfig {
  const { keys } = FAMILY_KEYS[head.loss];
  const { scale, fallback, gradient } = marginOf(head, anyFacts(head));
  const defaults = { scale: head.loss === 'sphereface' ? ('norm' as const) : scale, fallback, gradient };
  const filled = Object.fromEntries(
    Object.entries(defaults).filter(([key]) => (keys as readonly string[]).includes(key)),
  );
  const given = Object.fromEntries(Object.entries(head).filter(([, value]) => value !== undefined));
  return { loss: head.loss, ...(filled as typeof defaults), ...(given as Omit<HeadConfig, 'loss'>) };
}
