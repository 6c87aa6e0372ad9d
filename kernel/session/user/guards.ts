/** Timers, child processes and workers know their cell: its interrupt stops them, and workers' output appears under it. */

import { createRequire, syncBuiltinESMExports } from "node:module";
import process from "node:process";
import type { Readable } from "node:stream";
import type { MessagePort, Worker, WorkerOptions } from "node:worker_threads";
import { currentWork, ownWork } from "./context.js";
import { criticalSection, flushStreams, send, writeStream } from "./output.js";
import { type Shared, slot } from "./shared.js";
import { InterruptedError, type Work } from "./work.js";

type Callback = (...args: unknown[]) => unknown;
type Start = (callback: Callback, ...rest: unknown[]) => unknown;

const require = createRequire(import.meta.url);
let memory: Shared;
let watchdogPort: MessagePort;

/** Wrap the global timers at once, and what is costly to load a little later or when a cell first imports something. */
export function installGuards(shared: Shared, port: MessagePort): void {
  memory = shared;
  watchdogPort = port;
  guardTimers();
  plainTimeout(guardBuiltins, 300).unref();
}

const plainTimeout = setTimeout;

function guardTimers(): void {
  const wrap = (name: "setTimeout" | "setInterval" | "setImmediate", stop: (timer: unknown) => void): void => {
    const start = globalThis[name] as unknown as Start;
    const wrapped = guarded(start, stop, name);
    Object.defineProperty(wrapped, "name", { value: name, configurable: true });
    const promisified = (start as unknown as Record<symbol, unknown>)[promisifyCustom];
    if (typeof promisified === "function")
      Object.defineProperty(wrapped, promisifyCustom, { value: promisified, configurable: true });
    Object.defineProperty(globalThis, name, { value: wrapped, writable: true, configurable: true, enumerable: true });
  };
  wrap("setTimeout", clearTimeout as (timer: unknown) => void);
  wrap("setInterval", clearInterval as (timer: unknown) => void);
  wrap("setImmediate", clearImmediate as (timer: unknown) => void);
}

let runningImmediate: { _destroyed?: boolean; _onImmediate?: () => void } | undefined;

/**
 * To be called after JavaScript was terminated. An immediate that was terminated stays at the head of Node's list as one that has run,
 * over which Node then stumbles for ever; made to look as if it had still to run, it is passed.
 */
export function repairImmediates(): void {
  if (!runningImmediate) return;
  runningImmediate._destroyed = false;
  runningImmediate._onImmediate = () => undefined;
  runningImmediate = undefined;
}

const promisifyCustom = Symbol.for("nodejs.util.promisify.custom");

function guarded(
  start: Start,
  stop: (timer: unknown) => void,
  kind: "setTimeout" | "setInterval" | "setImmediate",
): Start {
  return (callback, ...rest) => {
    if (typeof callback !== "function") return start(callback, ...rest);
    const work = ownWork();
    if (work?.interrupted) throw new InterruptedError();
    const end = (): void => stop(timer);
    const once = function (this: unknown, ...args: unknown[]): unknown {
      work?.running.delete(end);
      if (kind !== "setImmediate") return callback.apply(this, args);
      runningImmediate = timer as NonNullable<typeof runningImmediate>;
      try {
        return callback.apply(this, args);
      } finally {
        runningImmediate = undefined;
      }
    };
    const timer = start(kind === "setInterval" ? callback : once, ...rest);
    work?.running.add(end);
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
  for (const name of ["setTimeout", "setInterval", "setImmediate"] as const) plain[name] = globalThis[name];
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
      flushStreams();
      Atomics.add(memory.control, slot.syncChild, 1);
      try {
        return original(...args);
      } finally {
        Atomics.sub(memory.control, slot.syncChild, 1);
        send({ type: "inherited" });
      }
    };
  }
  const { prototype } = children.ChildProcess;
  const spawn = prototype.spawn;
  prototype.spawn = function (this: Child, ...args: unknown[]): unknown {
    const work = ownWork();
    if (work?.interrupted) throw new InterruptedError();
    const options = args[0] as { stdio?: unknown };
    const inherited = work ? takeInherited(options) : [];
    const result = spawn.apply(this, args);
    for (const name of inherited)
      this[name]?.setEncoding("utf8").on("data", (text: string) => writeStream(name, text, work));
    if (this.pid !== undefined) followChild(this, work);
    return result;
  };
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
      super(file, { ...options, stdout: true, stderr: true });
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
