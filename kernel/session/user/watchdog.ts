/**
 * U's second thread. It reads what P sends and relays it, so it can act while the main thread is busy: it terminates JavaScript on an
 * interrupt, writes out what was gathered, hands over the answer to a blocking prompt, speaks the DevTools protocol, and ends U when P is gone.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { Session } from "node:inspector";
import { Socket } from "node:net";
import { type MessagePort, workerData } from "node:worker_threads";
import { FrameDecoder, messageFrame } from "../frames.js";
import { Garbage } from "../garbage.js";
import type { FromUser, Sent, ToUser } from "../messages.js";
import type { Relayed } from "./relay.js";
import { FROM_P, shared, slot, tryLock, unlock, writeAll, writeGathered } from "./shared.js";

/** ES2024, in every Node we support, not yet in the library types. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    array: Int32Array,
    index: number,
    value: number,
  ): { async: true; value: Promise<string> } | { async: false; value: string };
};

const { memory, port } = workerData as { memory: SharedArrayBuffer; port: MessagePort };
const state = shared(memory);
const { control } = state;
const GATHER_MS = 40;
/** An event loop that has not seen an interrupt after this long is taken to be blocked. */
const BLOCKED_MS = 8;
/** The same where no cell runs: an idle main thread may take a moment to wake up. */
const IDLE_BLOCKED_MS = 150;
/** A termination is on its way to the main thread within this time, unless a commit holds it off. */
const POSTED_MS = 50;
/** A termination that has had no effect for so long is taken to be lost, while the debugger is on. */
const SWALLOWED_MS = 150;
/** A commit may hold off termination for so long. */
const CRITICAL_MS = 10_000;

const asyncChildren = new Set<number>();
let posted = 0;
const garbage = new Garbage(() => {
  const session = new Session();
  session.connectToMainThread();
  return session;
});
const unseen = new Map<number, Omit<Relayed, "index">>();

watchGathered();
port.on("message", (message: { spawned?: number; exited?: number }) => {
  if (message.spawned) asyncChildren.add(message.spawned);
  if (message.exited) asyncChildren.delete(message.exited);
});
port.unref();

const socket = new Socket({ fd: FROM_P, readable: true, writable: false });
const decoder = new FrameDecoder();
socket.on("data", (chunk: Buffer) => {
  for (const frame of decoder.push(chunk)) receive(frame.head as Sent, frame.buffers);
});
const gone = (): void => {
  try {
    // We lead a process group: what cells have started goes with us.
    process.kill(-process.pid, "SIGKILL");
  } catch {
    process.kill(process.pid, "SIGKILL");
  }
};
socket.on("end", gone);
socket.on("error", gone);

function receive(sent: Sent, buffers: readonly Uint8Array[]): void {
  const { message } = sent;
  switch (message.type) {
    case "cdp":
      enqueue((done) => cdp(message, done));
      return;
    case "interrupt":
      relay(sent, buffers);
      void interrupt(message.seq, message.idle ? IDLE_BLOCKED_MS : BLOCKED_MS);
      return;
    case "tidy":
      // One thing at a time is asked of the inspector, and the debugger's questions come first.
      if (!debug) void garbage.collect();
      return;
    case "execute":
      // The loop that was debugged may still run when the debugger is off.
      if (!debugging && !optimising) void optimiseLoops(true);
      relayInTurn(sent, buffers);
      return;
    default:
      relayInTurn(sent, buffers);
  }
}

/** A cell that was asked for after its breakpoints runs after they were set. */
function relayInTurn(sent: Sent, buffers: readonly Uint8Array[]): void {
  if (!inFlight && waiting.length === 0) relay(sent, buffers);
  else
    enqueue((done) => {
      relay(sent, buffers);
      done();
    });
}

/** Post to the main thread. What it has not taken is kept: a termination that hits the delivery itself loses the message. */
function relay(sent: Sent, buffers: readonly Uint8Array[]): void {
  for (const index of unseen.keys()) {
    if (index >= Atomics.load(control, slot.received)) break;
    unseen.delete(index);
  }
  const relayed: Omit<Relayed, "index"> = { ...sent, buffers };
  unseen.set(posted, relayed);
  port.postMessage({ index: posted, ...relayed });
  posted++;
  // A prompt that blocks the main thread looks at the port itself.
  Atomics.add(control, slot.answer, 1);
  Atomics.notify(control, slot.answer);
}

async function interrupt(seq: number, blocked: number): Promise<void> {
  const seen = (): boolean => Atomics.load(control, slot.seen) >= seq;
  while (Atomics.load(control, slot.ready) === 0) await pause(5);
  await until(seen, blocked);
  for (let round = 0; !seen(); round++) {
    if (Atomics.compareExchange(control, slot.evaluating, 1, 2) === 1) process.kill(process.pid, "SIGINT");
    terminating ??= terminate(seen).finally(() => {
      terminating = undefined;
    });
    // Only then, or the code that waits for the child would hear of its end, and fail, before it is terminated.
    await until(() => seen() || Atomics.load(control, slot.posted) === 1, POSTED_MS);
    if (Atomics.load(control, slot.syncChild) > 0 && !seen())
      signalSyncChildren(round < 3 ? "SIGINT" : round < 6 ? "SIGTERM" : "SIGKILL");
    // A thread that is inside native code is terminated when it comes back: until then only its children can be told to hurry.
    await Promise.race([terminating, pause(100)]);
    await until(seen, round < 4 ? 25 : 200);
  }
}

let terminating: Promise<void> | undefined;
async function terminate(seen: () => boolean): Promise<void> {
  // What the inspector carries out may write: it must be able to end.
  const done = await new Promise<() => void>((resolve) => {
    urgent = resolve;
    inspectNext();
  });
  if (seen()) return done();
  // From here on the main thread enters no further critical section; the one it is in may end.
  Atomics.store(control, slot.posted, 0);
  Atomics.store(control, slot.terminating, 1);
  await until(() => seen() || Atomics.load(control, slot.critical) === 0, CRITICAL_MS);
  if (seen()) done();
  else {
    await terminateExecution(done);
    Atomics.store(control, slot.critical, 0);
    Atomics.store(control, slot.lock, 0);
  }
  Atomics.store(control, slot.terminating, 0);
  Atomics.notify(control, slot.terminating);
  redeliver();
}

/** Messages whose delivery the termination may have hit are posted again; the main thread drops the ones it has. */
function redeliver(): void {
  setTimeout(() => {
    const received = Atomics.load(control, slot.received);
    for (const [index, entry] of unseen) if (index >= received) port.postMessage({ index, ...entry });
  }, 20);
}

/** Whether the main thread is to be terminated as soon as it takes up what was posted. */
let posting = false;
/** Whether a stop was asked for only to terminate there. */
let stopping = false;
function terminateExecution(done: () => void): Promise<void> {
  const session = new Session();
  session.connectToMainThread();
  // Where these stopped, what is posted with them would be overlooked.
  const quietly = { silent: true, disableBreaks: true };
  return new Promise((resolve) => {
    const end = (): void => {
      posting = false;
      clearInterval(watch);
      resolve();
      // The next thing to run: Node aborts if another callback finds what the terminated one had entered.
      session.post("Runtime.evaluate", { expression: "globalThis.__cell__?.afterTermination()", ...quietly }, () => {
        session.disconnect();
        done();
      });
    };
    session.post("Runtime.evaluate", { expression: "globalThis.__cell__?.beforeTermination()", ...quietly });
    // Where the debugger has stopped, going on terminates; a second termination would hit what runs then.
    if (paused) goOnTerminated(end);
    else {
      posting = true;
      session.post("Runtime.terminateExecution", end);
    }
    Atomics.store(control, slot.posted, 1);
    // While its debugger is on, V8 swallows a termination that hits a promise hook, or the condition of a breakpoint. One that follows
    // a stop hits the user's code.
    const patience = performance.now() + SWALLOWED_MS;
    const watch = setInterval(() => {
      if (Atomics.exchange(control, slot.swallowed, 0) === 1) {
        Atomics.store(control, slot.terminating, 0);
        Atomics.notify(control, slot.terminating);
        stopping = true;
      }
      if (performance.now() > patience) stopping = true;
      // Asked again and again: V8 forgets it where it comes by in the kernel's own code.
      if (stopping && !paused && debugging) debug?.post("Debugger.pause");
    }, 10);
  });
}

function goOnTerminated(end?: () => void): void {
  debug?.post("Debugger.resume", { terminateOnResume: true }, end);
}

function signalSyncChildren(signal: NodeJS.Signals): void {
  for (const pid of childrenOf(process.pid)) {
    if (asyncChildren.has(pid)) continue;
    for (const target of [...descendants(pid), pid]) {
      try {
        process.kill(target, signal);
      } catch {
        // It ended by itself meanwhile.
      }
    }
  }
}

function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [...descendants(child), child]);
}

/** Children of a process. From /proc, or from `ps`; on Windows none are known and the wait lasts until the child ends. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" "))
      .filter((text) => text !== "")
      .map(Number);
  } catch {
    return process.platform === "win32" ? [] : childrenByPs(pid);
  }
}

/** Where there is no /proc, as on macOS. */
function childrenByPs(pid: number): number[] {
  try {
    const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
    return lines.flatMap((line) => {
      const [child, parent] = line.trim().split(/\s+/).map(Number);
      return parent === pid && child !== undefined ? [child] : [];
    });
  } catch {
    return [];
  }
}

/** Every 40 ms while something is being gathered, write it out; a main thread that holds the lock is not waited for. */
function watchGathered(): void {
  const watch = (): void => {
    Atomics.store(control, slot.watching, 1);
    setTimeout(look, GATHER_MS);
  };
  const look = (): void => {
    const used = Atomics.load(control, slot.watching) === 2;
    if (tryLock(state)) {
      writeGathered(state);
      unlock(state);
      if (!used) {
        rest();
        return;
      }
    }
    watch();
  };
  const rest = (): void => {
    Atomics.store(control, slot.watching, 0);
    const waiting = waitAsync(control, slot.length, 0);
    if (waiting.async) void waiting.value.then(watch);
    else watch();
  };
  rest();
}

/**
 * One message at a time goes to the inspector, unless it has stopped the main thread. Where it stops while it carries out a message,
 * Node overlooks those that came with that message, and with them everything that comes later; it then spins for ever.
 */
const PAUSING_MS = 20;
type Post = (done: () => void) => void;
const waiting: Post[] = [];
/** A termination: goes before what waits. */
let urgent: Post | undefined;
/** Stands for the message that is being carried out. */
let inFlight: object | undefined;
function enqueue(post: Post): void {
  waiting.push(post);
  inspectNext();
}

function inspectNext(): void {
  if (inFlight) return;
  const mine = {};
  const done = (): void => {
    if (inFlight === mine) inspected();
  };
  if (urgent) {
    inFlight = mine;
    const post = urgent;
    urgent = undefined;
    post(done);
    return;
  }
  if (waiting.length === 0) return;
  inFlight = mine;
  // Not while the main thread starts, which reads what V8 makes when it is first read: done by both at once, V8 aborts. And not while
  // it writes: it then takes up the message before it writes again, as what the message runs may write itself, or stop.
  if (Atomics.load(control, slot.ready) === 0 || !tryLock(state)) {
    setTimeout(done, 1);
    return;
  }
  Atomics.add(control, slot.inspected, 1);
  try {
    waiting.shift()?.(done);
  } finally {
    unlock(state);
  }
}

function inspected(): void {
  inFlight = undefined;
  inspectNext();
}

interface Notification {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

let debug: Session | undefined;
let debugging = false;
let paused = false;
function cdp({ seq, method, params }: Extract<ToUser, { type: "cdp" }>, done: () => void): void {
  if (!debug) {
    debug = new Session();
    debug.connectToMainThread();
    debug.on("inspectorNotification", ({ method, params = {} }: Notification) => {
      if (method === "Debugger.resumed") paused = false;
      if (method !== "Debugger.paused") {
        send({ type: "cdpEvent", method, params });
        return;
      }
      paused = true;
      if (Atomics.load(control, slot.lock) === 1) {
        // It holds the lock that we need to tell of it: in Node's code, called by the kernel's.
        debug?.post(params.reason === "exception" ? "Debugger.resume" : "Debugger.stepOut");
        inspected();
        return;
      }
      const unasked =
        stopping && !posting && !(Array.isArray(params.hitBreakpoints) && params.hitBreakpoints.length > 0);
      stopping = false;
      // What was to be terminated at this stop has ended before.
      if (unasked) debug?.post("Debugger.resume");
      else send({ type: "cdpEvent", method, params });
      if (posting) goOnTerminated();
      inspected();
    });
  }
  if (method === "Debugger.enable" || method === "Debugger.disable") {
    debugging = method === "Debugger.enable";
    stopping = false;
    if (debugging) void optimiseLoops(false);
  }
  debug.post(method, { ...params }, (error, result) => {
    if (error) send({ type: "cdpResult", seq, error: error.message });
    else send({ type: "cdpResult", seq, result });
    if (method === "Debugger.pause") setTimeout(done, PAUSING_MS);
    else if (method !== "Runtime.awaitPromise") done();
  });
  // It is answered when the promise is settled.
  if (method === "Runtime.awaitPromise") done();
}

let optimising = true;
/** V8 12 (Node 22) hears nothing any more in a hot loop in which it has stopped: it tries, at every turn, to optimise it. */
async function optimiseLoops(on: boolean): Promise<void> {
  if (on === optimising || !process.versions.v8.startsWith("12.")) return;
  optimising = on;
  const { setFlagsFromString } = await import("node:v8");
  setFlagsFromString(on ? "--use-osr" : "--no-use-osr");
}

let sending = Promise.resolve();
function send(message: FromUser): void {
  const frame = messageFrame(message);
  sending = sending.then(async () => {
    while (!tryLock(state)) await pause(1);
    writeGathered(state);
    writeAll(frame);
    unlock(state);
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function until(condition: () => boolean, milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!condition() && performance.now() < end) await pause(1);
}
