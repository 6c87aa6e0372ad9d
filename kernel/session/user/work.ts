/** Making the `Work` of a request. */
import type { Work } from "./context.js";

/** The work of a cell (or of a comm message) that starts now. */
export function newWork(request: {
  readonly id: string;
  readonly parent: unknown;
  readonly executionCount: number;
  readonly silent: boolean;
  readonly allowStdin: boolean;
}): Work {
  return {
    id: request.id,
    parent: request.parent,
    executionCount: request.executionCount,
    silent: request.silent,
    allowStdin: request.allowStdin,
    abort: new AbortController(),
    signalTaken: false,
    interrupted: false,
    running: new Set(),
    pending: new Set(),
    children: false,
    payload: [],
  };
}
