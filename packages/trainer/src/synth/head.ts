import type { IdentityTraits } from './identity.js';
import type { SampleConditions } from './sample.js';
import { css, type Colour } from './colour.js';

/** A point of the head, in head units: x to the picture's right, y down, z towards the camera. */
export type HeadPoint = readonly [x: number, y: number, z: number];
export type PicturePoint = readonly [x: number, y: number];

/** The drawing's coordinates: every picture is drawn on a square of this side and scaled. */
export const DRAWING_SIDE = 112;
const PIXELS_PER_HEAD_UNIT = 42;
/** 1/distance of the camera, in head units. */
const PERSPECTIVE = 0.13;
/** Radius of the front of the head towards the camera, and across in half widths of the face. */
const DEPTH = 0.78;
const ACROSS = 1.06;
/** Radians. Above it the far side of the face is hidden; poses that are drawn at random stay below 0.45. */
const TURNED = 0.46;

export interface PathStyle {
  readonly fill?: Colour | string;
  readonly stroke?: Colour | string;
  readonly width?: number; // of the stroke, in head units
  readonly opacity?: number;
  readonly closed?: boolean;
  readonly straight?: boolean;
}

/** Draws curves given in head coordinates as the camera sees them: pose moves near and far parts by different amounts. */
export class HeadDrawing {
  readonly parts: string[] = [];
  readonly definitions: string[] = [];
  private readonly scale: number;
  private readonly turn: Readonly<Record<'cy' | 'sy' | 'cp' | 'sp' | 'cr' | 'sr', number>>;

  constructor(
    readonly traits: IdentityTraits,
    readonly conditions: SampleConditions,
  ) {
    const { yaw, pitch, roll, zoom } = conditions;
    this.scale = PIXELS_PER_HEAD_UNIT * zoom;
    this.turn = {
      cy: Math.cos(yaw),
      sy: Math.sin(yaw),
      cp: Math.cos(pitch),
      sp: Math.sin(pitch),
      cr: Math.cos(roll),
      sr: Math.sin(roll),
    };
  }

  /** Yaw, then pitch, then perspective, then roll, zoom and shift. */
  project([x, y, z]: HeadPoint): PicturePoint {
    const { cy, sy, cp, sp, cr, sr } = this.turn;
    const turnedX = x * cy + z * sy;
    const turnedZ = z * cy - x * sy;
    const nodY = y * cp - turnedZ * sp;
    const nodZ = turnedZ * cp + y * sp;
    const near = 1 / (1 - PERSPECTIVE * nodZ);
    const px = (turnedX * cr - nodY * sr) * near * this.scale;
    const py = (turnedX * sr + nodY * cr) * near * this.scale;
    return [DRAWING_SIDE / 2 + px + this.conditions.shiftX, DRAWING_SIDE / 2 + py + this.conditions.shiftY];
  }

  /** The head is turned so far that a part of the face is behind its rim. */
  get isTurned(): boolean {
    return Math.abs(this.conditions.yaw) > TURNED;
  }

  /** A point on the front of the head, `lift` in front of the skin. Of a turned head the hidden part is drawn together to the rim. */
  onFace(x: number, y: number, lift = 0): HeadPoint {
    const visible = this.isTurned ? this.clampToRim(x, y) : x;
    const across = visible / (ACROSS * this.traits.faceWidth);
    const along = (y + 0.05) / 1.4;
    return [visible, y, DEPTH * Math.sqrt(Math.max(0.01, 1 - across * across - along * along)) + lift];
  }

  /** A point of something that lies round the head: what a turned head hides is brought to the rim, `lift` in front of it. */
  around(point: HeadPoint, lift = 0.05): HeadPoint {
    const [x, y] = point;
    return !this.isTurned || this.clampToRim(x, y) === x ? point : this.onFace(x, y, lift);
  }

  /** The nearest x that can be seen at a height. The head there is an ellipse with radii a and c; seen from the angle θ its rim is at x = a² cosθ / √(a² cos²θ + c² sin²θ). */
  private clampToRim(x: number, y: number): number {
    const { cy, sy } = this.turn;
    const width = ACROSS * this.traits.faceWidth;
    const height = Math.sqrt(Math.max(0.01, 1 - ((y + 0.05) / 1.4) ** 2));
    const rim = (height * width * width * cy) / Math.hypot(width * cy, DEPTH * sy);
    return sy > 0 ? Math.min(x, rim) : Math.max(x, -rim);
  }

  path(points: readonly HeadPoint[], style: PathStyle): void {
    this.flatPath(
      points.map((point) => this.project(point)),
      style,
    );
  }

  /** As `path`, of points already in the picture's coordinates. */
  flatPath(points: readonly PicturePoint[], style: PathStyle): void {
    const data = style.straight ? polyline(points, style.closed ?? false) : smoothPath(points, style.closed ?? false);
    this.parts.push(`<path d="${data}"${this.attributes(style)}/>`);
  }

  /** A patch of skin in the form of an ellipse, with its own tilt (radians). */
  ellipse(x: number, y: number, radiusX: number, radiusY: number, style: PathStyle, lift = 0, tilt = 0): void {
    const [c, s] = [Math.cos(tilt), Math.sin(tilt)];
    const points = Array.from({ length: 8 }, (_, i): HeadPoint => {
      const [u, v] = [radiusX * Math.cos((i * Math.PI) / 4), radiusY * Math.sin((i * Math.PI) / 4)];
      return this.onFace(x + u * c - v * s, y + u * s + v * c, lift);
    });
    this.path(points, { ...style, closed: true });
  }

  /** Clips what `draw` draws to a closed curve. */
  clipped(outline: readonly HeadPoint[], draw: () => void): void {
    const name = `clip${this.definitions.length}`;
    const data = smoothPath(
      outline.map((point) => this.project(point)),
      true,
    );
    this.definitions.push(`<clipPath id="${name}"><path d="${data}"/></clipPath>`);
    this.parts.push(`<g clip-path="url(#${name})">`);
    draw();
    this.parts.push('</g>');
  }

  private attributes(style: PathStyle): string {
    const paint = (value: Colour | string | undefined) =>
      value === undefined ? 'none' : typeof value === 'string' ? value : css(value);
    const width =
      style.stroke === undefined ? '' : ` stroke-width="${((style.width ?? 0.02) * this.scale).toFixed(2)}"`;
    const opacity = style.opacity === undefined ? '' : ` opacity="${style.opacity.toFixed(3)}"`;
    const stroke = style.stroke === undefined ? '' : ` stroke="${paint(style.stroke)}" stroke-linecap="round"`;
    return ` fill="${paint(style.fill)}"${stroke}${width}${opacity}`;
  }
}

const pair = ([x, y]: PicturePoint) => `${x.toFixed(2)} ${y.toFixed(2)}`;

function polyline(points: readonly PicturePoint[], closed: boolean): string {
  return `M${points.map(pair).join('L')}${closed ? 'Z' : ''}`;
}

/** A Catmull–Rom curve through the points, as cubic Béziers. */
function smoothPath(points: readonly PicturePoint[], closed: boolean): string {
  const count = points.length;
  const at = (i: number) => (closed ? points[(i + count) % count]! : points[Math.min(Math.max(i, 0), count - 1)]!);
  let data = `M${pair(points[0]!)}`;
  for (let i = 0; i < (closed ? count : count - 1); i++) {
    const [before, from, to, after] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
    const control1 = [from[0] + (to[0] - before[0]) / 6, from[1] + (to[1] - before[1]) / 6] as const;
    const control2 = [to[0] - (after[0] - from[0]) / 6, to[1] - (after[1] - from[1]) / 6] as const;
    data += `C${pair(control1)} ${pair(control2)} ${pair(to)}`;
  }
  return data + (closed ? 'Z' : '');
}
