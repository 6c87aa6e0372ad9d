/** process.stdout, process.stderr and console of the user, written into the notebook. */

import { Buffer } from "node:buffer";
import { Console } from "node:console";
import process from "node:process";
import { Writable } from "node:stream";
import type { Worker } from "node:worker_threads";
import { currentWork } from "./context.js";
import { publish, writeStream } from "./output.js";

type Name = "stdout" | "stderr";

/** Replace the process's streams and the console's methods. */
export function installStreams(watchdog: Worker): void {
  const streams = { stdout: notebookStream("stdout"), stderr: notebookStream("stderr") };
  for (const name of ["stdout", "stderr"] as const) {
    Object.defineProperty(process, name, { get: () => streams[name], configurable: true, enumerable: true });
  }
  const notebook = new Console({ stdout: streams.stdout, stderr: streams.stderr, colorMode: true });
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

/** A writable stream whose `write` takes the short way: text goes to the notebook before it returns. */
function notebookStream(name: Name): Writable {
  const decoder = new TextDecoder();
  const text = (chunk: unknown, encoding: BufferEncoding): string => {
    if (typeof chunk === "string")
      return encoding && encoding !== "utf8" && Buffer.isEncoding(encoding)
        ? Buffer.from(chunk, encoding).toString()
        : chunk;
    if (chunk instanceof Uint8Array) return decoder.decode(chunk, { stream: true });
    throw new TypeError(`process.${name}.write takes a string or bytes, not ${chunk === null ? "null" : typeof chunk}`);
  };
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, encoding, done) {
      writeStream(name, text(chunk, encoding));
      done();
    },
  });
  stream.write = (chunk: unknown, encoding?: unknown, callback?: unknown): boolean => {
    writeStream(name, text(chunk, encoding as BufferEncoding), currentWork());
    const done = typeof encoding === "function" ? encoding : callback;
    if (typeof done === "function") process.nextTick(done as () => void);
    return true;
  };
  stream.end = () => stream;
  return Object.assign(stream, {
    fd: name === "stdout" ? 1 : 2,
    isTTY: false,
    columns: 120,
    rows: 40,
    hasColors: () => true,
    getColorDepth: () => 8,
    getWindowSize: () => [120, 40],
    _type: "pipe",
  });
}
