/**
 * Carries a cell's `Work` through asynchronous code. Where Node keeps the context itself (AsyncContextFrame, Node 24, or 22 with a flag)
 * this is AsyncLocalStorage. On older Nodes AsyncLocalStorage pushes every promise continuation on a native stack, and the process aborts
 * when a continuation is terminated ("async hook stack has become corrupted"); so there it is done with hooks that push nothing.
 */

import { AsyncLocalStorage, createHook, executionAsyncResource } from "node:async_hooks";
import process from "node:process";
import type { Work } from "./work.js";

interface Carrier {
  run<T>(work: Work, body: () => T): T;
  get(): Work | undefined;
  of(promise: object): Work | undefined;
  /** Forget what terminated code had entered. */
  reset(): void;
}

/** Flags of U's node that the carrier relies on. */
export function carrierFlags(): string[] {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return [
    "--no-force-async-hooks-checks",
    ...(major === 22 && minor >= 15 ? ["--experimental-async-context-frame"] : []),
  ];
}

/** The carrier for this Node. */
export function contextCarrier(): Carrier {
  const major = Number(process.versions.node.split(".")[0]);
  return major >= 24 || process.execArgv.includes("--experimental-async-context-frame")
    ? frameCarrier()
    : hookCarrier();
}

function frameCarrier(): Carrier {
  guardPromiseHooks([]);
  const storage = new AsyncLocalStorage<Work>();
  return {
    run: (work, body) => storage.run(work, body),
    get: () => storage.getStore(),
    of: () => undefined,
    reset: () => storage.enterWith(undefined as never),
  };
}

function hookCarrier(): Carrier {
  // Without a prototype, into which a cell may put anything.
  const entered: (Work | undefined)[] = [];
  Reflect.setPrototypeOf(entered, null);
  let depth = 0;
  const enter = (work: Work | undefined): void => {
    entered[depth++] = work;
  };
  const leave = (): void => {
    if (depth > 0) entered[--depth] = undefined;
  };
  const get = (): Work | undefined => (depth > 0 ? entered[depth - 1] : Stamp.of(executionAsyncResource()));
  const startOthers = guardPromiseHooks([
    (promise) => Stamp.put(promise, get()),
    (promise) => enter(Stamp.of(promise)),
    leave,
  ]);
  createHook({
    init(_id, _type, _trigger, resource) {
      Stamp.put(resource, get());
    },
  }).enable();
  startOthers();
  return {
    run(work, body) {
      enter(work);
      try {
        return body();
      } finally {
        leave();
      }
    },
    get,
    of: (promise) => Stamp.of(promise),
    reset() {
      while (depth > 0) leave();
      leaveCallbacks();
    },
  };
}

const Given = class {
  constructor(given: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is how a private field gets onto an object of another class, where nobody sees it
    return given;
  }
};

/** Puts a value on any object, invisibly and without the cost that a WeakMap has per promise. */
class Stamp extends Given {
  #work: Work | undefined;
  private constructor(target: object, work: Work | undefined) {
    super(target);
    this.#work = work;
  }
  static put(target: object, work: Work | undefined): void {
    if (#work in target) (target as Stamp).#work = work;
    else new Stamp(target, work);
  }
  /** A termination leaves Node without a present resource. */
  static of(target: object | undefined): Work | undefined {
    return target !== undefined && #work in target ? (target as Stamp).#work : undefined;
  }
}

type PromiseHook = ((promise: object) => unknown) | undefined;
type PromiseHooks = readonly [init?: PromiseHook, before?: PromiseHook, after?: PromiseHook, settled?: PromiseHook];

/**
 * Sets promise hooks of ours, which those that Node sets from now on join. Node's put every continuation on a native stack, and the
 * process aborts over what terminated code has left there; so they are kept out where nobody needs them: until the returned function
 * is called, those that come with a hook of ours, and ever those of the inspector, as V8 follows promises by itself.
 */
function guardPromiseHooks(ours: PromiseHooks): () => void {
  const native = asyncWrap();
  if (!native) return () => undefined;
  const { async_hook_fields: fields, constants } = native;
  const set = native.setPromiseHooks.bind(native);
  let others = false;
  const both = (index: 0 | 1 | 2, theirs: PromiseHook): PromiseHook => {
    const own = ours[index];
    if (!own || !theirs) return own ?? theirs;
    const [first, second] = index === 2 ? [theirs, own] : [own, theirs];
    return (...promise) => {
      first(...promise);
      second(...promise);
    };
  };
  native.setPromiseHooks = (...theirs) => {
    // Both make Node abort over what terminated code has entered: the one when it leaves it, the other at its next callback.
    fields[constants.kCheck] = 0;
    fields[constants.kTotals] = 0;
    if (others && !isInspector()) set(both(0, theirs[0]), both(1, theirs[1]), both(2, theirs[2]), theirs[3]);
  };
  if (ours.length > 0) set(...ours);
  else others = true;
  return () => {
    others = true;
  };
}

/** Whether the inspector's hook has led here. */
function isInspector(): boolean {
  const { stackTraceLimit } = Error;
  const prepare = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
  try {
    Error.stackTraceLimit = 30;
    const value = (_error: Error, sites: NodeJS.CallSite[]): boolean =>
      sites.some((site) => site.getFileName() === "node:internal/inspector_async_hook");
    Object.defineProperty(Error, "prepareStackTrace", { value, configurable: true });
    const here: { stack?: unknown } = {};
    Error.captureStackTrace(here);
    return here.stack === true;
  } finally {
    if (prepare) Object.defineProperty(Error, "prepareStackTrace", prepare);
    else Reflect.deleteProperty(Error, "prepareStackTrace");
    Error.stackTraceLimit = stackTraceLimit;
  }
}

let wrap: AsyncWrap | undefined;

/**
 * Leave every callback in Node's books, though one still runs. Called inside the JavaScript that is terminated next: what it has entered
 * would never be left, and Node aborts when it finds that.
 */
export function leaveCallbacks(): void {
  wrap ??= asyncWrap();
  wrap?.clearAsyncIdStack();
}

interface AsyncWrap {
  readonly async_hook_fields: Uint32Array;
  readonly constants: { readonly kCheck: number; readonly kTotals: number };
  clearAsyncIdStack(): void;
  setPromiseHooks(...hooks: PromiseHooks): void;
}

/** Node's own switches: of the check that aborts (which enabling a hook turns on whatever the flag says) and of V8's promise hooks. */
function asyncWrap(): AsyncWrap | undefined {
  const quiet = process.noDeprecation;
  try {
    process.noDeprecation = true;
    return (process as unknown as { binding(name: string): AsyncWrap }).binding("async_wrap");
  } catch {
    return undefined;
  } finally {
    process.noDeprecation = quiet ?? false;
  }
}
