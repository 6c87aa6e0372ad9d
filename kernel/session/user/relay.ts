/** A message of P as the watchdog relays it to the main thread. */
import type { Sent } from "../messages.js";

/** `index` counts relayed messages: after a termination one may come twice. */
export interface Relayed extends Sent {
  readonly index: number;
  readonly buffers: readonly Uint8Array[];
}
