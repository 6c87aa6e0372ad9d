/**
 * What is typed into the debugger's console. While that runs the inspector hears nothing, so an interrupt ends it by a signal.
 */
import process from "node:process";
import { Script } from "node:vm";
import { RUNTIME } from "../cell/rewrite.js";
import { type Shared, slot } from "./shared.js";
import { InterruptedError } from "./work.js";

type Body = () => unknown;

let script: Script | undefined;
let present: Body | undefined;

/** Runs `body` so that SIGINT ends it. @throws {InterruptedError} where it did. */
export function evaluateInterruptibly({ control }: Shared, body: Body): unknown {
  // A process of Windows is ended by what is a signal elsewhere.
  if (present || process.platform === "win32") return body();
  script ??= new Script(`${RUNTIME}.evaluated()`);
  present = body;
  try {
    return script.runInThisContext({ breakOnSigint: true, displayErrors: false });
  } catch (error) {
    throw (error as NodeJS.ErrnoException | undefined)?.code === "ERR_SCRIPT_EXECUTION_INTERRUPTED"
      ? new InterruptedError("the evaluation was interrupted")
      : error;
  } finally {
    forgetEvaluation({ control });
  }
}

/** The body itself; called by the script that a signal ends. */
export function runEvaluated({ control }: Shared): unknown {
  Atomics.store(control, slot.evaluating, 1);
  try {
    return present?.();
  } finally {
    // A signal that is on its way must find the script still running: elsewhere it would end the process.
    while (Atomics.compareExchange(control, slot.evaluating, 1, 0) === 2);
  }
}

/** To be called after JavaScript was terminated. */
export function forgetEvaluation({ control }: Pick<Shared, "control">): void {
  present = undefined;
  Atomics.store(control, slot.evaluating, 0);
}
