/** One thing waiting for its turn. */
export interface Turn {
  /** Does it. `stop` means: abort what waits behind it. Must not throw. */
  run(): Promise<{ readonly stop: boolean }>;
  /** Says that its turn will never come; undefined for what runs also after a failure. */
  abort?(): void;
}

/**
 * Cells one after the other, as one shell or subshell runs them. When a cell fails, and asked for it, the cells that
 * already wait behind it are aborted.
 */
export class ExecutionQueue {
  readonly #waiting: Turn[] = [];
  #running = false;

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  add(turn: Turn): void {
    this.#waiting.push(turn);
    if (!this.#running) void this.#run();
  }

  /** Aborts everything that waits. */
  abort(): void {
    const waiting = this.#waiting.splice(0);
    for (const turn of waiting) {
      if (turn.abort) turn.abort();
      else this.#waiting.push(turn);
    }
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let turn = this.#waiting.shift(); turn; turn = this.#waiting.shift()) {
      const { stop } = await turn.run();
      if (!stop) continue;
      // Requests sent together may still lie in the socket: let them be read before the queue is emptied.
      await new Promise((resolve) => setTimeout(resolve, 2));
      this.abort();
    }
    this.#running = false;
  }
}
