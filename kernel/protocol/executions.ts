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
  /** The turn that runs. */
  #turn: Promise<void> | undefined;
  /** What waited when somebody interrupted that turn; what came later was sent by someone who knew. */
  #interrupted: ReadonlySet<Turn> | undefined;
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

  /** The turn that runs is being interrupted. Resolves when it has ended. */
  async interrupted(): Promise<void> {
    const turn = this.#turn;
    if (!turn) return;
    await gathered();
    if (this.#turn === turn) this.#interrupted ??= new Set(this.#waiting);
    await turn;
  }

  /**
   * Takes out what can be aborted, and returns the way to abort it. Call before the failure is told: what comes afterwards
   * was sent by someone who knows of it.
   */
  async withdraw(): Promise<() => void> {
    await gathered();
    const late = (turn: Turn) => this.#interrupted !== undefined && !this.#interrupted.has(turn);
    const waiting = this.#waiting.splice(0);
    this.#waiting.push(...waiting.filter((turn) => !turn.abort || late(turn)));
    return () => {
      for (const turn of waiting) if (!late(turn)) turn.abort?.();
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
      this.#interrupted = undefined;
      this.#turn = turn.run();
      await this.#turn;
    }
    this.#turn = undefined;
    this.#running = undefined;
  }
}

function gathered(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, gathering));
}
