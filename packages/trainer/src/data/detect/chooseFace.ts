import { centreOf } from '../align/alignRows.js';
import { areaOf, type Face, type FaceRule } from './face.js';
import type { InputSize } from './letterbox.js';

/** Whether a face can be aligned: landmarks around a place within the image, and not all within a pixel. */
export function isUsable({ points }: Face, { width, height }: InputSize): boolean {
  const [x, y] = centreOf(points);
  const spread = Math.max(
    ...points.flatMap(([px, py]) => [Math.abs(px - points[0]![0]), Math.abs(py - points[0]![1])]),
  );
  return x >= 0 && y >= 0 && x < width && y < height && spread > 1;
}

/** @param faces by score, highest first; of equals the first is taken. */
export function chooseFace(faces: readonly [Face, ...Face[]], rule: FaceRule, image: InputSize): Face {
  const worth: Record<FaceRule, (face: Face) => number> = {
    best: ({ score }) => score,
    largest: ({ box }) => areaOf(box),
    center: ({ box }) => {
      const [dx, dy] = [(box[0] + box[2]) / 2 - image.width / 2, (box[1] + box[3]) / 2 - image.height / 2];
      return areaOf(box) - 2 * (dx * dx + dy * dy);
    },
  };
  return faces.reduce((chosen, face) => (worth[rule](face) > worth[rule](chosen) ? face : chosen));
}
