import type { Dealer, Router, XPublisher } from "zeromq";

type Frames = readonly (Buffer | Uint8Array)[];

/** A socket takes one message at a time; an outbox takes any number and hands them on in order. */
export class Outbox {
  readonly #waiting: Frames[] = [];
  #sending: Promise<void> | undefined;

  /** @param onError hears of messages that could not be handed on; those behind them still go out. */
  constructor(
    private readonly socket: Dealer | Router | XPublisher,
    private readonly onError: (error: Error) => void,
  ) {}

  put(frames: Frames): void {
    this.#waiting.push(frames);
    this.#sending ??= this.#send();
  }

  /** Resolves when everything was handed on. */
  async drained(): Promise<void> {
    await this.#sending;
  }

  async #send(): Promise<void> {
    let taken = 0;
    for (; taken < this.#waiting.length && !this.socket.closed; taken++) {
      try {
        await this.socket.send(this.#waiting[taken] as (Buffer | Uint8Array)[]);
      } catch (error) {
        if (!this.socket.closed) this.onError(error as Error);
      }
      if (taken < 1024) continue;
      this.#waiting.splice(0, taken + 1);
      taken = -1;
    }
    this.#waiting.length = 0;
    this.#sending = undefined;
  }
}
