/** Everything U tells P: messages, and stream text that is gathered into frames in shared memory. */
import { messageFrame, sealStream, streamFrameStart } from "../frames.js";
import type { PublishType } from "../handle.js";
import type { FromUser } from "../messages.js";
import { currentWork } from "./context.js";
import { asKernel } from "./intrinsics.js";
import { enterCritical, leaveCritical, type Shared, STREAM_BYTES, slot, tryLock, unlock, writeAll } from "./shared.js";
import { InterruptedError, type Work } from "./work.js";

let state: Shared;
const encoder = new TextEncoder();
/** Whose text the frame under construction holds. */
let openName = "";
let openParent: unknown;

/** Connect to the shared memory; must come before anything is sent. */
export function connectOutput(memory: Shared): void {
  state = memory;
}

/** Send a message to P, after the text written before it. */
export function send(message: FromUser, buffers: readonly Uint8Array[] = []): void {
  asKernel(() => {
    const frame = messageFrame(message, buffers);
    locked(() => {
      flush();
      writeAll(frame);
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
  } = {},
): void {
  const work = options.work ?? currentWork();
  send({ type: "publish", msgType, content, metadata: options.metadata ?? {}, parent: work?.parent }, options.buffers);
}

/** Write text to a stream of the current cell. Cheap: P sees it at the next message, when 64 kB are full, or 40 ms later. */
export function writeStream(name: "stdout" | "stderr", text: string, work = currentWork()): void {
  if (work?.interrupted) throw new InterruptedError();
  if (text === "" || work?.silent === true) return;
  locked(() => {
    const parent = work?.parent;
    let rest = text;
    while (rest !== "") {
      let length = Atomics.load(state.control, slot.length);
      if (length > 0 && (openName !== name || openParent !== parent || length > STREAM_BYTES - 8)) {
        flush();
        length = 0;
      }
      if (length === 0) {
        openName = name;
        openParent = parent;
        const start = streamFrameStart({ name, parent });
        if (start.length > STREAM_BYTES / 2)
          throw new RangeError(`the request's header is ${start.length} bytes long, too much to echo`);
        state.stream.set(start);
        length = start.length;
      }
      const { read, written } = encoder.encodeInto(rest, state.stream.subarray(length));
      Atomics.store(state.control, slot.length, length + written);
      rest = read === rest.length ? "" : rest.slice(read);
      if (rest !== "") flush();
    }
    Atomics.notify(state.control, slot.length);
  });
}

/** Write out the text gathered so far. */
export function flushStreams(): void {
  locked(flush);
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
    while (!tryLock(state)) Atomics.wait(state.control, slot.lock, 1, 5);
    const latest = Atomics.load(state.control, slot.inspected);
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

function flush(): void {
  const length = Atomics.load(state.control, slot.length);
  if (length === 0) return;
  sealStream(state.stream, length);
  writeAll(state.stream.subarray(0, length));
  Atomics.store(state.control, slot.length, 0);
}
