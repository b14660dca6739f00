import { basename } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { RgbImage } from '../align/warp.js';
import type { Decode, DetectorKind } from './detectorKind.js';
import type { Detection, Face } from './face.js';
import { letterbox, type InputSize } from './letterbox.js';
import { suppressOverlaps } from './nms.js';
import { OnnxSession } from './onnxSession.js';
import { recogniseDetector } from './recognise.js';

export interface DetectorOptions {
  /** `scrfd`, `yunet` or `retinaface`; default: told by the model's outputs. */
  readonly kind?: string;
  /** Pixels a side of the model's input where the model leaves it open, a multiple of 32 from 64 to 2048; default 640. */
  readonly size?: number;
  readonly onWarning?: (message: string) => void;
}

const DEFAULT_SIZE = 640;
/** The largest stride of most models. */
const STRIDE = 32;
const MAX_SIDE = 2048;

/** A face detector with five key points in an ONNX file of the user's. */
export class FaceDetector {
  private constructor(
    private readonly session: OnnxSession,
    private readonly detector: DetectorKind,
    private readonly decode: Decode,
    /** Its file's name. */
    readonly model: string,
    readonly size: InputSize,
  ) {}

  /**
   * Opens a model and runs it once, on black, to see what it is.
   * @throws HyperArcError E_FORMAT for a file that is no such detector, with what was found; E_RANGE for options out of range, or a size that the
   *   model does not take; E_DEVICE where no onnxruntime is installed.
   */
  static async open(path: string, options: DetectorOptions = {}): Promise<FaceDetector> {
    const { kind: insisted, size: side, onWarning } = options;
    if (side !== undefined && (!Number.isInteger(side) || side < 64 || side > MAX_SIDE || side % STRIDE !== 0)) {
      throw new HyperArcError(
        'E_RANGE',
        `detectorSize: expected a multiple of ${STRIDE} from 64 to ${MAX_SIDE}, received ${side}; change --detector-size`,
      );
    }
    const session = await OnnxSession.open(path, onWarning);
    try {
      const size = inputSizeOf(session, path, side);
      const blank = new Float32Array(3 * size.height * size.width);
      const outputs = await session.run(blank, size.height, size.width);
      const { kind, decode } = recogniseDetector(path, outputs, size, insisted);
      return new FaceDetector(session, kind, decode, basename(path), size);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  get kind(): string {
    return this.detector.name;
  }

  /** What runs it: `onnxruntime-node 1.22.0`. */
  get by(): string {
    return this.session.by;
  }

  /**
   * Finds the faces of an image, in its pixels.
   * @param minScore in (0, 1]: the least score of a face
   * @throws HyperArcError E_RANGE for another `minScore`; E_FORMAT, E_NONFINITE or E_RANGE for a model that fails, or whose answers are none.
   */
  async detect(image: RgbImage, minScore = 0.5): Promise<Detection> {
    checkMinScore(minScore);
    const { values, scale } = letterbox(image, this.size, this.detector.input);
    const outputs = await this.session.run(values, this.size.height, this.size.width);
    const { faces, bestScore } = this.decode(new Map(outputs.map(({ name, data }) => [name, data])), minScore);
    const inImage = faces.map((face) => toImage(face, scale));
    return { faces: suppressOverlaps(inImage, this.detector.overlaps), bestScore };
  }

  /** Frees the model. */
  close(): Promise<void> {
    return this.session.close();
  }
}

/** @throws HyperArcError E_RANGE unless it is in (0, 1]. */
export function checkMinScore(minScore: number): void {
  if (minScore > 0 && minScore <= 1) return;
  throw new HyperArcError('E_RANGE', `minScore: expected a number in (0, 1], received ${minScore}; change --min-score`);
}

/**
 * Coordinates of the input over its scale, along each axis. InsightFace takes that of the height for both, which is the same but for a size that was
 * rounded down.
 */
function toImage({ score, box, points }: Face, [scaleX, scaleY]: readonly [number, number]): Face {
  const [left, top, right, bottom] = box;
  return {
    score,
    box: [left / scaleX, top / scaleY, right / scaleX, bottom / scaleY],
    points: points.map(([x, y]) => [x / scaleX, y / scaleY]),
  };
}

function inputSizeOf({ inputSize }: OnnxSession, path: string, side: number | undefined): InputSize {
  const [height, width] = inputSize.map((fixed) => fixed ?? side ?? DEFAULT_SIZE) as [number, number];
  if (side !== undefined && (width !== side || height !== side)) {
    throw new HyperArcError(
      'E_RANGE',
      `detectorSize: expected ${width}×${height}, which ${path} has in it, received ${side}; leave --detector-size out`,
    );
  }
  if ([width, height].some((pixels) => pixels % STRIDE !== 0 || pixels > MAX_SIDE)) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected an input of multiples of ${STRIDE} pixels up to ${MAX_SIDE}, received ${width}×${height}; export the model with such a size, or an open one`,
    );
  }
  return { width, height };
}
