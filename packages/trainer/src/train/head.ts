import { arcFace, combinedMargin, cosFace, normFace, type MarginSpec } from '@hyperarc/heads';
import {
  PartialFC,
  type DeviceSpec,
  type PartialFCBehaviour,
  type PartialFCOptions,
  type PartialFCState,
} from '@hyperarc/heads/engine';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import type { Config } from '../config/index.js';

/** The margin of a configuration's `head` section; absent numbers are the family's defaults. */
export function marginOf({ loss, scale, margin, m1, m2, m3, fallback, gradient }: Config['head']): MarginSpec {
  const common = { scale, fallback, gradient };
  switch (loss) {
    case 'arcface':
      return arcFace({ ...common, ...(margin !== undefined && { margin }) });
    case 'cosface':
      return cosFace({ ...common, ...(margin !== undefined && { margin }) });
    case 'normface':
      return normFace(common);
    case 'combined':
      return combinedMargin({
        ...common,
        ...(m1 !== undefined && { m1 }),
        ...(m2 !== undefined && { m2 }),
        ...(m3 !== undefined && { m3 }),
      });
  }
}

type HeadConfig = Pick<Config, 'head' | 'backbone' | 'seed'>;

function behaviourOf({ head }: HeadConfig): PartialFCBehaviour & Pick<PartialFCOptions, 'device' | 'kernels'> {
  const { rate, unsampled, kernels } = head;
  return { margin: marginOf(head), rate, unsampled, device: head.device as DeviceSpec, kernels };
}

/** The class centres of a new run, in the engine. Errors: those of PartialFC. */
export function createHead(config: HeadConfig, classes: number): PartialFC {
  const { head, backbone, seed } = config;
  const { subCenters, precision } = head;
  return new PartialFC({ ...behaviourOf(config), classes, dim: backbone.embeddingSize, subCenters, precision, seed });
}

/**
 * The class centres that `head.save` wrote.
 * @throws HyperArcError E_FORMAT if they are not of this configuration and these classes; those of PartialFC.load.
 */
export async function loadHead(path: string, state: unknown, config: HeadConfig, classes: number): Promise<PartialFC> {
  const head = await PartialFC.load(path, behaviourOf(config), state as PartialFCState);
  const { subCenters, precision } = config.head;
  const expected = `${[classes, subCenters, config.backbone.embeddingSize].join('×')} in ${precision}`;
  const received = `${head.centers.shape.join('×')} in ${head.centers.config.precision}`;
  if (received !== expected) {
    head.dispose();
    throw new HyperArcError('E_FORMAT', `${path}: expected class centres of ${expected}, received ${received}`);
  }
  return head;
}
