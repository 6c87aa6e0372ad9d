/** Asking the front end for a line: `prompt` blocks this thread, `input` does not. */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { ToUser } from "../messages.js";
import { currentWork } from "./context.js";
import { send } from "./output.js";
import type { Relayed } from "./relay.js";
import { type Shared, slot } from "./shared.js";
import { InterruptedError } from "./work.js";

type Input = Extract<ToUser, { type: "input" }>;

let memory: Shared;
let port: MessagePort;
let accept: (relayed: Relayed) => boolean;
let nextId = 1;
const pending = new Map<number, (answer: Input) => void>();

/** Give this module the port of the watchdog. `take` queues a message that is not an answer; false: it was known already. */
export function connectInput(shared: Shared, from: MessagePort, take: (relayed: Relayed) => boolean): void {
  memory = shared;
  port = from;
  accept = take;
}

/** Ask and block until the answer is there. Throws where the front end takes no input. */
export function promptSync(text: string, password: boolean): string {
  const id = ask(text, password, true);
  for (;;) {
    const before = Atomics.load(memory.control, slot.answer);
    for (;;) {
      const got = receiveMessageOnPort(port) as { message: Relayed } | undefined;
      if (!got) break;
      const { message } = got.message;
      if (!accept(got.message)) continue;
      // Code that catches this and goes on is terminated by the watchdog: the event loop has yet to see the interrupt.
      if (message.type === "interrupt") throw new InterruptedError();
      if (message.type === "input" && message.sync && message.id === id) return answerOf(message);
    }
    Atomics.wait(memory.control, slot.answer, before);
  }
}

/** Ask; the cell's other work goes on. */
export function inputAsync(text: string, password: boolean): Promise<string> {
  const signal = currentWork()?.abort.signal;
  return new Promise((resolve, reject) => {
    const id = ask(text, password, false);
    const onAbort = (): void => {
      pending.delete(id);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    pending.set(id, (answer) => {
      signal?.removeEventListener("abort", onAbort);
      try {
        resolve(answerOf(answer));
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** An answer has come for `input`. */
export function answerInput(answer: Input): void {
  pending.get(answer.id)?.(answer);
  pending.delete(answer.id);
}

function ask(prompt: string, password: boolean, sync: boolean): number {
  const work = currentWork();
  if (!work?.allowStdin)
    throw new StdinError(
      "this front end does not take input (allow_stdin is false): give the value in the code instead",
    );
  const id = nextId++;
  send({ type: "input", id, sync, prompt, password, parent: work.parent });
  return id;
}

function answerOf(answer: Input): string {
  if (answer.error !== undefined) throw new StdinError(answer.error);
  return answer.value ?? "";
}

class StdinError extends Error {
  override name = "StdinNotImplementedError";
}
