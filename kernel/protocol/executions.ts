/** One thing waiting for its turn. */
export interface Turn {
  /** Does it. Must not throw. */
  run(): Promise<void>;
  /** Says that its turn will never come; undefined for what runs also after a failure. */
  abort?(): void;
  /** It only marks a place: nobody behind it waits because of it. */
  readonly marker?: true;
}

/** Milliseconds in which requests that were sent together with a failed one reach us. */
const gathering = 2;

/**
 * Cells one after the other, as one shell or subshell runs them. When a cell fails, the cells that already wait behind it
 * can be aborted.
 */
export class ExecutionQueue {
  readonly #waiting: Turn[] = [];
  #running: Promise<void> | undefined;
  /** When the turn that runs began. */
  #began = 0;

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting.filter(({ marker }) => !marker).length;
  }

  add(turn: Turn): void {
    this.#waiting.push(turn);
    if (this.#running) return;
    this.#began = performance.now();
    this.#running = this.#run();
  }

  /** Resolves after what was added before, or as soon as a turn has run for `patience` milliseconds. */
  async place(patience: number): Promise<void> {
    const left = this.#began + patience - performance.now();
    if (!this.#running || left <= 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.add({ run: async () => resolve(), marker: true });
      timer = setTimeout(resolve, left);
    });
    clearTimeout(timer);
  }

  /**
   * Takes out what can be aborted, and returns the way to abort it. Call before the failure is told: what comes afterwards
   * was sent by someone who knows of it.
   */
  async withdraw(): Promise<() => void> {
    await new Promise((resolve) => setTimeout(resolve, gathering));
    const waiting = this.#waiting.splice(0);
    this.#waiting.push(...waiting.filter(({ abort }) => !abort));
    return () => {
      for (const turn of waiting) turn.abort?.();
    };
  }

  /** Aborts what waits, and resolves when what runs has ended. */
  async end(): Promise<void> {
    const abort = await this.withdraw();
    abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    // Nothing runs before `#running` is set: a turn may add others.
    await undefined;
    for (let turn = this.#waiting.shift(); turn; turn = this.#waiting.shift()) {
      this.#began = performance.now();
      await turn.run();
    }
    this.#running = undefined;
  }
}
