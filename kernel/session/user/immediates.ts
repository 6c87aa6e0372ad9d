/**
 * The user's immediates. Node goes through a list of its own, of which it forgets or repeats a part when JavaScript is terminated half-way:
 * so ours wait here, and one of Node's runs them all.
 */
import { AsyncResource } from "node:async_hooks";
import process from "node:process";

type Callback = (...args: unknown[]) => unknown;

/** What `setImmediate` returns. This process always has something to wait for, so `unref` only remembers that it was called. */
class Immediate {
  readonly #resource = new AsyncResource("Immediate");
  readonly #callback: Callback;
  readonly #args: readonly unknown[];
  #refed = true;

  constructor(callback: Callback, args: readonly unknown[]) {
    this.#callback = callback;
    this.#args = args;
  }

  ref(): this {
    this.#refed = true;
    return this;
  }

  unref(): this {
    this.#refed = false;
    return this;
  }

  hasRef(): boolean {
    return this.#refed && (present.has(this) || next.has(this));
  }

  [Symbol.dispose](): void {
    clear(this);
  }

  static run(immediate: Immediate): void {
    immediate.#resource.runInAsyncScope(immediate.#callback, immediate, ...immediate.#args);
  }
}

/** One of Node's, as far as it must be repaired. */
interface OfNode {
  _destroyed: boolean;
  _onImmediate: (() => void) | null;
  _idleNext: unknown;
  _idlePrev: unknown;
  unref(): unknown;
}

const startOfNode = setImmediate as unknown as (callback: () => void) => OfNode;
const clearOfNode = clearImmediate as (immediate: unknown) => void;
/** Ticks and microtasks have their turn between two immediates. */
const { _tickCallback: runTicks } = process as unknown as { _tickCallback(): void };

/** Those whose turn it is, and those that were started meanwhile. */
let present = new Set<Immediate>();
let next = new Set<Immediate>();
let isArmed = false;
/** The last of Node's that was to run ours. */
let armed: OfNode | undefined;

/** As Node's `setImmediate`, for a callback that is a function. */
export function start(callback: Callback, ...args: unknown[]): Immediate {
  const immediate = new Immediate(callback, args);
  next.add(immediate);
  arm();
  return immediate;
}

/** As Node's `clearImmediate`, for Node's own as well. */
export function clear(immediate: unknown): void {
  if (immediate instanceof Immediate) {
    present.delete(immediate);
    next.delete(immediate);
  } else clearOfNode(immediate);
}

function arm(): void {
  if (isArmed) return;
  isArmed = true;
  armed = startOfNode(runAll);
}

function runAll(): void {
  if (present.size === 0) [present, next] = [next, present];
  let first = true;
  try {
    for (const immediate of present) {
      if (!first) runTicks();
      first = false;
      if (present.delete(immediate)) Immediate.run(immediate);
    }
  } finally {
    goOn();
  }
}

function goOn(): void {
  isArmed = false;
  if (present.size + next.size > 0) arm();
}

/**
 * To be called after JavaScript was terminated. What was terminated may stand at the head of Node's list as one that has run, over which
 * Node then stumbles for ever; made to look as if it had still to run, it is passed.
 */
export function repairImmediates(): void {
  if (!armed?._destroyed) return;
  armed._destroyed = false;
  armed._onImmediate = countOneMore;
  goOn();
}

/** Node counts one that it passes a second time as two that have run, and would then leave its last one waiting. */
function countOneMore(): void {
  const nothing = (): void => undefined;
  const [before, counted, behind] = [startOfNode(nothing), startOfNode(nothing), startOfNode(nothing)];
  counted.unref();
  before._idleNext = behind;
  behind._idlePrev = before;
}
