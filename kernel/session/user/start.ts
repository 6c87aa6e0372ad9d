/** Puts U together: output, globals, and the queue of what P asks for. */
import process from "node:process";
import type { MessagePort, Worker } from "node:worker_threads";
import { handleComm } from "./comms.js";
import { forgetEntered } from "./context.js";
import { watchErrors } from "./errors.js";
import { execute, interruptCells } from "./executor.js";
import { installGlobals } from "./globals.js";
import { answerInput, connectInput } from "./input.js";
import { connectOutput, send } from "./output.js";
import type { Relayed } from "./relay.js";
import { type Shared, slot } from "./shared.js";
import { installStreams } from "./streams.js";

/** Start serving P. */
export function startUser(memory: Shared, port: MessagePort, watchdog: Worker): void {
  const queue: Relayed[] = [];
  let next = 0;
  let scheduled = false;

  /** Take a message once, in order: after a termination the watchdog may post it again. */
  const take = (relayed: Relayed): boolean => {
    if (relayed.index !== next) return false;
    next++;
    Atomics.store(memory.control, slot.received, next);
    return true;
  };
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediateNow(work);
  };
  // User code runs in an immediate of its own, so that a termination unwinds nothing but itself.
  const work = (): void => {
    scheduled = false;
    const relayed = queue.shift();
    if (!relayed) return;
    if (queue.length > 0) schedule();
    handle(relayed, memory);
  };
  connectOutput(memory);
  const accept = (relayed: Relayed): boolean => {
    if (!take(relayed)) return false;
    const { message } = relayed;
    if (message.type === "input" && message.sync) return true;
    queue.push(relayed);
    schedule();
    return true;
  };
  connectInput(memory, port, accept);
  port.on("message", accept);
  watchdog.unref();
  installStreams(watchdog);
  watchErrors();
  installGlobals(memory, port);
  Atomics.store(memory.control, slot.ready, 1);
  send({ type: "ready" });
}

const setImmediateNow = setImmediate;

function handle({ message, buffers }: Relayed, memory: Shared): void {
  switch (message.type) {
    case "execute":
      execute(message);
      return;
    case "interrupt":
      Atomics.store(memory.control, slot.seen, message.seq);
      forgetEntered();
      Atomics.store(memory.control, slot.syncChild, 0);
      interruptCells(message.seq);
      return;
    case "comm":
      void handleComm(message, buffers);
      return;
    case "input":
      answerInput(message);
      return;
    case "complete":
      void import("./runtimeValues.js").then(({ complete }) => {
        send({ type: "completed", seq: message.seq, matches: complete(message.expression) });
      });
      return;
    case "inspect":
      void import("./runtimeValues.js").then(({ inspectExpression }) => {
        const bundle = inspectExpression(message.expression, message.detailLevel);
        send({ type: "inspected", seq: message.seq, ...(bundle && { bundle }) });
      });
      return;
    case "helped":
      void import("../magics/help.js").then(({ answerHelp }) => answerHelp(message.id, message.bundle));
      return;
    case "exit":
      process.exit(0);
      return;
    case "cdp":
      return;
  }
}
