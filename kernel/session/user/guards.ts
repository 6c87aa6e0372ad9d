/** Timers, child processes and workers know their cell: its interrupt stops them, and workers' output appears under it. */

import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";
import process from "node:process";
import type { Readable } from "node:stream";
import { URL } from "node:url";
import type { MessagePort, Worker, WorkerOptions } from "node:worker_threads";
import { SYNC_MARK } from "../messages.js";
import { currentWork, ownWork, within } from "./context.js";
import { clear, start } from "./immediates.js";
import { taken } from "./intrinsics.js";
import { criticalSection, send, writeStream } from "./output.js";
import { type Shared, slot } from "./shared.js";
import { InterruptedError, type Work } from "./work.js";

type Callback = (...args: unknown[]) => unknown;
type Start = (callback: Callback, ...rest: unknown[]) => unknown;

const require = createRequire(import.meta.url);
const writeToDescriptor = writeSync;
const { apply } = Reflect;
const addTo = taken(Set.prototype.add);
const deleteFrom = taken(Set.prototype.delete);
let memory: Shared;
let watchdogPort: MessagePort;

/** Wrap the global timers at once, and what is costly to load a little later or when a cell first imports something. */
export function installGuards(shared: Shared, port: MessagePort): void {
  memory = shared;
  watchdogPort = port;
  guardTimers();
  guardStructuredClone();
  guardMicrotasks();
  guardFinalizers();
  plainTimeout(guardBuiltins, 300).unref();
}

const plainTimeout = setTimeout;

function guardTimers(): void {
  const wrap = (
    name: "setTimeout" | "setInterval" | "setImmediate",
    stop: (timer: unknown) => void,
    start?: Start,
  ): void => {
    const original = globalThis[name] as unknown as Start;
    const wrapped = guarded(start ?? original, stop, original, name === "setInterval");
    Object.defineProperty(wrapped, "name", { value: name, configurable: true });
    const promisified = (original as unknown as Record<symbol, unknown>)[promisifyCustom];
    if (typeof promisified === "function")
      Object.defineProperty(wrapped, promisifyCustom, { value: promisified, configurable: true });
    Object.defineProperty(globalThis, name, { value: wrapped, writable: true, configurable: true, enumerable: true });
  };
  wrap("setTimeout", clearTimeout as (timer: unknown) => void);
  wrap("setInterval", clearInterval as (timer: unknown) => void);
  wrap("setImmediate", clear, start);
  Object.defineProperty(clear, "name", { value: "clearImmediate", configurable: true });
  globalThis.clearImmediate = clear;
}

/** A loop of nothing but calls of a native function never looks for an interrupt; a call of a JavaScript function does. */
function guardStructuredClone(): void {
  const original = structuredClone;
  const wrapped: typeof structuredClone = (...args) => original(...args);
  Object.defineProperty(wrapped, "name", { value: "structuredClone", configurable: true });
  globalThis.structuredClone = wrapped;
}

/**
 * Node's own runs each microtask as an async resource: terminated in there, it aborts; and it has left the resource by the time it
 * tells of what the microtask threw. A promise's continuation has neither fault.
 */
function guardMicrotasks(): void {
  const original = queueMicrotask;
  const { nextTick } = process;
  const later = async (callback: () => void): Promise<void> => {
    await undefined;
    try {
      callback();
    } catch (error) {
      nextTick(() => {
        throw error;
      });
    }
  };
  const wrapped: typeof queueMicrotask = (callback) =>
    void (typeof callback === "function" ? later(callback) : original(callback));
  Object.defineProperty(wrapped, "name", { value: "queueMicrotask", configurable: true });
  globalThis.queueMicrotask = wrapped;
}

/** The collector calls back from nowhere. */
function guardFinalizers(): void {
  const Original = FinalizationRegistry;
  const Guarded = class<T> extends Original<T> {
    constructor(cleanUp: (held: T) => void) {
      const work = ownWork();
      super(work && typeof cleanUp === "function" ? (held) => within(work, () => cleanUp(held)) : cleanUp);
    }
  };
  Object.defineProperty(Guarded, "name", { value: "FinalizationRegistry", configurable: true });
  globalThis.FinalizationRegistry = Guarded;
}

const promisifyCustom = Symbol.for("nodejs.util.promisify.custom");

function guarded(start: Start, stop: (timer: unknown) => void, original: Start, repeats: boolean): Start {
  return (callback, ...rest) => {
    // It says what is wrong.
    if (typeof callback !== "function") return original(callback, ...rest);
    const work = ownWork();
    if (work?.interrupted) throw new InterruptedError();
    const end = (): void => stop(timer);
    const once = function (this: unknown, ...args: unknown[]): unknown {
      if (work) deleteFrom(work.running, end);
      return apply(callback, this, args);
    };
    const timer = start(repeats ? callback : once, ...rest);
    if (work) addTo(work.running, end);
    return timer;
  };
}

let guarding = false;

/** Wrap the parts of Node's own modules that start work outside this thread's JavaScript. */
export function guardBuiltins(): void {
  if (guarding) return;
  guarding = true;
  criticalSection(() => {
    guardTimerPromises();
    guardChildren();
    guardWorkers();
    guardConnections();
    guardDescriptors();
    syncBuiltinESMExports();
  });
}

/** A sleeping cell that is interrupted never wakes up. */
function guardTimerPromises(): void {
  const timers = require("node:timers/promises") as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const plain = require("node:timers") as Record<string, unknown>;
  for (const name of ["setTimeout", "setImmediate"] as const) {
    const original = timers[name];
    if (!original) continue;
    const optionsAt = name === "setTimeout" ? 2 : 1;
    timers[name] = (...args) => {
      const work = ownWork();
      if (!work) return original(...args);
      if (work.interrupted) return Promise.reject(new InterruptedError());
      const abort = new AbortController();
      const options = (args[optionsAt] ?? {}) as { signal?: AbortSignal };
      const stop = (): void => abort.abort();
      work.running.add(stop);
      const all = [...args];
      while (all.length < optionsAt) all.push(undefined);
      all[optionsAt] = {
        ...options,
        signal: options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal,
      };
      return new Promise((resolve, reject) => {
        const settle = (how: (value: unknown) => void) => (value: unknown) => {
          work.running.delete(stop);
          if (!abort.signal.aborted) how(value);
        };
        original(...all).then(settle(resolve), settle(reject));
      });
    };
    Object.defineProperty(globalThis[name], promisifyCustom, { value: timers[name], configurable: true });
  }
  for (const name of ["setTimeout", "setInterval", "setImmediate", "clearImmediate"] as const)
    plain[name] = globalThis[name];
}

/** A connection is made outside all work, then handed to its server: there it joins the server's work. */
function guardConnections(): void {
  const { prototype } = (require("node:net") as { Server: { prototype: { emit: Callback } } }).Server;
  const { emit } = prototype;
  prototype.emit = function (this: unknown, ...args: unknown[]): unknown {
    const [event, socket] = args;
    if (event === "connection") (socket as Connection | undefined)?._handle?.asyncReset?.({});
    return emit.apply(this, args);
  };
}

interface Connection {
  readonly _handle?: { asyncReset?(resource: object): void } | null;
}

interface Child {
  stdout?: Readable;
  stderr?: Readable;
  readonly pid?: number;
  kill(signal: NodeJS.Signals): boolean;
  once(event: "exit", listener: () => void): unknown;
}

function guardChildren(): void {
  const children = require("node:child_process") as Record<string, Callback> & {
    ChildProcess: { prototype: { spawn: Callback } };
  };
  for (const name of ["spawnSync", "execSync", "execFileSync"]) {
    const original = children[name];
    if (!original) continue;
    children[name] = (...args) => {
      synchronise(true);
      Atomics.add(memory.control, slot.syncChild, 1);
      try {
        return original(...args);
      } finally {
        Atomics.sub(memory.control, slot.syncChild, 1);
        synchronise(false);
      }
    };
  }
  const { prototype } = children.ChildProcess;
  const spawn = prototype.spawn;
  prototype.spawn = function (this: Child, ...args: unknown[]): unknown {
    const work = ownWork();
    if (work?.interrupted) throw new InterruptedError();
    const options = args[0] as { stdio?: unknown; file?: unknown; args?: unknown[] };
    takeTypeScript(options);
    const inherited = work ? takeInherited(options) : [];
    const result = spawn.apply(this, args);
    for (const name of inherited)
      this[name]?.setEncoding("utf8").on("data", (text: string) => writeStream(name, text, work));
    if (this.pid !== undefined) followChild(this, work);
    return result;
  };
}

/** What a synchronous child writes to our descriptors passes us by: mark in every stream to P where it begins and where it ends. */
function synchronise(begins: boolean): void {
  criticalSection(() => {
    send({ type: "sync", begins, parent: currentWork()?.parent });
    for (const descriptor of [1, 2]) {
      try {
        writeToDescriptor(descriptor, SYNC_MARK);
      } catch {
        // The cell has closed it: then nothing comes from there.
      }
    }
  });
}

const takingTypeScript = ["--import", new URL("../modules/register.js", import.meta.url).href];

function isTypeScript(file: string): boolean {
  return /\.[mc]?tsx?(?:[?#].*)?$/.test(file);
}

/** `fork("./x.ts")` and `spawn("node", ["x.ts"])`: the child loads TypeScript as cells do. */
function takeTypeScript(options: { file?: unknown; args?: unknown[] }): void {
  if (!/(?:^|[\\/])node(?:\.exe)?$/.test(String(options.file)) || !options.args) return;
  const [program, ...rest] = options.args.map(String);
  if (isTypeScript(rest.find((word) => !word.startsWith("-")) ?? ""))
    options.args = [program, ...takingTypeScript, ...rest];
}

/** Output that a child would write to our descriptors comes through us instead, so that it reaches the cell that started the child. */
function takeInherited(options: { stdio?: unknown }): ("stdout" | "stderr")[] {
  const { stdio } = options;
  const all: unknown[] =
    stdio === "inherit" ? ["inherit", "inherit", "inherit"] : Array.isArray(stdio) ? [...stdio] : [];
  const taken = (["stdout", "stderr"] as const).filter((name, index) =>
    [process[name], "inherit", index + 1].includes(all[index + 1] as string),
  );
  for (const name of taken) all[name === "stdout" ? 1 : 2] = "pipe";
  if (taken.length > 0) options.stdio = all;
  return taken;
}

function followChild(child: Child, work: Work | undefined): void {
  const { pid } = child;
  const stop = (): void => {
    child.kill("SIGINT");
    plainTimeout(() => child.kill("SIGTERM"), 500).unref();
  };
  watchdogPort.postMessage({ spawned: pid });
  work?.running.add(stop);
  child.once("exit", () => {
    watchdogPort.postMessage({ exited: pid });
    work?.running.delete(stop);
  });
}

function guardWorkers(): void {
  const threads = require("node:worker_threads") as { Worker: typeof Worker };
  const Original = threads.Worker;
  threads.Worker = class extends Original {
    constructor(file: string | URL, options: WorkerOptions = {}) {
      const typed = options.eval !== true && isTypeScript(String(file));
      super(file, {
        ...options,
        stdout: true,
        stderr: true,
        ...(typed && { execArgv: [...(options.execArgv ?? []), ...takingTypeScript] }),
      });
      const work = currentWork();
      const pass = (name: "stdout" | "stderr", stream: Readable): void => {
        if (!options[name]) stream.setEncoding("utf8").on("data", (text: string) => writeStream(name, text, work));
      };
      pass("stdout", this.stdout);
      pass("stderr", this.stderr);
      const stop = (): void => void this.terminate();
      work?.running.add(stop);
      this.once("exit", () => work?.running.delete(stop));
    }
  };
  Object.defineProperty(threads.Worker, "name", { value: "Worker" });
}

/** Where a write to a descriptor of ours would go past the notebook's streams: it would appear under the wrong cell, or out of order. */
function guardDescriptors(): void {
  const files = require("node:fs") as Record<string, Callback>;
  const streamOf = (fd: unknown): "stdout" | "stderr" | undefined =>
    fd === 1 ? "stdout" : fd === 2 ? "stderr" : undefined;
  const intercept = (name: string, put: (stream: "stdout" | "stderr", args: readonly unknown[]) => unknown): void => {
    const original = files[name];
    if (!original) return;
    const intercepted: Callback = (...args) => {
      const stream = streamOf(args[0]);
      return stream ? put(stream, args) : original(...args);
    };
    // With its name and what util.promisify wants to know of it.
    files[name] = Object.defineProperties(intercepted, Object.getOwnPropertyDescriptors(original));
  };
  const put = (stream: "stdout" | "stderr", bytes: string | Uint8Array): number => {
    process[stream].write(bytes);
    return Buffer.byteLength(bytes);
  };
  const putAll = (stream: "stdout" | "stderr", all: readonly Uint8Array[]): number =>
    all.reduce((sum, bytes) => sum + put(stream, bytes), 0);
  const later = (args: readonly unknown[], written: number): void => {
    const done = args.at(-1);
    if (typeof done === "function") process.nextTick(() => done(null, written, args[1]));
  };
  intercept("writeSync", (stream, args) => put(stream, chunkOf(args)));
  intercept("write", (stream, args) => later(args, put(stream, chunkOf(args))));
  intercept("writevSync", (stream, args) => putAll(stream, args[1] as Uint8Array[]));
  intercept("writev", (stream, args) => later(args, putAll(stream, args[1] as Uint8Array[])));
  for (const name of ["writeFileSync", "appendFileSync"])
    intercept(name, (stream, args) => void put(stream, chunkOf([args[0], args[1], null, encodingOf(args[2])])));
  for (const name of ["writeFile", "appendFile"])
    intercept(name, (stream, args) => {
      put(stream, chunkOf([args[0], args[1], null, encodingOf(args[2])]));
      later(args.slice(2), 0);
    });
}

function encodingOf(options: unknown): unknown {
  return typeof options === "object" && options !== null ? (options as { encoding?: unknown }).encoding : options;
}

/** The bytes that the arguments of `fs.write` speak of: (fd, string, position, encoding) or (fd, bytes, offset or options, length). */
function chunkOf([, data, third, fourth]: readonly unknown[]): string | Uint8Array {
  if (typeof data === "string")
    return typeof fourth === "string" && Buffer.isEncoding(fourth) ? Buffer.from(data, fourth) : data;
  if (!ArrayBuffer.isView(data))
    throw Object.assign(
      new TypeError(`The "buffer" argument must be of type string or an instance of Buffer. Received ${typeof data}`),
      { code: "ERR_INVALID_ARG_TYPE" },
    );
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const given = typeof third === "object" && third !== null ? (third as { offset?: unknown; length?: unknown }) : {};
  const offset = Number(given.offset ?? (typeof third === "number" ? third : 0));
  const length = Number(given.length ?? (typeof fourth === "number" ? fourth : bytes.length - offset));
  return bytes.subarray(offset, offset + length);
}
