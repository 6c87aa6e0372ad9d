/** process.stdout, process.stderr and console of the user, written into the notebook. */

import { Buffer } from "node:buffer";
import { Console } from "node:console";
import process from "node:process";
import { Writable } from "node:stream";
import type { Worker } from "node:worker_threads";
import { currentWork } from "./context.js";
import { publish, writeStream } from "./output.js";

type Name = "stdout" | "stderr";
/** Taken before any cell can replace it. */
const { get: read } = Reflect;

/** Replace the process's streams and the console's methods. */
export function installStreams(watchdog: Worker): void {
  const streams = { stdout: notebookStream("stdout"), stderr: notebookStream("stderr") };
  for (const name of ["stdout", "stderr"] as const) {
    Object.defineProperty(process, name, { get: () => streams[name], configurable: true, enumerable: true });
  }
  const notebook = new Console({
    stdout: asTerminal(streams.stdout),
    stderr: asTerminal(streams.stderr),
    // What a stopped cell left running ends at its next line.
    ignoreErrors: false,
  });
  for (const key of Object.keys(notebook) as (keyof Console)[]) {
    if (typeof notebook[key] === "function")
      Object.defineProperty(console, key, {
        value: notebook[key],
        writable: true,
        configurable: true,
        enumerable: true,
      });
  }
  console.clear = () => publish("clear_output", { wait: false });
  watchdog.stderr?.on("data", (text: Buffer) => writeStream("stderr", String(text)));
}

/** What `console` writes to: it colours as in a terminal, though programs that ask whether they may move the cursor are told no. */
function asTerminal(stream: NotebookStream): NotebookStream {
  return new Proxy(stream, { get: (target, key) => key === "isTTY" || read(target, key) });
}

type NotebookStream = Writable & { readonly fd: number; readonly isTTY: boolean };

/** A writable stream whose `write` takes the short way: text goes to the notebook before it returns. */
function notebookStream(name: Name): NotebookStream {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let partial = false;
  const text = (chunk: string | Uint8Array, encoding: unknown): string => {
    if (typeof chunk === "string" && (!encoding || encoding === "utf8" || !isEncoding(encoding)))
      return partial ? rest() + chunk : chunk;
    partial = true;
    return decoder.decode(typeof chunk === "string" ? Buffer.from(chunk, encoding as BufferEncoding) : chunk, {
      stream: true,
    });
  };
  /** What an unfinished character left in the decoder. */
  const rest = (): string => {
    partial = false;
    return decoder.decode();
  };
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, encoding, done) {
      writeStream(name, text(chunk, encoding));
      done();
    },
  });
  const { write } = stream;
  stream.write = (chunk: unknown, encoding?: unknown, callback?: unknown): boolean => {
    // Node's own complaint, or its way with a wrong encoding.
    if (!isText(chunk) || (typeof encoding === "string" && !isEncoding(encoding)))
      return write.call(stream, chunk, encoding as BufferEncoding);
    writeStream(name, text(chunk, encoding), currentWork());
    const done = typeof encoding === "function" ? encoding : callback;
    if (typeof done === "function") process.nextTick(done as () => void);
    return true;
  };
  // Ends nothing: the next cell writes to it as well.
  stream.end = (...args: unknown[]) => {
    if (isText(args[0])) stream.write(args[0], typeof args[1] === "string" ? (args[1] as BufferEncoding) : "utf8");
    const done = args.find((arg) => typeof arg === "function");
    if (done) process.nextTick(done as () => void);
    return stream;
  };
  return Object.assign(stream, {
    fd: name === "stdout" ? 1 : 2,
    isTTY: false,
    columns: 120,
    rows: 40,
    hasColors: (count: unknown = 16) => 2 ** colorDepth() >= (typeof count === "number" ? count : 16),
    getColorDepth: colorDepth,
    getWindowSize: () => [120, 40],
    _type: "pipe",
  });
}

function isText(chunk: unknown): chunk is string | Uint8Array {
  return typeof chunk === "string" || chunk instanceof Uint8Array;
}

function isEncoding(encoding: unknown): boolean {
  return typeof encoding === "string" && Buffer.isEncoding(encoding);
}

/** Front ends show 256 colours, unless the environment says otherwise in one of the ways that Node listens to. */
function colorDepth(): number {
  const { FORCE_COLOR: force, NO_COLOR: none, NODE_DISABLE_COLORS: disabled } = process.env;
  if (force !== undefined) return { "": 4, "1": 4, true: 4, "2": 8, "3": 24 }[force] ?? 1;
  return none || disabled ? 1 : 8;
}
