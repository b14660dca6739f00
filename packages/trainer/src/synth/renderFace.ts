import sharp from 'sharp';
import { KeyedRandom } from '../data/keyedRandom.js';
import { atAge, drawWrinkles } from './age.js';
import { complexionOf } from './complexion.js';
import type { IdentityControl } from './controls.js';
import { drawEyes } from './eyes.js';
import { drawBackHair, drawFrontHair } from './hair.js';
import { DRAWING_SIDE, HeadDrawing } from './head.js';
import { drawIdentity, STREAM, type Identity } from './identity.js';
import { drawMouth, drawNose, lowerFaceHeights } from './noseMouth.js';
import { drawSample, type SampleConditions } from './sample.js';
import { drawBackground, drawOcclusion } from './scene.js';
import { drawBackOfHead, drawBehindFace, drawFaceSkin, drawFacialHair } from './skin.js';

/** The face as an SVG document of 112 × 112 units. */
export function faceSvg(identity: Identity, conditions: SampleConditions, sceneRandom: KeyedRandom): string {
  const drawing = new HeadDrawing(identity.traits, conditions);
  const complexion = complexionOf(identity.traits);
  const { noseY, mouthY } = lowerFaceHeights(identity.traits);
  const scene = drawBackground(drawing, sceneRandom);
  drawBackHair(drawing, identity, complexion);
  drawBackOfHead(drawing, identity, complexion);
  drawBehindFace(drawing, complexion, scene.clothing);
  drawFaceSkin(drawing, identity, complexion);
  drawWrinkles(drawing, identity, complexion);
  drawFacialHair(drawing, complexion, mouthY, noseY);
  drawMouth(drawing, complexion);
  drawEyes(drawing, complexion);
  drawNose(drawing, complexion);
  drawFrontHair(drawing, identity, complexion);
  drawOcclusion(drawing, scene, complexion.hair);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${DRAWING_SIDE} ${DRAWING_SIDE}">` +
    `<defs>${drawing.definitions.join('')}</defs>${drawing.parts.join('')}</svg>`
  );
}

/**
 * Draws picture `sample` of person `identity` as a JPEG of `size` × `size` pixels. The bytes depend on the arguments
 * (and the versions of the drawing libraries) alone.
 * @param control What is prescribed for the person.
 */
export async function renderFace(
  seed: number,
  identity: number,
  sample: number,
  size: number,
  control?: IdentityControl,
): Promise<Buffer> {
  const prescribed = control?.samples[sample];
  const conditions = drawSample(seed, identity, sample, prescribed);
  const person = drawIdentity(seed, identity, control?.group);
  const shown = prescribed?.age === undefined ? person : atAge(person, prescribed.age);
  const svg = faceSvg(shown, conditions, new KeyedRandom(seed, STREAM.scene, identity, sample));
  // 72 units to the inch is what librsvg maps to one pixel a unit.
  let picture = sharp(Buffer.from(svg), { density: (72 * size) / DRAWING_SIDE })
    .resize(size, size, { fit: 'fill' })
    .removeAlpha();
  const blur = (conditions.blur * size) / DRAWING_SIDE;
  if (blur > 0.3) picture = picture.blur(blur);
  const pixels = await picture.raw().toBuffer();
  photograph(pixels, size, conditions, new KeyedRandom(seed, STREAM.sensor, identity, sample));
  return sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
    .jpeg({ quality: conditions.jpegQuality })
    .toBuffer();
}

/** Light from one side, its level and colour, the camera's contrast and noise: in place, RGB bytes [size, size, 3]. */
function photograph(pixels: Uint8Array, size: number, conditions: SampleConditions, random: KeyedRandom): void {
  const { lightAngle, lightSlope, lightLevel, temperature, contrast, noise } = conditions;
  const [slopeX, slopeY] = [Math.cos(lightAngle) * lightSlope, Math.sin(lightAngle) * lightSlope];
  const gains = [lightLevel * (1 + temperature), lightLevel, lightLevel * (1 - temperature)];
  const response = Float32Array.from({ length: 256 }, (_, value) => 255 * (value / 255) ** contrast);
  // The sum of a word's four bytes, less its mean, has this deviation and is near normal.
  const noiseGain = noise / Math.sqrt((4 * (256 ** 2 - 1)) / 12);
  for (let row = 0, at = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const light = 1 + slopeX * ((2 * column) / (size - 1) - 1) + slopeY * ((2 * row) / (size - 1) - 1);
      for (let channel = 0; channel < 3; channel++, at++) {
        const word = random.uint32();
        const sum = (word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24);
        const value = response[pixels[at]!]! * Math.max(0.12, light) * gains[channel]! + (sum - 510) * noiseGain;
        pixels[at] = value < 0 ? 0 : value > 255 ? 255 : value;
      }
    }
  }
}
