// `node native/lab/seesaw.mjs`: a model, clock by clock, of one CTA of the Hopper kernels at D = 512 (its peer behaves alike), which says
// what the order of a consumer's products and the number of slots cost. The numbers in `assumed` are assumptions until a GPU has run;
// docs/kernels/wgmma.md quotes what this prints.
const assumed = {
  order: 'other, scores', // or 'scores, other': which of S(n) and O += P(n−1)·T(n−1) is issued first
  byParts: true, // S starts when half of its tile has arrived
  exponentials: 420, // clocks from the scores' retirement to P in shared memory: 300 instructions, 32 or 48 MUFU of 8 clocks
  issueScores: 24, // between two wgmma of S: 11 instructions on descriptors
  issueOutput: 30,
  wake: 40, // a wait at an mbarrier that had to wait
  retire: 60, // from the last product's end to wgmma.wait_group's return
  remote: 250, // an arrival at the peer's mbarrier
  near: 30, // the same in the own CTA
  issueCopy: 60, // the producer, a part
  latency: 700, // of a TMA copy from L2
  rate: 64, // bytes a clock that arrive at an SM
  shared: 128, // bytes a clock of shared memory
};
const BOX = 8192;
const SCORES = { clocks: 32, bytes: 4096 }; // m64n64k16, A and B from shared memory
const OTHER = { clocks: 128, bytes: 2048 + BOX }; // m64n256k16, A from shared memory
const OWN = { clocks: 128, bytes: BOX }; // the same, A from registers

/** @returns {number} clocks until both consumers have added `tiles` tiles */
function run(given, tiles) {
  const p = { ...assumed, ...given };
  const seen = new Set(); // what has happened
  const due = []; // [clock, what happens then]
  const copies = []; // under way, in order: { from, left, name }
  const queues = [[], []]; // a consumer's products
  const issued = [0, 0];
  const retired = [0, 0];
  let clock = 0;
  const after = (clocks, name) => due.push([clock + clocks, name]);
  const has = (name) => ({ until: () => seen.has(name), wake: p.wake });

  function* consumer(self) {
    function* issue(product, count, clocks) {
      for (let n = 0; n < count; ++n) {
        queues[self].push({ ...product });
        ++issued[self];
        yield clocks;
      }
    }
    function* retire(count) {
      yield { until: () => retired[self] >= count, wake: 0 };
      yield p.retire;
    }
    function* scores(n) {
      for (const part of [0, 1]) {
        yield has(`full ${n} ${part}`);
        if (!p.byParts) yield has(`full ${n} ${1 - part}`);
        yield* issue(SCORES, 16, p.issueScores);
      }
    }
    function* other(n) {
      yield has(`full ${n} ${self}`);
      yield has(`scores ${n}`);
      yield* issue(OTHER, 4, p.issueOutput);
    }
    function* own(n) {
      yield p.exponentials;
      after(p.near, `scores ${n}`);
      yield* issue(OWN, 4, p.issueOutput);
      yield* retire(issued[self]);
      after(p.remote, `empty ${n} ${self}`);
    }
    let n = 0;
    if (self === 0) {
      yield* scores(0);
      yield* retire(issued[self]);
      yield* own(0);
      n = 1;
    }
    for (; n + 1 < tiles; n += 2) {
      const isScoresFirst = p.order === 'scores, other';
      if (isScoresFirst) yield* scores(n + 1);
      yield* other(n);
      const others = issued[self];
      if (isScoresFirst) {
        yield* retire(others - 4);
        yield p.exponentials;
        after(p.near, `scores ${n + 1}`);
        yield* retire(others);
        after(p.remote, `empty ${n} ${self}`);
        yield* issue(OWN, 4, p.issueOutput);
        yield* retire(issued[self]);
        after(p.remote, `empty ${n + 1} ${self}`);
        continue;
      }
      yield* scores(n + 1);
      yield* retire(others);
      after(p.remote, `empty ${n} ${self}`);
      yield* retire(issued[self]);
      yield* own(n + 1);
    }
    if (n < tiles) {
      yield* other(n);
      yield* retire(issued[self]);
    }
  }

  function* producer() {
    for (let n = 0; n < tiles; ++n) {
      for (const part of [0, 1]) {
        if (n >= 2) yield has(`empty ${n - 2} ${part}`);
        yield p.issueCopy;
        copies.push({ from: clock + p.latency, left: 4 * BOX, name: `full ${n} ${part}` });
      }
    }
  }

  const actors = [consumer(0), consumer(1), producer()].map((steps) => ({ steps, at: 0, waits: null, done: false }));
  let current = null; // the product on the tensor cores
  let turn = 0;
  while (!actors[0].done || !actors[1].done) {
    ++clock;
    for (let n = due.length - 1; n >= 0; --n) if (due[n][0] <= clock) seen.add(due.splice(n, 1)[0][1]);
    for (const actor of actors) {
      while (!actor.done) {
        if (actor.waits) {
          if (!actor.waits.until()) break;
          if (clock > actor.since) actor.at = clock + actor.waits.wake;
          actor.waits = null;
        }
        if (actor.at > clock) break;
        const { value, done } = actor.steps.next();
        actor.done = Boolean(done);
        if (typeof value === 'number') actor.at = clock + value;
        else if (value) [actor.waits, actor.since] = [value, clock];
      }
    }
    let shared = p.shared;
    let arriving = p.rate;
    for (const copy of copies) {
      if (copy.from > clock) continue;
      const bytes = Math.min(arriving, copy.left);
      copy.left -= bytes;
      arriving -= bytes;
      shared -= bytes;
      if (copy.left === 0) seen.add(copy.name);
    }
    while (copies.length > 0 && copies[0].left === 0) copies.shift();
    if (!current) {
      const self = [turn, 1 - turn].find((n) => queues[n].length > 0);
      if (self !== undefined) {
        current = { self, left: 1, ...queues[self].shift() };
        turn = 1 - self;
      }
    }
    if (current) {
      current.left -= Math.min(1 / current.clocks, shared / current.bytes);
      if (current.left < 1e-9) {
        ++retired[current.self];
        current = null;
      }
    }
  }
  return clock;
}

const cases = {
  'scores first, whole tiles': { order: 'scores, other', byParts: false },
  'other product first, whole tiles': { byParts: false },
  'other product first, S by halves (the kernels)': {},
  '… 48 bytes a clock': { rate: 48 },
  '… 48 bytes a clock, whole tiles': { rate: 48, byParts: false },
  '… 32 bytes a clock': { rate: 32 },
  '… latency 1000': { latency: 1000 },
  '… latency 1000, whole tiles': { latency: 1000, byParts: false },
  '… exponentials 600': { exponentials: 600 },
};
for (const [name, given] of Object.entries(cases)) {
  const clocks = (run(given, 64) - run(given, 32)) / 32;
  const share = ((100 * 2048) / clocks).toFixed(1);
  const segment = run(given, 16);
  console.log(
    `${name.padEnd(46)} ${clocks.toFixed(0).padStart(5)} clocks a tile, tensor cores ${share}% busy; 16 tiles from an empty CTA ${segment}`,
  );
}
