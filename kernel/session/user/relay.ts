/** A message of P as the watchdog relays it to the main thread. */
import type { ToUser } from "../messages.js";

/** `index` counts relayed messages: after a termination one may come twice. */
export interface Relayed {
  readonly index: number;
  readonly message: ToUser;
  readonly buffers: readonly Uint8Array[];
}
