import { randomUUID } from "node:crypto";
import type { Header } from "../wire/messages.js";
import { ExecutionQueue } from "./executions.js";
import { BadRequest } from "./requests.js";

/**
 * The main shell, the control channel, which runs cells too, and the subshells that clients made beside them. Cells of one
 * wait for one another, cells of different ones run while the others await.
 */
export class Subshells {
  readonly main = new ExecutionQueue();
  readonly #control = new ExecutionQueue();
  readonly #others = new Map<string, ExecutionQueue>();

  create(): string {
    const id = randomUUID();
    this.#others.set(id, new ExecutionQueue());
    return id;
  }

  /** @throws {BadRequest} when there is no such subshell. */
  delete(id: string): void {
    const queue = this.#named(id);
    this.#others.delete(id);
    void queue.end();
  }

  /** Aborts what waits in any of them, and resolves when what runs has ended. */
  async end(): Promise<void> {
    await Promise.all(this.#all().map((queue) => queue.end()));
  }

  /** What runs in any of them is being interrupted. Resolves when it has ended. */
  async interrupted(): Promise<void> {
    await Promise.all(this.#all().map((queue) => queue.interrupted()));
  }

  list(): string[] {
    return [...this.#others.keys()];
  }

  /**
   * The queue that a request belongs to.
   * @throws {BadRequest} when its subshell is not there (any more).
   */
  queueOf({ subshell_id: id }: Header, channel: "shell" | "control"): ExecutionQueue {
    if (typeof id === "string") return this.#named(id);
    return channel === "control" ? this.#control : this.main;
  }

  /** The queue that a request belongs to, if it is there. */
  find({ subshell_id: id }: Header): ExecutionQueue | undefined {
    return typeof id === "string" ? this.#others.get(id) : this.main;
  }

  #all(): ExecutionQueue[] {
    return [this.main, this.#control, ...this.#others.values()];
  }

  #named(id: string): ExecutionQueue {
    const queue = this.#others.get(id);
    if (!queue)
      throw new BadRequest(`subshell_id is ${JSON.stringify(id)}; expected one of ${JSON.stringify(this.list())}`);
    return queue;
  }
}
