/** What the process knows of a piece of work: a cell, or the handling of a comm message. */

import type { Unset } from "./bindings.js";

/** A running or finished cell, or the handling of a comm message, as its own work sees it. */
export interface Work {
  /** Message id of the request. */
  readonly id: string;
  /** Header of the request: travels with everything that the work publishes. */
  readonly parent: unknown;
  readonly executionCount: number;
  readonly silent: boolean;
  readonly allowStdin: boolean;
  /** Made when it is first asked for: few cells do. */
  readonly abort: AbortController;
  /** Its code has looked at the abort signal, so an interrupt gives it time to stop by itself. */
  signalTaken: boolean;
  /** Set when the cell was stopped: its left-over work may not print or start timers. */
  interrupted: boolean;
  /** When it ended, by `performance.now()`. */
  ended: number | undefined;
  /** Stop functions of timers and child processes that this work started and that may still be alive. */
  readonly running: Set<() => void>;
  /** Displays that are still describing themselves: the cell ends after them. */
  readonly pending: Set<Promise<unknown>>;
  /** The last statement's value where the cell's function does not return it. */
  marked: readonly unknown[] | undefined;
  /** What its code has declared and not yet given a value. */
  readonly unset: Set<Unset>;
  /** Pager and input payloads of the reply. */
  readonly payload: Readonly<Record<string, unknown>>[];
}

/** How a piece of work came to its end. */
export type Ended = { readonly value: readonly unknown[] } | { readonly error: unknown };

/** Work that has not ended yet. */
export interface Running {
  readonly work: Work;
  /** Settle it, once; the first to come wins. */
  end(ended: Ended): void;
}

/** What an interrupt stops, by the work's id. */
export const running = new Map<string, Running>();

/** Thrown in a cell that was interrupted; Jupyter people know it as KeyboardInterrupt. */
export class InterruptedError extends Error {
  override name = "KeyboardInterrupt";
  constructor(message = "the cell was interrupted") {
    super(message);
  }
}

/** The work of a cell (or of a comm message) that starts now. */
export function newWork(request: {
  readonly id: string;
  readonly parent: unknown;
  readonly executionCount: number;
  readonly silent: boolean;
  readonly allowStdin: boolean;
}): Work {
  let abort: AbortController | undefined;
  return {
    get abort() {
      abort ??= new AbortController();
      return abort;
    },
    id: request.id,
    parent: request.parent,
    executionCount: request.executionCount,
    silent: request.silent,
    allowStdin: request.allowStdin,
    signalTaken: false,
    interrupted: false,
    ended: undefined,
    running: new Set(),
    pending: new Set(),
    payload: [],
    marked: undefined,
    unset: new Set(),
  };
}
