/** Red, green, blue in 0…255 (sRGB). */
export type Colour = readonly [red: number, green: number, blue: number];

export function mix(from: Colour, to: Colour, share: number): Colour {
  return [0, 1, 2].map((i) => from[i]! + (to[i]! - from[i]!) * share) as unknown as Colour;
}

/** Multiplies every channel; below 1 darkens. */
export function shade(colour: Colour, gain: number): Colour {
  return colour.map((value) => Math.min(255, Math.max(0, value * gain))) as unknown as Colour;
}

export function css(colour: Colour): string {
  return `rgb(${colour.map((value) => Math.round(Math.min(255, Math.max(0, value)))).join(',')})`;
}

/** The colour at `position` (0…1) of evenly spaced stops. */
export function palette(stops: readonly Colour[], position: number): Colour {
  const scaled = Math.min(Math.max(position, 0), 1) * (stops.length - 1);
  const index = Math.min(Math.floor(scaled), stops.length - 2);
  return mix(stops[index]!, stops[index + 1]!, scaled - index);
}
