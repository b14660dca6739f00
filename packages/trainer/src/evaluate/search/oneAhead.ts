/**
 * The results of `compute(0)` … `compute(count − 1)` in order, each begun when the one before it is there and its caller still looks at it: what runs
 * on the engine's thread goes on beside JavaScript. No two are under way at once, and none is when the generator has ended, however it ends.
 */
export async function* oneAhead<T>(count: number, compute: (index: number) => Promise<T>): AsyncGenerator<T> {
  let ahead: Promise<T> | undefined = count > 0 ? compute(0) : undefined;
  try {
    for (let index = 1; ahead !== undefined; index++) {
      const done: T = await ahead;
      ahead = index < count ? compute(index) : undefined;
      // It is awaited in the next round at the earliest; a failure must not count as unhandled until then.
      ahead?.catch(() => undefined);
      yield done;
    }
  } finally {
    // A caller who stops early leaves one in flight.
    await ahead?.catch(() => undefined);
  }
}
