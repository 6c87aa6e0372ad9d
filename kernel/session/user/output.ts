/** Everything U tells P: messages and stream text, gathered as frames in shared memory where that can wait a little. */
import { messageFrame, streamFrameStart } from "../frames.js";
import type { PublishType } from "../handle.js";
import type { FromUser } from "../messages.js";
import { currentWork } from "./context.js";
import { asKernel, taken } from "./intrinsics.js";
import {
  enterCritical,
  GATHERED_BYTES,
  leaveCritical,
  type Shared,
  sealGathered,
  slot,
  tryLock,
  unlock,
  writeAll,
  writeGathered,
} from "./shared.js";
import { InterruptedError, type Work } from "./work.js";

/** Taken before any cell can replace them: text is also written while a cell's own code runs. */
const { exchange, load, notify, store, wait } = Atomics;

let state: Shared;
const encoder = new TextEncoder();
const encodeInto = taken(encoder.encodeInto);
const set = taken(Uint8Array.prototype.set);
const subarray = taken(Uint8Array.prototype.subarray);
const slice = taken(String.prototype.slice);
/** Whose text the frame under construction holds. */
let openName = "";
let openParent: unknown;

/** Connect to the shared memory; must come before anything is sent. */
export function connectOutput(memory: Shared): void {
  state = memory;
}

/** Send a message to P, after what was gathered before it. */
export function send(message: FromUser, buffers: readonly Uint8Array[] = []): void {
  asKernel(() => {
    const frame = messageFrame(message, buffers);
    locked(() => {
      gather(frame);
      writeGathered(state);
    });
  });
}

/** Send a message to P together with the next one, or 40 ms later. */
export function sendSoon(message: FromUser): void {
  asKernel(() => {
    const frame = messageFrame(message);
    locked(() => {
      gather(frame);
      callWatchdog();
    });
  });
}

/** Publish an iopub message for `work` (default: the work that the current code belongs to). */
export function publish(
  msgType: PublishType,
  content: Readonly<Record<string, unknown>>,
  options: {
    metadata?: Readonly<Record<string, unknown>>;
    buffers?: readonly Uint8Array[];
    work?: Work | undefined;
    /** Something else follows at once: leave with it. */
    soon?: boolean;
  } = {},
): void {
  asKernel(() => {
    const { work = currentWork(), metadata = {}, buffers, soon } = options;
    const message = { type: "publish", msgType, content, metadata, parent: work?.parent } as const;
    if (soon && !buffers) sendSoon(message);
    else send(message, buffers);
  });
}

/** Write text to a stream of the current cell. Cheap: P sees it at the next message, when 64 kB are full, or 40 ms later. */
export function writeStream(name: "stdout" | "stderr", text: string, work = currentWork()): void {
  if (work?.interrupted) throw new InterruptedError();
  if (text === "" || work?.silent === true) return;
  locked(() => {
    const parent = work?.parent;
    let rest = text;
    while (rest !== "") {
      let length = load(state.control, slot.length);
      const open = length > load(state.control, slot.sealed);
      const fits = open
        ? openName === name && openParent === parent && length <= GATHERED_BYTES - 8
        : length <= GATHERED_BYTES / 2;
      if (!fits) {
        asKernel(() => writeGathered(state));
        length = 0;
      }
      if (!open || !fits) {
        openName = name;
        openParent = parent;
        const start = asKernel(() => streamFrameStart({ name, parent }));
        if (start.length > GATHERED_BYTES / 2 - 8)
          throw new RangeError(`the request's header is ${start.length} bytes long, too much to echo`);
        set(state.gathered, start, length);
        length += start.length;
      }
      const { read, written } = encodeInto(encoder, rest, subarray(state.gathered, length));
      store(state.control, slot.length, length + written);
      rest = read === rest.length ? "" : slice(rest, read);
      if (rest !== "") asKernel(() => writeGathered(state));
    }
    callWatchdog();
  });
}

/** Write out the text gathered so far. */
export function flushStreams(): void {
  asKernel(() => locked(() => writeGathered(state)));
}

/** Hold off termination while `body` runs: for commits that must be whole. */
export function criticalSection<T>(body: () => T): T {
  enterCritical(state);
  try {
    return body();
  } finally {
    leaveCritical(state);
  }
}

let inspected = 0;

function locked(body: () => void): void {
  for (;;) {
    enterCritical(state);
    while (!tryLock(state)) wait(state.control, slot.lock, 1, 5);
    const latest = load(state.control, slot.inspected);
    if (latest === inspected) break;
    // V8 takes up a message for the inspector wherever it comes to a loop's end: here, as what the message runs may itself write
    // or stop, and nobody can hear of that while we hold the lock.
    inspected = latest;
    unlock(state);
    leaveCritical(state);
  }
  try {
    body();
  } finally {
    unlock(state);
    leaveCritical(state);
  }
}

/** What was gathered leaves within 40 ms. Waking the watchdog takes time: it stays awake while there is something to do. */
function callWatchdog(): void {
  if (exchange(state.control, slot.watching, 2) === 0) notify(state.control, slot.length);
}

/** Put a whole frame behind what was gathered; one that is too large is written at once. */
function gather(frame: Uint8Array): void {
  sealGathered(state);
  if (load(state.control, slot.length) + frame.length > GATHERED_BYTES) writeGathered(state);
  if (frame.length > GATHERED_BYTES) {
    writeAll(frame);
    return;
  }
  const start = load(state.control, slot.length);
  state.gathered.set(frame, start);
  store(state.control, slot.sealed, start + frame.length);
  store(state.control, slot.length, start + frame.length);
}
