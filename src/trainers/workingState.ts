import type { AdamState } from "../optim/adam.js";
import type { Gradients, Optimizer } from "../optim/optimizer.js";
import type { Timeline } from "../state/timeline.js";
import type { Params } from "../tensor.js";

/**
 * Parameters and moments while an update runs. The first optimizer step makes new arrays, or, where a state is too large
 * to be held twice, writes over the old ones, which then are safe on disk; later ones write over what only this update
 * has seen.
 */
export class WorkingState {
  params: Params;
  /** Where arrays come from. */
  readonly allocate: (length: number) => Float32Array;
  #optimizer: AdamState;
  /** Arrays that nobody else holds. */
  #own: Set<Float32Array> | undefined;
  #kept = false;
  /** The arrays of the state that the update began with. */
  readonly #base: ReadonlySet<Float32Array>;
  readonly #timeline: Timeline<object>;
  readonly #over: () => void;

  constructor(tensors: { policy: Params; m: Params; v: Params }, optimizerSteps: number, timeline: Timeline<object>) {
    this.params = tensors.policy;
    this.#optimizer = { steps: optimizerSteps, m: tensors.m, v: tensors.v, vMax: new Map() };
    this.#timeline = timeline;
    this.allocate = (length) => timeline.pool.take(length);
    this.#base = new Set(this.#arrays());
    this.#over = timeline.prepareToLend();
  }

  get optimizerSteps(): number {
    return this.#optimizer.steps;
  }

  async step(optimizer: Optimizer<AdamState>, gradients: Gradients): Promise<void> {
    this.#own ??= new Set(await this.#timeline.lend());
    const own = this.#own;
    const next = optimizer.update(gradients, this.#optimizer, this.params, {
      overwrite: (array) => own.has(array),
      allocate: this.allocate,
    });
    this.params = next.params;
    this.#optimizer = next.state;
    for (const array of this.#arrays()) if (!this.#base.has(array)) own.add(array);
  }

  /** The tensors, for a snapshot; they are nobody's to write into from now on. */
  keep(): { policy: Params; m: Params; v: Params } {
    this.#kept = true;
    return { policy: this.params, m: this.#optimizer.m, v: this.#optimizer.v };
  }

  /** Gives the memory of gradients back, those of `except` left out. */
  recycle(gradients: Params, except: Params = new Map()): void {
    for (const [name, { data }] of gradients) if (except.get(name)?.data !== data) this.#timeline.pool.give(data);
  }

  /** Gives the arrays back if they were not kept. */
  release(): void {
    this.#over();
    if (this.#own === undefined || this.#kept) return;
    for (const array of this.#own) this.#timeline.pool.give(array);
    this.#own = undefined;
  }

  *#arrays(): Generator<Float32Array> {
    for (const group of [this.params, this.#optimizer.m, this.#optimizer.v]) {
      for (const { data } of group.values()) yield data;
    }
  }
}
