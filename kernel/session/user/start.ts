/** Puts U together: output, globals, and the queue of what P asks for. */
import { Buffer } from "node:buffer";
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import process from "node:process";
import type { MessagePort, Worker } from "node:worker_threads";
import { FrameDecoder } from "../frames.js";
import type { Sent, ToUser } from "../messages.js";
import { handleComm } from "./comms.js";
import { forgetEntered, takeTerminated } from "./context.js";
import { watchErrors } from "./errors.js";
import { execute, interruptCells } from "./executor.js";
import { installGlobals } from "./globals.js";
import { repairImmediates } from "./immediates.js";
import { answerInput, connectInput } from "./input.js";
import { asKernel, awake, keepIntrinsics, leaveKernel, prepareCheck } from "./intrinsics.js";
import { connectOutput, send } from "./output.js";
import type { Relayed } from "./relay.js";
import { DIRECT_BYTES, DIRECTLY_FROM_P, type Shared, slot } from "./shared.js";
import { installStreams } from "./streams.js";

/** Taken before a cell can replace it. */
const { store } = Atomics;

/** Start serving P. */
export function startUser(memory: Shared, port: MessagePort, watchdog: Worker): void {
  let next = 0;
  /** Take a message once, in order: after a termination the watchdog may post it again. */
  const take = (relayed: Relayed): boolean => {
    if (relayed.index !== next) return false;
    next++;
    store(memory.control, slot.received, next);
    return true;
  };
  let direct = 0;
  // What came while a prompt blocked this thread, or before a cell that was sent before it.
  const later: Relayed[] = [];
  const takeUp = (): void => {
    if ((later[0]?.direct ?? 0) > direct) return;
    const relayed = later.shift();
    if (later.length > 0) plainTimeout(takeUp, 0);
    if (relayed) awake(() => asKernel(() => handle(relayed.message, relayed.buffers, memory)));
  };
  const postpone = (relayed: Relayed): void => {
    later.push(relayed);
    plainTimeout(takeUp, 0);
  };
  /** The cells that an interrupt overtakes, or that it lost with the JavaScript it terminated, are cells that it stops. */
  const passDirect = (passed: number): void => {
    direct = Math.max(direct, passed);
    if (later.length > 0) plainTimeout(takeUp, 0);
  };
  connectOutput(memory);
  connectInput(memory, port, (relayed) => {
    if (!take(relayed)) return false;
    if (relayed.message.type !== "input" || !relayed.message.sync) postpone(relayed);
    return true;
  });
  // Cells run right here: a termination unwinds this one callback. (In an immediate it would break Node's list of immediates.)
  port.on("message", (relayed: Relayed) => {
    if (!take(relayed)) return;
    if (relayed.message.type === "interrupt") passDirect(relayed.direct);
    if (later.length > 0 || relayed.direct > direct) postpone(relayed);
    else awake(() => asKernel(() => handle(relayed.message, relayed.buffers, memory)));
  });
  readDirectly((sent) => {
    if (sent.direct <= direct) return;
    passDirect(sent.direct);
    handle(sent.message, [], memory);
  });
  watchdog.unref();
  installStreams(watchdog);
  watchErrors(memory);
  process.on("SIGINT", () => {
    // A cell that listens itself has its own way with it.
    if (process.listenerCount("SIGINT") === 1) send({ type: "sigint" });
  });
  installGlobals(memory, port);
  keepIntrinsics();
  plainTimeout(prepareCheck, 200).unref();
  store(memory.control, slot.ready, 1);
  send({ type: "ready" });
}

const plainTimeout = setTimeout;

/** Call `take` with each cell that comes past the watchdog. */
function readDirectly(take: (sent: Sent) => void): void {
  const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
    fd: DIRECTLY_FROM_P,
    readable: true,
    writable: false,
    // Without the layers of a stream between, and nothing kept from one frame to the next, a termination leaves nothing half done.
    onread: {
      buffer: Buffer.alloc(DIRECT_BYTES),
      callback: (length, buffer) => {
        awake(() =>
          asKernel(() => {
            for (const { head } of new FrameDecoder().push(Buffer.from(buffer.buffer, buffer.byteOffset, length)))
              take(head as Sent);
          }),
        );
        return true;
      },
    },
  };
  // That P has gone is the watchdog's to hear.
  new Socket(options).on("error", () => undefined);
}

function handle(message: ToUser, buffers: readonly Uint8Array[], memory: Shared): void {
  switch (message.type) {
    case "execute":
      execute(message);
      return;
    case "interrupt":
      store(memory.control, slot.seen, message.seq);
      leaveKernel();
      asKernel(() => {
        forgetEntered();
        repairImmediates();
        store(memory.control, slot.syncChild, 0);
        interruptCells(message.seq, takeTerminated());
      });
      return;
    case "comm":
      void handleComm(message, buffers);
      return;
    case "input":
      answerInput(message);
      return;
    case "complete":
      void import("./runtimeValues.js").then(({ complete }) =>
        asKernel(() => send({ type: "completed", seq: message.seq, matches: complete(message.expression) })),
      );
      return;
    case "inspect":
      void import("./runtimeValues.js").then(({ inspectExpression }) =>
        asKernel(() => {
          const bundle = inspectExpression(message.expression, message.detailLevel);
          send({ type: "inspected", seq: message.seq, ...(bundle && { bundle }) });
        }),
      );
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
