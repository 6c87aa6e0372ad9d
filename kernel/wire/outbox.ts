import type { Dealer, Router, XPublisher } from "zeromq";
import type { Frame } from "./codec.js";

/**
 * A socket takes one message at a time; an outbox takes any number and hands them on in order. It begins after the current
 * turn of the event loop: what a message sets in motion, as a cell in the user process, starts before the clients are told.
 */
export class Outbox {
  readonly #waiting: { readonly message: () => readonly Frame[]; readonly lost: (() => void) | undefined }[] = [];
  #sending: Promise<void> | undefined;

  /** @param onError hears of messages that could not be handed on; those behind them still go out. */
  constructor(
    private readonly socket: Dealer | Router | XPublisher,
    private readonly onError: (error: Error) => void,
  ) {}

  /**
   * @param message makes the frames when their turn has come.
   * @param lost is called, in place of `onError`, when they could not be handed on.
   */
  put(message: () => readonly Frame[], lost?: () => void): void {
    this.#waiting.push({ message, lost });
    this.#sending ??= this.#send();
  }

  /** Resolves when everything was handed on. */
  async drained(): Promise<void> {
    await this.#sending;
  }

  async #send(): Promise<void> {
    await new Promise<void>((resolve) => process.nextTick(resolve));
    let taken = 0;
    for (; !this.socket.closed; taken++) {
      const next = this.#waiting[taken];
      if (!next) break;
      try {
        await this.socket.send([...next.message()]);
      } catch (error) {
        if (next.lost) next.lost();
        else if (!this.socket.closed) this.onError(error as Error);
      }
      if (taken < 1024) continue;
      this.#waiting.splice(0, taken + 1);
      taken = -1;
    }
    this.#waiting.length = 0;
    this.#sending = undefined;
  }
}
