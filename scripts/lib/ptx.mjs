// Which instructions the kernels of a PTX file hold.

/** @param {string} text  PTX  @returns {Map<string, string>} symbol of each kernel → its text */
export function kernelsOfPtx(text) {
  const kernels = new Map();
  // ".visible .entry name(", ".weak .entry name(": the body goes on to the next one.
  const starts = [...text.matchAll(/\.entry\s+([\w$]+)\s*\(/g)];
  starts.forEach((start, i) => kernels.set(start[1], text.slice(start.index, starts[i + 1]?.index ?? text.length)));
  return kernels;
}

/**
 * @typedef {object} Rule
 * @property {string} kernels         regular expression over kernel names
 * @property {string[]} instructions  that each of those kernels must hold
 */

/**
 * @param {Map<string, string>} kernels  name → PTX
 * @param {Rule[]} rules
 * @returns {string[]} one sentence for each instruction that a kernel lacks, and for each rule that meets no kernel
 */
export function missingInstructions(kernels, rules) {
  return rules.flatMap(({ kernels: pattern, instructions }) => {
    const met = [...kernels].filter(([name]) => new RegExp(pattern).test(name));
    if (met.length === 0)
      return [`expected a kernel /${pattern}/, received ${[...kernels.keys()].join(', ') || 'none'}`];
    return met.flatMap(([name, text]) =>
      instructions
        .filter((instruction) => !text.includes(instruction))
        .map((instruction) => `${name}: expected ${instruction} in its PTX, found none`),
    );
  });
}
