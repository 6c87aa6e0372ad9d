/** The names that a cell sees beside JavaScript's and Node's own. */

import { performance } from "node:perf_hooks";
import type { MessagePort } from "node:worker_threads";
import type { InputOptions, KernelGlobals } from "../../index.js";
import { RUNTIME } from "../cell/rewrite.js";
import { notebookImport, notebookMeta, staticImport } from "../modules/notebookImport.js";
import { notebookRequire } from "../modules/notebookRequire.js";
import { bundleOf, display, displayables } from "../rich/display.js";
import { freeze, importNamed, plain, rememberEnvironment } from "./bindings.js";
import { leaveCallbacks } from "./carrier.js";
import { comms } from "./comms.js";
import { currentWork, forgetEntered, noteTerminated, ownWork } from "./context.js";
import { describeError } from "./errors.js";
import { evaluateInterruptibly, forgetEvaluation, runEvaluated } from "./evaluation.js";
import { installGuards } from "./guards.js";
import { repairImmediates } from "./immediates.js";
import { inputAsync, promptSync } from "./input.js";
import { asKernel, leaveKernel } from "./intrinsics.js";
import { criticalSection, flushStreams, send, writeStream } from "./output.js";
import { type Shared, slot } from "./shared.js";

const { defineProperty } = Reflect;

const named: KernelGlobals = {
  display,
  // A browser's second argument, the text to start with, is something no front end takes.
  prompt: (text: unknown = "", options) => promptSync(String(text), isPassword(options)),
  input: (text: unknown = "", options) => inputAsync(String(text), isPassword(options)),
  Jupyter: Object.freeze({ comms, display, ...displayables }),
};

function isPassword(options: string | InputOptions | undefined): boolean {
  return typeof options === "object" && options?.password === true;
}

/** Define them. All may be shadowed by a cell's own declarations. */
export function installGlobals(shared: Shared, port: MessagePort): void {
  hidden(RUNTIME, {
    freeze,
    imported: importNamed,
    fn: nameFunction,
    beforeTermination: () => {
      noteTerminated();
      leaveKernel();
      leaveCallbacks();
      // Nothing else may run, and enter something, before the termination itself: what follows at once is dispatched at once.
      // (Spinning, not waiting: what is terminated may itself be inside Atomics.wait, which cannot be entered twice.)
      const patience = performance.now() + 100;
      while (Atomics.load(shared.control, slot.posted) === 0 && performance.now() < patience);
    },
    attempt,
    evaluate: (body: () => unknown) => evaluateInterruptibly(shared, body),
    evaluated: () => runEvaluated(shared),
    afterTermination: () => {
      forgetEvaluation(shared);
      forgetEntered();
      repairImmediates();
    },
    static: (...request: Parameters<typeof staticImport>) => asKernel(() => staticImport(...request)),
    import: (...request: Parameters<typeof notebookImport>) => asKernel(() => notebookImport(...request)),
    get meta() {
      return notebookMeta();
    },
    bundle: bundleOf,
    value: (value: unknown) => {
      const work = currentWork();
      if (work) work.marked = [value];
      return value;
    },
  });
  for (const [name, value] of Object.entries(named)) hidden(name, value);
  lazily("require", notebookRequire);
  lazily("__dirname", () => process.cwd());
  lazily("__filename", () => notebookMeta().filename);
  Object.defineProperty(globalThis, Symbol.for("Jupyter.abortSignal"), {
    get: () => {
      const work = currentWork();
      if (work) work.signalTaken = true;
      return work?.abort.signal;
    },
    configurable: true,
  });
  Object.defineProperty(globalThis, Symbol.for("Jupyter.criticalSection"), {
    value: criticalSection,
    configurable: true,
  });
  rememberEnvironment();
  installGuards(shared, port);
  const ending = process as unknown as { reallyExit(code?: number): never };
  const exit = ending.reallyExit;
  ending.reallyExit = (code?: number) => {
    const work = ownWork() ?? currentWork();
    const where = /Cell In\[\d+\]\S*\d/.exec(new Error().stack ?? "")?.[0];
    send({
      type: "exiting",
      reason: `process.exit(${code ?? 0}) was called${work ? ` ${where ? `at ${where}` : `by cell In[${work.executionCount}]`}` : ""}`,
    });
    return exit.call(process, code);
  };
  // What ends this process at once leaves no time for the last lines.
  for (const name of ["abort", "kill"] as const) {
    const end = process[name] as (...args: unknown[]) => never;
    const flushed = (...args: unknown[]): never => {
      flushStreams();
      return end.apply(process, args);
    };
    Object.defineProperty(flushed, "name", { value: name });
    Object.defineProperty(process, name, { value: flushed, writable: true, configurable: true, enumerable: true });
  }
}

function hidden(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

function lazily(name: string, make: () => unknown): void {
  Object.defineProperty(globalThis, name, {
    get: make,
    set: (value) => hidden(name, value),
    configurable: true,
    enumerable: false,
  });
}

/** Evaluates a part of a breakpoint; true where it fails, which is said. */
function attempt(what: string, body: () => unknown): unknown {
  try {
    return body();
  } catch (error) {
    const { ename, evalue } = asKernel(() => describeError(error));
    writeStream("stderr", `${what} failed: ${ename}: ${evalue}\n`);
    return true;
  }
}

/** A top-level function was renamed so that its name means the newest binding; give it its own name back. */
function nameFunction(name: string, made: object): object {
  defineProperty(made, "name", plain({ value: name, configurable: true }));
  return made;
}
