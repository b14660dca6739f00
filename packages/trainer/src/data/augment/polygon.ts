/** In pixels, y down; pixel (column, row) covers [column, column + 1] × [row, row + 1]. */
export type Point = readonly [x: number, y: number];

const SUBROWS = 4;

/**
 * How much of each pixel a polygon covers (even–odd rule): exact along x, four lines a pixel along y.
 * @returns [size, size], 0 to 1.
 */
export function polygonCoverage(points: readonly Point[], size: number): Float64Array {
  const coverage = new Float64Array(size * size);
  for (let line = 0; line < size * SUBROWS; line++) {
    const y = (line + 0.5) / SUBROWS;
    const crossings: number[] = [];
    for (const [i, [x0, y0]] of points.entries()) {
      const [x1, y1] = points[(i + 1) % points.length]!;
      if (y0 <= y !== y1 <= y) crossings.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
    }
    crossings.sort((a, b) => a - b);
    const rowAt = Math.floor(line / SUBROWS) * size;
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const [low, high] = [Math.max(0, crossings[i]!), Math.min(size, crossings[i + 1]!)];
      for (let column = Math.floor(low); column < high; column++) {
        coverage[rowAt + column]! += (Math.min(high, column + 1) - Math.max(low, column)) / SUBROWS;
      }
    }
  }
  return coverage;
}
