import * as z from 'zod';

import { real } from './fields.js';

const NAMES = 'expected a list of names of layers or weights';

/** `optimizer.groups`: parts of the backbone with a learning rate and weight decay of their own. */
export const groupsSchema = z.array(
  z.strictObject({
    /** Layers (hyperarc summary) or weights in them: `stem`, `stage1/block2`, `stage*`; `**` is any number of parts. */
    names: z.array(z.string({ error: NAMES }).min(1, { error: NAMES }), { error: NAMES }).min(1, { error: NAMES }),
    /** On optimizer.learningRate. 0 is what backbone.frozen is for. */
    learningRateFactor: real({ min: 0, max: 1000, openMin: true }).optional(),
    /** On optimizer.weightDecay. */
    weightDecayFactor: real({ min: 0, max: 1000 }).optional(),
  }),
  { error: 'expected a list of groups, each with names and factors' },
);

/** Groups that change nothing. */
export function idleGroups(groups: z.infer<typeof groupsSchema> = []): string[] {
  return groups.flatMap(({ learningRateFactor, weightDecayFactor }, i) =>
    learningRateFactor === undefined && weightDecayFactor === undefined
      ? [`optimizer.groups.${i}: expected learningRateFactor or weightDecayFactor, received none`]
      : [],
  );
}
