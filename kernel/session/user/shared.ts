/**
 * Memory that U's main thread and its watchdog share. The watchdog terminates JavaScript only outside critical sections, so that a
 * frame is never half written and a commit never half made; it also writes out what was gathered while the main thread is busy.
 */
import { writeSync } from "node:fs";
import { sealStream } from "../frames.js";

/** Taken before any cell can replace them: text is also written while a cell's own code runs. */
const { add, compareExchange, load, notify, store, sub, wait } = Atomics;

/** Descriptor on which U writes frames to P (blocking, so that a flood waits for its reader). */
export const TO_P = 3;
/** Descriptor on which U's watchdog reads frames from P. */
export const FROM_P = 4;
/** Descriptor on which U's main thread itself reads the cells that found it idle. */
export const DIRECTLY_FROM_P = 5;
/** The longest frame that is sent there. There is never more than one under way, and one so short arrives in one piece. */
export const DIRECT_BYTES = 8000;

/** Slots of `Shared.control`. */
export const slot = {
  /** Depth of critical sections on the main thread. */
  critical: 0,
  /** 1 while the watchdog is about to terminate, or is terminating, the main thread. */
  terminating: 1,
  /** Spin lock of the gathered frames and of the pipe to P. */
  lock: 2,
  /** Bytes gathered: whole frames, then perhaps a stream frame under construction. */
  length: 3,
  /** Relayed messages that the main thread has taken. */
  received: 4,
  /** The last interrupt that the main thread's event loop has seen. */
  seen: 5,
  /** Bumped when an answer to a blocking prompt lies in the port. */
  answer: 6,
  /** Depth of synchronous child processes. */
  syncChild: 7,
  /** 1 once the main thread serves cells: before that there is nothing to terminate but its own start. */
  ready: 8,
  /** 1 once all that makes up a termination is on its way to the main thread. */
  posted: 9,
  /** Bumped, under the lock, with each message for the inspector. */
  inspected: 10,
  /** Bytes of whole frames among those gathered. */
  sealed: 11,
  /** 1 when a termination came and the JavaScript that it should have ended goes on. */
  swallowed: 12,
  /** Whether the watchdog looks at what is gathered unasked: 1 while it does, 2 when something came since it looked. */
  watching: 13,
  /** 1 while something is evaluated that a signal can end, 2 when the signal is sent. */
  evaluating: 14,
} as const;

const CONTROL_BYTES = 64;
/** Room for gathered frames. */
export const GATHERED_BYTES = 1 << 16;

/** The shared memory. */
export interface Shared {
  readonly memory: SharedArrayBuffer;
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly gathered: Uint8Array<SharedArrayBuffer>;
}

/** New shared memory, or a view of the one that the other thread made. */
export function shared(memory: SharedArrayBuffer = new SharedArrayBuffer(CONTROL_BYTES + GATHERED_BYTES)): Shared {
  return {
    memory,
    control: new Int32Array(memory, 0, CONTROL_BYTES / 4),
    gathered: new Uint8Array(memory, CONTROL_BYTES),
  };
}

/** Hold off termination (main thread). Waits while the watchdog is terminating: then it never returns. */
export function enterCritical({ control }: Shared): void {
  for (let posted = 0; ; ) {
    const depth = add(control, slot.critical, 1);
    if (depth > 0 || load(control, slot.terminating) === 0) return;
    sub(control, slot.critical, 1);
    posted += load(control, slot.posted);
    // This loop would not have come so far.
    if (posted > 2) store(control, slot.swallowed, 1);
    wait(control, slot.terminating, 1, posted > 0 ? 20 : 100);
  }
}

/** Allow termination again. */
export function leaveCritical({ control }: Shared): void {
  sub(control, slot.critical, 1);
}

/** Take the lock if it is free. */
export function tryLock({ control }: Shared): boolean {
  return compareExchange(control, slot.lock, 0, 1) === 0;
}

/** Give the lock back. */
export function unlock({ control }: Shared): void {
  store(control, slot.lock, 0);
  notify(control, slot.lock, 1);
}

/** End the stream frame under construction, if there is one. The lock must be held. */
export function sealGathered({ control, gathered }: Shared): void {
  const length = load(control, slot.length);
  const sealed = load(control, slot.sealed);
  if (length > sealed) sealStream(gathered.subarray(sealed), length - sealed);
  store(control, slot.sealed, length);
}

/** Write what was gathered to P: each write wakes it, which takes longer than a small cell. The lock must be held. */
export function writeGathered(state: Shared): void {
  const length = load(state.control, slot.length);
  if (length === 0) return;
  sealGathered(state);
  writeAll(state.gathered.subarray(0, length));
  store(state.control, slot.sealed, 0);
  store(state.control, slot.length, 0);
}

/** Write all bytes to P. Blocks while P's pipe is full; a vanished P is no error: U is about to be ended. */
export function writeAll(bytes: Uint8Array): void {
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(TO_P, bytes, at, bytes.length - at);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EAGAIN" || code === "EINTR") continue;
      if (code === "EPIPE" || code === "EBADF" || code === "ECONNRESET") return;
      throw error;
    }
  }
}
