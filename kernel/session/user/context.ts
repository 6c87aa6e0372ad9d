/** Which cell a piece of work belongs to: followed through timers, promises and callbacks. */
import { contextCarrier } from "./carrier.js";
import type { Work } from "./work.js";

let latest: Work | undefined;
let terminated: Work | undefined;
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

/** To be called inside the JavaScript that is terminated next: remembers whose it is. */
export function noteTerminated(): void {
  terminated = ownWork();
}

/** The work whose JavaScript was terminated since the last call. */
export function takeTerminated(): Work | undefined {
  const work = terminated;
  terminated = undefined;
  return work;
}

/** To be called on the event loop after JavaScript was terminated: what it had entered it has not left. */
export function forgetEntered(): void {
  carrier.reset();
}
