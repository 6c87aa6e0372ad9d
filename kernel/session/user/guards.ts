/** Timers and child processes know their cell, so that interrupting it stops them too. */
import { currentWork, ownWork } from "./context.js";
import { InterruptedError } from "./work.js";

/** Wrap the global timers. Those that a cell starts are cleared when it is interrupted; its left-over code can start no new ones. */
export function installGuards(): void {
  const {
    setTimeout: timeout,
    setInterval: interval,
    setImmediate: immediate,
    clearTimeout,
    clearInterval,
    clearImmediate,
  } = globalThis;
  const guard = <A extends unknown[], T extends object>(
    start: (callback: (...args: unknown[]) => void, ...rest: A) => T,
    stop: (timer: T) => void,
    repeats: boolean,
  ) =>
    function (this: unknown, callback: (...args: unknown[]) => void, ...rest: A): T {
      const work = ownWork();
      if (!work || typeof callback !== "function") return start(callback, ...rest);
      if (work.interrupted) throw new InterruptedError();
      const end = (): void => stop(timer);
      const timer = repeats
        ? start(callback, ...rest)
        : start(
            function (this: unknown, ...args: unknown[]) {
              work.running.delete(end);
              return callback.apply(this, args);
            },
            ...rest,
          );
      work.running.add(end);
      return timer;
    };
  const promisify = Symbol.for("nodejs.util.promisify.custom");
  const keep = (original: object, wrapped: object): void => {
    const custom: unknown = (original as Record<symbol, unknown>)[promisify];
    if (custom) Object.defineProperty(wrapped, promisify, { value: custom, configurable: true });
  };
  const replace = (name: string, original: object, wrapped: object): void => {
    keep(original, wrapped);
    Object.defineProperty(wrapped, "name", { value: name, configurable: true });
    Object.defineProperty(globalThis, name, { value: wrapped, writable: true, configurable: true, enumerable: true });
  };
  replace("setTimeout", timeout, guard(timeout as never, clearTimeout as never, false));
  replace("setInterval", interval, guard(interval as never, clearInterval as never, true));
  replace("setImmediate", immediate, guard(immediate as never, clearImmediate as never, false));
}

/** The work whose children these are. */
export const childOwner = currentWork;
