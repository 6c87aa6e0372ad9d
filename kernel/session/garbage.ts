/** Memory that many small cells leave behind. */
import type { Session } from "node:inspector";

/** So many cells leave some megabytes behind. */
const CELLS = 500;
/** A heap larger than this holds the user's values: to go through it takes long, and V8 does so often enough by itself. */
const LARGE_BYTES = 128 * 2 ** 20;

/**
 * Has a thread's garbage collected from time to time. The young generation grows with every cell, and the old one is far
 * from the limit at which V8 looks at it: unasked, ten thousand cells that keep nothing take fifty megabytes.
 */
export class Garbage {
  readonly #connect: () => Session;
  #cells = 0;

  /** @param connect opens an inspector session with the thread; it is closed again. */
  constructor(connect: () => Session) {
    this.#connect = connect;
  }

  /** A cell is about to run: is it time to collect? */
  isDue(): boolean {
    this.#cells++;
    return this.#cells % CELLS === 0;
  }

  async collect(): Promise<void> {
    const session = this.#connect();
    // One thing after the other: the inspector hangs when it is asked something from within an answer.
    const bytes = await new Promise<number>((resolve) =>
      session.post("Runtime.getHeapUsage", (_error, usage) =>
        resolve(usage && "totalSize" in usage ? Number(usage.totalSize) : Number.POSITIVE_INFINITY),
      ),
    );
    if (bytes <= LARGE_BYTES)
      await new Promise<void>((resolve) => session.post("HeapProfiler.collectGarbage", () => resolve()));
    session.disconnect();
  }
}
