import { existsSync } from 'node:fs';

import { formatConfig, type Config } from '../config/index.js';

/** `1.5 GiB`, `12.0 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** Classes and images the run would see; where the data folder is still to be drawn, those of the `synth` section. */
async function countData(config: Config): Promise<{ classes: number; images: number; note: string }> {
  if (!existsSync(config.data.root) && config.synth !== undefined) {
    const classes = config.synth.identities - config.data.heldOut;
    return {
      classes,
      images: classes * config.synth.samples,
      note: `${config.data.root} is not there yet; hyperarc start draws it`,
    };
  }
  const { openDatasets } = await import('../train/dataset.js');
  const { train } = await openDatasets(config, { log: (line) => void process.stderr.write(`${line}\n`) });
  return { classes: train.identities.length, images: train.labels.length, note: config.data.root };
}

/** What `hyperarc train --dry-run` prints: the resolved configuration, the model, and memory by part. Trains nothing, takes no memory. */
export async function describeRun(config: Config): Promise<string> {
  const [
    { openDevice },
    { describeBackbone, describePlannedGroups, frozenLayers },
    { planBackboneMemory },
    { headShape },
    { createSchedule, scheduleWarnings },
    { openVerificationSets },
    data,
  ] = await Promise.all([
    import('@hyperarc/kernels-cuda'),
    import('../backbones/index.js'),
    import('../train/memoryPlan.js'),
    import('../train/headShape.js'),
    import('../train/schedule.js'),
    import('../evaluate/sets/verificationSet.js'),
    countData(config),
  ]);
  const { backbone, head, training, optimizer } = config;
  const model = describeBackbone(backbone.name, { ...backbone, inputSize: config.data.imageSize });
  const frozen = frozenLayers(model.layers, backbone.frozen ?? []);
  const trained = model.layers
    .filter(({ name }) => !frozen.has(name))
    .reduce((sum, layer) => sum + layer.parameters - layer.frozenParameters, 0);
  const memory = planBackboneMemory(
    { ...model, trainableParameters: trained },
    {
      ...training,
      stateTensors: optimizer.kind === 'adamw' ? 2 : optimizer.momentum === 0 ? 0 : 1,
      averaged: training.ema !== undefined,
    },
  );
  using device = openDevice(head.device as 'auto' | 'cpu' | `cuda:${number}`);
  const plan = device.plan({
    ...headShape(config, data.classes),
    batch: training.batchSize,
    rate: head.rate,
  });
  const setLines = openVerificationSets(config.evaluate.sets).map(
    ({ name, path, pairs }) => `set       ${name}: ${pairs.length} pairs (${path})`,
  );
  const schedule = createSchedule(config, Math.max(1, Math.floor(data.images / training.batchSize)));
  const row = (name: string, bytes: number): string => `  ${name.padEnd(42)} ${formatBytes(bytes).padStart(10)}`;
  const millions = (count: number, digits: number): string => (count / 1e6).toFixed(digits);
  return [
    formatConfig(config).trimEnd(),
    '',
    `data      ${data.classes} identities, ${data.images} images (${data.note})`,
    ...setLines,
    `model     ${model.name}: ${millions(model.parameters, 2)} M parameters, ${millions(model.macs, 0)} M multiply-adds an image of ${model.inputSize}×${model.inputSize}`,
    ...(frozen.size === 0
      ? []
      : [`frozen    ${frozen.size} of ${model.layers.length} layers; ${millions(trained, 2)} M parameters learn`]),
    ...describePlannedGroups({ ...backbone, inputSize: config.data.imageSize }, optimizer.groups ?? []).map(
      (line) => `weights   ${line}`,
    ),
    `schedule  ${schedule.totalSteps} steps, ${schedule.warmupSteps} of them warm-up; ${schedule.stepsPerEpoch.toFixed(1)} steps an epoch`,
    ...scheduleWarnings(schedule),
    '',
    `memory of the head, on ${device.info.name}`,
    ...plan.parts.map((part) => row(`${part.name}${part.persistent ? '' : ' (in a step)'}`, part.bytes)),
    row('most at any time', plan.peakBytes),
    ...(plan.fits ? [] : [`  does not fit: ${formatBytes(plan.availableBytes)} are free`]),
    'memory of the backbone',
    row('parameters', memory.parameterBytes),
    row('optimizer', memory.optimizerBytes),
    ...(training.ema === undefined ? [] : [row('average', memory.averageBytes)]),
    row('gradients', memory.gradientBytes),
    row(`activations of ${training.batchSize} images (estimate)`, memory.activationBytes),
    '',
  ].join('\n');
}
