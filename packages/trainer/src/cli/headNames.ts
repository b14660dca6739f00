import { marginByName, marginFamilyNames, presets, withInterClassFilter, type MarginSpec } from '@hyperarc/heads';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { nearest } from '../config/suggest.js';

type PresetName = keyof typeof presets;

/** 'false', '12' and 'hard' as the values that they stand for. */
function valueOf(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

function optionsOf(word: string, list: string): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const part of list.split(',')) {
    const [name, text, ...rest] = part.split('=');
    if (!name || !text || rest.length > 0) {
      throw new HyperArcError('E_RANGE', `${word}: expected options as name=value, received '${part}'`);
    }
    options[name] = valueOf(text);
  }
  return options;
}

/**
 * The margin that a word of the command line names: a preset (`arcfaceTorch`), or a family with options (`arcface`,
 * `cosface:margin=0.4`, `sphereface:margin=2,scale=30,annealing=false`; with an inter-class filter `arcface:interClassFilter=0.4`).
 * @throws HyperArcError E_RANGE naming the word.
 */
export function marginOfWord(word: string): MarginSpec {
  if (Object.hasOwn(presets, word)) return presets[word as PresetName];
  const colon = word.indexOf(':');
  const family = colon < 0 ? word : word.slice(0, colon);
  if (!(marginFamilyNames as readonly string[]).includes(family)) {
    const known = [...Object.keys(presets), ...marginFamilyNames];
    const meant = nearest(family, known);
    const fix = meant === undefined ? 'see hyperarc heads list' : `did you mean '${meant}'?`;
    throw new HyperArcError('E_RANGE', `head: expected a preset or a family of margins, received '${family}'; ${fix}`);
  }
  const { interClassFilter, ...options } = colon < 0 ? {} : optionsOf(word, word.slice(colon + 1));
  const spec = marginByName(family, options);
  return interClassFilter === undefined ? spec : withInterClassFilter(spec, { threshold: interClassFilter as number });
}
