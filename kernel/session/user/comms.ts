/** Comms between cells and front ends, both ways, with binary buffers. */
import { randomUUID } from "node:crypto";
import type { CommMessage, CommSendOptions } from "../../index.js";
import type { ToUser } from "../messages.js";
import { within } from "./context.js";
import { describeError } from "./errors.js";
import { asKernel, asUser } from "./intrinsics.js";
import { publish, send } from "./output.js";
import { newWork, running } from "./work.js";

type Listener = (event: CommMessage) => void | Promise<void>;
type TargetHandler = (comm: Comm, open: CommMessage) => void | Promise<void>;

const open = new Map<string, Comm>();
const targets = new Map<string, TargetHandler>();

/** One end of an open comm. */
export class Comm {
  readonly #messages = new Set<Listener>();
  readonly #closes = new Set<Listener>();

  constructor(
    readonly target: string,
    readonly id: string,
  ) {}

  /** Send data to the front end. */
  send(data: unknown = {}, options: CommSendOptions = {}): void {
    asKernel(() => {
      if (!open.has(this.id)) throw new Error(`the comm ${this.id} (${this.target}) is closed: open a new one`);
      publish("comm_msg", { comm_id: this.id, data }, sentWith(options));
    });
  }

  /** Close it on both sides. Closing twice is no error. */
  close(data: unknown = {}, options: CommSendOptions = {}): void {
    asKernel(() => {
      if (!open.delete(this.id)) return;
      publish("comm_close", { comm_id: this.id, data }, sentWith(options));
      tellOpen();
    });
  }

  /** Call `listener` for each message from the front end. Returns the function that stops it. */
  onMessage(listener: Listener): () => void {
    return listen(this.#messages, listener);
  }

  /** Call `listener` when the front end closes the comm. */
  onClose(listener: Listener): () => void {
    return listen(this.#closes, listener);
  }

  /** @internal Hand an event to the listeners. */
  async deliver(kind: "message" | "close", event: CommMessage): Promise<void> {
    for (const listener of kind === "message" ? this.#messages : this.#closes) await asUser(() => listener(event));
  }
}

function listen(listeners: Set<Listener>, listener: Listener): () => void {
  asKernel(() => listeners.add(listener));
  return () => void asKernel(() => listeners.delete(listener));
}

/** What cells see as `Jupyter.comms`. */
export const comms = {
  /** Open a comm to `target` in the front end. */
  open(target: string, data: unknown = {}, options: CommSendOptions & { readonly id?: string } = {}): Comm {
    if (typeof target !== "string" || target === "")
      throw new TypeError(`the target of a comm is a non-empty string, not ${JSON.stringify(target)}`);
    return asKernel(() => {
      const comm = new Comm(target, options.id ?? randomUUID());
      open.set(comm.id, comm);
      tellOpen();
      publish("comm_open", { comm_id: comm.id, target_name: target, data }, sentWith(options));
      return comm;
    });
  },
  /** Take comms that the front end opens to `target`. Returns the function that stops taking them. */
  register(target: string, handler: TargetHandler): () => void {
    if (typeof target !== "string" || target === "")
      throw new TypeError(`the target of a comm is a non-empty string, not ${JSON.stringify(target)}`);
    if (typeof handler !== "function")
      throw new TypeError(
        `what takes comms of ${JSON.stringify(target)} is a function (comm, open) => …, not ${typeof handler}`,
      );
    asKernel(() => targets.set(target, handler));
    return () =>
      asKernel(() => {
        if (targets.get(target) === handler) targets.delete(target);
      });
  },
};

function sentWith({
  metadata = {},
  buffers = [],
}: CommSendOptions): Required<CommSendOptions> & { buffers: Uint8Array[] } {
  const bytes = buffers.map((b) =>
    ArrayBuffer.isView(b) ? new Uint8Array(b.buffer, b.byteOffset, b.byteLength) : new Uint8Array(b),
  );
  return { metadata, buffers: bytes };
}

function tellOpen(): void {
  send({ type: "comms", open: [...open.values()].map((comm) => [comm.id, comm.target] as const) });
}

/** Handle a comm message of a front end. Output of its handlers belongs to that message. */
export async function handleComm(
  message: Extract<ToUser, { type: "comm" }>,
  buffers: readonly Uint8Array[],
): Promise<void> {
  const work = newWork({
    id: `comm ${message.seq}`,
    parent: message.parent,
    executionCount: 0,
    silent: false,
    allowStdin: false,
  });
  const {
    comm_id: id,
    target_name: target,
    data,
  } = message.content as { comm_id: string; target_name?: string; data?: unknown };
  const event: CommMessage = {
    data: data ?? {},
    metadata: message.metadata,
    buffers: buffers.map((b) => new DataView(b.slice().buffer)),
  };
  const settle = (problem?: { error: unknown }): void =>
    asKernel(() => {
      if (!running.has(work.id)) return;
      if (problem) publish("error", describeError(problem.error), { work });
      send({ type: "handled", seq: message.seq });
      work.ended = performance.now();
      running.delete(work.id);
    });
  running.set(work.id, { work, end: (ended) => settle("error" in ended ? ended : undefined) });
  try {
    await within(work, async () => {
      if (message.msgType === "comm_open") await accept(String(target), id, event);
      else {
        const comm = open.get(id);
        if (!comm) {
          if (message.msgType === "comm_msg") publish("comm_close", { comm_id: id, data: {} }, { work });
        } else if (message.msgType === "comm_msg") await comm.deliver("message", event);
        else {
          open.delete(id);
          tellOpen();
          await comm.deliver("close", event);
        }
      }
    });
    settle();
  } catch (error) {
    settle({ error });
  }
}

async function accept(target: string, id: string, event: CommMessage): Promise<void> {
  const handler = targets.get(target);
  if (!handler) {
    publish("comm_close", { comm_id: id, data: { error: `no comm target ${JSON.stringify(target)} is registered` } });
    return;
  }
  const comm = new Comm(target, id);
  open.set(id, comm);
  tellOpen();
  try {
    await asUser(() => handler(comm, event));
  } catch (error) {
    comm.close({});
    throw error;
  }
}
