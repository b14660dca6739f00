/** The n largest of any number of scores, in memory for 2·n. */
export class TopScores {
  private readonly buffer: Float32Array;
  private filled = 0;
  private least = -Infinity;
  /** How many were added. */
  total = 0;

  /** @param count n ≥ 1 */
  constructor(private readonly count: number) {
    // Room for as many again before the smaller half is dropped.
    this.buffer = new Float32Array(Math.max(2 * count, 4096));
  }

  add(scores: Float32Array): void {
    this.total += scores.length;
    for (let i = 0; i < scores.length; i++) {
      const score = scores[i]!;
      if (score <= this.least) continue;
      if (this.filled === this.buffer.length) {
        this.compact();
        if (score <= this.least) continue;
      }
      this.buffer[this.filled++] = score;
    }
  }

  /** Descending, min(n, total) of them. */
  sorted(): Float32Array {
    this.compact();
    return this.buffer.slice(0, this.filled);
  }

  private compact(): void {
    this.buffer.subarray(0, this.filled).sort().reverse();
    if (this.filled < this.count) return;
    this.filled = this.count;
    // A later score of this value is the n + 1st.
    this.least = this.buffer[this.count - 1]!;
  }
}
