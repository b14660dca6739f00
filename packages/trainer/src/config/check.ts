import { HyperArcError } from '@hyperarc/kernels-cuda';
import * as z from 'zod';

import { frozenProblems } from '../backbones/frozenLayers.js';
import { visionTransformers } from '../backbones/registry.js';
import { groupProblems } from '../backbones/weightGroups.js';
import { idleGroups } from './groupsSchema.js';
import { FAMILY_KEYS } from './headSchema.js';
import { marginProblems, withMarginDefaults } from './margin.js';
import { optimizerProblems, withOptimizerDefaults } from './optimizerSchema.js';
import { samplerProblems } from './samplerSchema.js';
import { configSchema, type Config, type ConfigRequest } from './schema.js';
import { nearest } from './suggest.js';

/** Dotted names of every field of the schema, sections included. */
function fieldPaths(schema: z.ZodType, prefix = ''): string[] {
  let inner: unknown = schema;
  for (;;) {
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault || inner instanceof z.ZodDefault) {
      inner = inner.unwrap();
    } else if (inner instanceof z.ZodPipe) inner = inner.out;
    else break;
  }
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([key, field]) => {
    const path = prefix + key;
    return [path, ...fieldPaths(field, `${path}.`)];
  });
}

/** D that the engine takes. */
const LARGEST_DIM = 4096;

const FIELD_PATHS = fieldPaths(configSchema);

/** Families that each key of a margin goes with. */
const MARGIN_KEY_FAMILIES = familiesOfKeys();

function familiesOfKeys(): Record<string, string[]> {
  const families: Record<string, string[]> = {};
  for (const [family, { keys, parameters }] of Object.entries(FAMILY_KEYS)) {
    const paths = [...keys.map((key) => `head.${key}`), ...parameters.map((key) => `head.parameters.${key}`)];
    for (const path of paths) (families[path] ??= []).push(family);
  }
  return families;
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((node, key) => (node as Record<PropertyKey, unknown> | undefined)?.[key], raw);
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

function explain(issue: z.core.$ZodIssue, raw: unknown): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key].join('.');
      const near = nearest(path, FIELD_PATHS);
      return `${path}: no such key${near === undefined ? '' : `; did you mean ${near}?`}`;
    });
  }
  const received = valueAt(raw, issue.path);
  const expected = issue.message.startsWith('expected') ? issue.message : 'expected a section of keys';
  const words = /^expected one of (.*)$/.exec(issue.message)?.[1]?.split(', ');
  const near = words !== undefined && typeof received === 'string' ? nearest(received, words) : undefined;
  const fix = near === undefined ? '' : `; did you mean ${near}?`;
  return [`${issue.path.join('.') || 'configuration'}: ${expected}, received ${show(received)}${fix}`];
}

/** As the schema has it: numbers that depend on others are still open. */
type RawConfig = z.infer<typeof configSchema>;

function exclusive(a: string, b: string, config: RawConfig): string[] {
  const set = (path: string): boolean => valueAt(config, path.split('.')) !== undefined;
  return set(a) && set(b) ? [`${a}, ${b}: expected one of the two, received both; set one to null`] : [];
}

/** Keys that exclude each other, or that mean nothing beside another. */
function conflicts(config: RawConfig): string[] {
  const { head, schedule, data, backbone, training, evaluate } = config;
  const found = [
    ...optimizerProblems(config.optimizer),
    ...idleGroups(config.optimizer.groups),
    ...exclusive('training.epochs', 'training.steps', config),
    ...exclusive('schedule.warmupEpochs', 'schedule.warmupSteps', config),
    ...exclusive('schedule.milestoneEpochs', 'schedule.milestoneSteps', config),
    ...samplerProblems(config),
    ...exclusive('training.maxMinutes', 'training.maxHours', config),
  ];
  const only = (path: string, allowed: boolean, where: string): void => {
    if (!allowed && valueAt(config, path.split('.')) !== undefined) {
      found.push(`${path}: expected only with ${where}; remove it or set it to null`);
    }
  };
  for (const [key, families] of Object.entries(MARGIN_KEY_FAMILIES)) {
    only(key, families.includes(head.loss), `head.loss ${families.join(', ')}, received head.loss ${head.loss}`);
  }
  const isVit = visionTransformers.includes(backbone.name);
  for (const key of ['patchDropout', 'dropPath', 'activation']) {
    const vits = `backbone.name ${visionTransformers.join(', ')}`;
    only(`backbone.${key}`, isVit, `${vits}, received backbone.name ${backbone.name}`);
  }
  if (isVit && backbone.dropout !== 0) {
    const fix = 'use backbone.patchDropout or dropPath';
    found.push(
      `backbone.dropout: expected 0 with backbone.name ${backbone.name}, received ${backbone.dropout}; ${fix}`,
    );
  }
  const kind = `received schedule.kind ${schedule.kind}`;
  only('schedule.power', schedule.kind === 'polynomial', `schedule.kind polynomial, ${kind}`);
  for (const key of ['milestoneEpochs', 'milestoneSteps', 'factor']) {
    only(`schedule.${key}`, schedule.kind === 'step', `schedule.kind step, ${kind}`);
  }
  if (schedule.kind === 'step' && schedule.milestoneEpochs === undefined && schedule.milestoneSteps === undefined) {
    found.push('schedule.milestoneEpochs: expected with schedule.kind step, received nothing; or give milestoneSteps');
  }
  const { onNonFinite, batchSize, earlyStop } = training;
  only(
    'data.maxBadImages',
    data.onBadImage === 'skip',
    `data.onBadImage skip, received data.onBadImage ${data.onBadImage}`,
  );
  only('training.maxSkips', onNonFinite === 'skip', `training.onNonFinite skip, received ${onNonFinite}`);
  only('training.maxMemory', batchSize === 'auto', `training.batchSize auto, received ${batchSize}`);
  if (earlyStop?.on === 'accuracy' && evaluate.every === 0) {
    found.push('evaluate.every: expected steps between verifications with training.earlyStop.on accuracy, received 0');
  }
  if (head.device === 'cpu' && head.precision !== 'fp32') {
    found.push(
      `head.precision: expected fp32 with head.device cpu, received ${head.precision}; give head.device cuda:N for it`,
    );
  }
  if (head.device === 'cpu' && (head.kernels === 'mma' || head.kernels === 'wgmma')) {
    found.push(`head.kernels: expected auto with head.device cpu, received ${head.kernels}`);
  }
  if (backbone.embeddingSize > LARGEST_DIM) {
    found.push(
      `backbone.embeddingSize: expected at most ${LARGEST_DIM}, the head's largest, received ${backbone.embeddingSize}`,
    );
  }
  if (head.loss === 'cosface' && (head.margin ?? 0) > 1) {
    found.push(`head.margin: expected a cosine in [0, 1] with head.loss cosface, received ${head.margin}`);
  } else if (found.length === 0) {
    found.push(...marginProblems(head));
  }
  only('evaluate.weights', config.training.ema !== undefined, 'training.ema, received none');
  only('head.weights', backbone.weights !== undefined, 'backbone.weights, the backbone that the centres go with');
  if (data.imageSize % 16 !== 0) {
    found.push(`data.imageSize: expected a multiple of 16 for ${backbone.name}, received ${data.imageSize}`);
  } else {
    const plan = { ...backbone, inputSize: data.imageSize };
    found.push(...frozenProblems(plan), ...groupProblems(plan, config.optimizer.groups ?? []));
  }
  return found;
}

/**
 * Checks a raw configuration against the schema and fills the defaults in; `training.batchSize: auto` may stay open.
 * @throws HyperArcError E_RANGE that lists every problem, one a line, with a suggestion for each near miss.
 */
export function checkRequest(raw: unknown, source: string): ConfigRequest {
  const result = configSchema.safeParse(raw);
  const problems = result.success
    ? conflicts(result.data)
    : result.error.issues.flatMap((issue) => explain(issue, raw));
  if (!result.success || problems.length > 0) {
    throw new HyperArcError('E_RANGE', `${source}: ${problems.join('\n  ')}`);
  }
  const { head, optimizer } = result.data;
  return { ...result.data, head: withMarginDefaults(head), optimizer: withOptimizerDefaults(optimizer) };
}

/** Whether nothing in it is left open. */
function isSettled(config: ConfigRequest): config is Config {
  return config.training.batchSize !== 'auto';
}

/**
 * {@link checkRequest} of a configuration that leaves nothing open.
 * @throws HyperArcError E_RANGE as there, and for `training.batchSize: auto`.
 */
export function checkConfig(raw: unknown, source: string): Config {
  const config = checkRequest(raw, source);
  if (isSettled(config)) return config;
  const fix = 'auto is for hyperarc train, and for settleBatchSize in code';
  throw new HyperArcError('E_RANGE', `${source}: training.batchSize: expected a number, received auto; ${fix}`);
}
