/** Which cell a piece of work belongs to: followed through timers, promises and callbacks. */
import { contextCarrier } from "./carrier.js";

/** A running or finished cell, or the handling of a comm message, as its own work sees it. */
export interface Work {
  /** Message id of the request. */
  readonly id: string;
  /** Header of the request: travels with everything that the work publishes. */
  readonly parent: unknown;
  readonly executionCount: number;
  readonly silent: boolean;
  readonly allowStdin: boolean;
  readonly abort: AbortController;
  /** Its code has looked at the abort signal, so an interrupt gives it time to stop by itself. */
  signalTaken: boolean;
  /** Set when the cell was stopped: its left-over work may not print or start timers. */
  interrupted: boolean;
  /** Stop functions of timers and child processes that this work started and that may still be alive. */
  readonly running: Set<() => void>;
  /** Displays that are still describing themselves: the cell ends after them. */
  readonly pending: Set<Promise<unknown>>;
  /** The last expression's value where the cell's function does not return it. */
  marked?: readonly unknown[];
  /** The cell started a child process: its inherited output may come after the cell's end. */
  children: boolean;
  /** Pager and input payloads of the reply. */
  readonly payload: Readonly<Record<string, unknown>>[];
}

let latest: Work | undefined;
const carrier = contextCarrier();

/** Run `body` as part of `work`. */
export function within<T>(work: Work, body: () => T): T {
  latest = work;
  return carrier.run(work, body);
}

/** The work that the current code belongs to; where that is unknown, the latest. */
export function currentWork(): Work | undefined {
  return carrier.get() ?? latest;
}

/** The work that the current code belongs to, if it is known for sure. */
export function ownWork(): Work | undefined {
  return carrier.get();
}

/** The work that made `promise`. */
export function workOfPromise(promise: object): Work | undefined {
  return carrier.of(promise);
}

/** To be called on the event loop after JavaScript was terminated: what it had entered it has not left. */
export function forgetEntered(): void {
  carrier.reset();
}

/** Thrown in a cell that was interrupted; Jupyter people know it as KeyboardInterrupt. */
export class InterruptedError extends Error {
  override name = "KeyboardInterrupt";
  constructor(message = "the cell was interrupted") {
    super(message);
  }
}
