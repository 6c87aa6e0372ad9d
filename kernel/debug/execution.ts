import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Breakpoints } from "./breakpoints.js";
import {
  type CallFrame,
  type GoOn,
  type Inspector,
  type Location,
  type Paused,
  type RemoteObject,
  thrownBy,
} from "./cdp.js";
import { NOT_PAUSED, type Scripts, type SourcePosition } from "./scripts.js";
import { isInsideTry } from "./syntax.js";
import { describe } from "./variables.js";

/** JavaScript of a session runs in one thread. */
export const THREAD = 1;
/** A step that meets only code that is not shown gives up after so many tries. */
const STEP_LIMIT = 500;
/** How long V8 may take to go on after it was told to, and to stop; it is told again then, as it has been seen to miss it. */
const PATIENCE_MS = 200;
const REPEATS = 10;

export const EXCEPTION_FILTERS: DebugProtocol.ExceptionBreakpointsFilter[] = [
  {
    filter: "raised",
    label: "Raised Exceptions",
    default: false,
    description: "Stop at every throw, also when it is caught",
  },
  {
    filter: "uncaught",
    label: "Uncaught Exceptions",
    default: false,
    description: "Stop at a throw that no catch of the code on the stack will get",
  },
];

/** A frame of the user's code. Those of callers that have ended, as of a timer's callback, have no `call`: no variables. */
export interface Frame {
  readonly id: number;
  readonly name: string;
  readonly place: SourcePosition | undefined;
  readonly call: CallFrame | undefined;
  /** Whether it runs the statements of a cell itself. */
  readonly cellLevel: boolean;
}

interface Stop {
  readonly frames: readonly Frame[];
  readonly exception: RemoteObject | undefined;
}

type StepMethod = Exclude<GoOn, "Debugger.resume">;
type Emit = (event: string, body: Readonly<Record<string, unknown>>) => void;

/** Where the session's code stands: which of V8's pauses are stops for the user, and how it goes on from one. */
export class Execution {
  readonly #inspector: Inspector;
  readonly #scripts: Scripts;
  readonly #breakpoints: Breakpoints;
  readonly #emit: Emit;
  /** What changes V8's breakpoints waits for what was to change them before. */
  readonly #inOrder: <T>(work: () => Promise<T>) => Promise<T>;
  justMyCode = true;
  #filters: readonly string[] = [];
  /** V8's present pause, whether the user is told of it or not. */
  #paused: Paused | undefined;
  readonly #onResumed = new Set<() => void>();
  #stop: Stop | undefined;
  /** What the user asked V8 to do; decides whether the next pause is shown. */
  #step: { method: StepMethod; from: SourcePosition | undefined; depth: number; tries: number } | undefined;
  #pausing = false;
  /** V8's breakpoint at the beginning of the cell that is to be paused. */
  #entry: string | undefined;
  #frameIds = 1;

  constructor(parts: {
    readonly inspector: Inspector;
    readonly scripts: Scripts;
    readonly breakpoints: Breakpoints;
    readonly emit: Emit;
    readonly inOrder: <T>(work: () => Promise<T>) => Promise<T>;
  }) {
    this.#inspector = parts.inspector;
    this.#scripts = parts.scripts;
    this.#breakpoints = parts.breakpoints;
    this.#emit = parts.emit;
    this.#inOrder = parts.inOrder;
  }

  get stopped(): boolean {
    return this.#stop !== undefined;
  }

  /** Frames of the present stop, innermost first. */
  get frames(): readonly Frame[] {
    return this.#stop?.frames ?? [];
  }

  /** @throws where there is no such frame. */
  frame(frameId: number): Frame {
    const stop = this.#stopOrThrow();
    const found = stop.frames.find(({ id }) => id === frameId);
    if (found === undefined)
      throw new Error(`frame ${frameId} is not known (any more): expected an id of the latest stackTrace`);
    return found;
  }

  /** @throws where the session is not stopped at an exception. */
  exceptionInfo(): DebugProtocol.ExceptionInfoResponse["body"] {
    const exception = this.#stop?.exception;
    if (exception === undefined) throw new Error("the session is not stopped at an exception");
    const typeName = exception.className ?? exception.type;
    const description = describe(exception);
    return {
      exceptionId: typeName,
      description,
      breakMode: this.#filters.includes("raised") ? "always" : "unhandled",
      details: { typeName, message: description, stackTrace: exception.description ?? "" },
    };
  }

  // ---- what the user asks -----------------------------------------------------------------------------------------

  /** Which exceptions stop. V8 is told by `watch`. */
  set filters(filters: readonly string[]) {
    this.#filters = filters;
  }

  /**
   * Tells V8 where to pause. It calls caught what the kernel catches around a cell: it is asked for every throw, also of what the
   * user's code calls, and what is uncaught is decided here.
   */
  async watch(): Promise<void> {
    const throws = this.#filters.length > 0;
    const { kernel, node, packages } = NOT_PAUSED;
    const patterns = [kernel, ...(throws ? [] : [node]), ...(throws || !this.justMyCode ? [] : [packages])];
    await Promise.all([
      this.#inspector.call("Debugger.setBlackboxPatterns", { patterns }),
      this.#inspector.call("Debugger.setPauseOnExceptions", { state: throws ? "all" : "none" }),
    ]);
  }

  /** Stops at the next statement of the user's; where nothing runs, at the first of the next cell. */
  async pause(): Promise<undefined> {
    if (this.#stop !== undefined) return;
    this.#pausing = true;
    await this.#breakpoints.wait(true);
    await this.#inspector.call("Debugger.pause", {});
    let repeats = 0;
    const again = setInterval(() => {
      if (!this.#pausing || ++repeats > REPEATS) clearInterval(again);
      else if (this.#paused === undefined) this.#inspector.call("Debugger.pause", {}).catch(() => undefined);
    }, PATIENCE_MS).unref();
  }

  /** @throws where the session is not stopped. */
  async leave(method: GoOn): Promise<undefined> {
    const { frames } = this.#stopOrThrow();
    this.#step =
      method === "Debugger.resume" ? undefined : { method, from: frames[0]?.place, depth: callsOf(frames), tries: 0 };
    // The stop is over when the user says so: V8's word of it may come after what the session does next.
    this.#endStop();
    await this.#tell(method);
  }

  /** Lets the session run, whatever it waits for, and forgets what the user asked. */
  async release(): Promise<void> {
    this.#filters = [];
    this.#step = undefined;
    this.#pausing = false;
    await this.#inspector.call("Debugger.setSkipAllPauses", { skip: true });
    await this.#tell("Debugger.resume").catch(() => undefined);
    this.#paused = undefined;
    this.#endStop();
  }

  /** Settles when V8 has gone on. Rejects where it was not paused. */
  async #tell(method: GoOn): Promise<void> {
    const resumed = new Promise<true>((resolve) => {
      this.#onResumed.add(() => resolve(true));
    });
    await this.#inspector.call(method, {});
    for (let repeats = 0; repeats < REPEATS; repeats++) {
      const late = new Promise<false>((resolve) => setTimeout(resolve, PATIENCE_MS, false).unref());
      if (await Promise.race([resumed, late])) return;
      // A step is lost then: V8 does not always take one from where it waits before a script. An error says that it has gone on.
      await this.#inspector.call("Debugger.resume", {});
    }
  }

  /** The process of the session is gone, and every pause with it. */
  lost(): void {
    this.#step = undefined;
    this.#pausing = false;
    this.resumed();
  }

  #stopOrThrow(): Stop {
    if (this.#stop === undefined) throw new Error("the session is not stopped: wait for a stopped event");
    return this.#stop;
  }

  #endStop(): void {
    if (this.#stop === undefined) return;
    this.#stop = undefined;
    this.#emit("continued", { threadId: THREAD, allThreadsContinued: true });
  }

  // ---- what V8 says -----------------------------------------------------------------------------------------------

  resumed(): void {
    this.#paused = undefined;
    for (const tell of this.#onResumed) tell();
    this.#onResumed.clear();
    this.#endStop();
  }

  paused(paused: Paused): void {
    this.#paused = paused;
    const judged = paused.reason === "instrumentation" ? this.#beforeScript(paused) : this.#judge(paused);
    judged.catch(() => this.#goOn(paused, "Debugger.resume"));
  }

  /** Goes on without a word to the front end: the pause was not one the user asked for. Nothing is done where it has ended meanwhile. */
  async #goOn(paused: Paused, method: GoOn): Promise<void> {
    if (this.#paused !== paused) return;
    this.#paused = undefined;
    await this.#tell(method).catch(() => undefined);
  }

  async #beforeScript(paused: Paused): Promise<void> {
    const scriptId = paused.data?.scriptId ?? paused.callFrames[0]?.location.scriptId ?? "";
    await this.#inOrder(() => this.#breakpoints.place(scriptId));
    // A step from here does not always lead on; a breakpoint does.
    if (this.#pausing && this.#scripts.isCell(scriptId)) this.#entry = await this.#breakpoints.enter(scriptId);
    await this.#goOn(paused, this.#step?.method ?? "Debugger.resume");
  }

  async #judge(paused: Paused): Promise<void> {
    const exception = thrownBy(paused);
    const hit = paused.hitBreakpoints?.some((id) => id !== this.#entry) === true;
    const top = paused.callFrames[0];
    const topShown = top !== undefined && this.#isShown(top.location);
    const frames = this.#framesOf(paused);
    if (exception !== undefined && !(callsOf(frames) > 0 && (await this.#isWanted(paused, topShown))))
      return this.#goOn(paused, this.#step?.method ?? "Debugger.resume");
    if (exception === undefined && !hit) {
      const further = this.#further(frames, topShown);
      if (further === "Debugger.resume") this.#step = undefined;
      if (further !== undefined) return this.#goOn(paused, further);
    }
    if (this.#paused !== paused) return;
    const reason = exception !== undefined ? "exception" : hit ? "breakpoint" : this.#reason();
    this.#step = undefined;
    this.#stop = { frames, exception };
    const description = exception === undefined ? undefined : describe(exception);
    this.#emit("stopped", {
      reason,
      threadId: THREAD,
      allThreadsStopped: true,
      preserveFocusHint: false,
      ...(description === undefined ? {} : { description, text: description }),
      ...(hit ? { hitBreakpointIds: this.#breakpoints.idsOf(paused.hitBreakpoints ?? []) } : {}),
    });
    if (this.#pausing) {
      this.#pausing = false;
      await this.#inOrder(() => this.#breakpoints.wait()).catch(() => undefined);
    }
  }

  /** How to go on where a step has not come to its end yet, or where nothing can be shown. */
  #further(frames: readonly Frame[], topShown: boolean): GoOn | undefined {
    const depth = callsOf(frames);
    const step = this.#step;
    if (depth === 0) return "Debugger.resume";
    if (step === undefined || ++step.tries >= STEP_LIMIT) return undefined;
    if (!topShown) return "Debugger.stepOut";
    const place = frames[0]?.place;
    const sameLine = place?.line === step.from?.line && place?.path === step.from?.path && depth === step.depth;
    // Where it began: the next turn of a loop that has one line.
    const again = place?.column === step.from?.column;
    return sameLine && !again && step.method !== "Debugger.stepOut" ? step.method : undefined;
  }

  /** Of a stop without breakpoint or exception; a `debugger` statement is a breakpoint, too. */
  #reason(): "step" | "pause" | "breakpoint" {
    if (this.#step !== undefined) return "step";
    return this.#pausing ? "pause" : "breakpoint";
  }

  #framesOf({ callFrames, asyncStackTrace }: Paused): Frame[] {
    const frames: Frame[] = [];
    for (const call of callFrames) {
      if (!this.#isShown(call.location)) continue;
      const place = this.#scripts.original(call.location);
      const cellLevel = this.#isCellLevel(call);
      const name = this.#nameOf(call.functionName, place, cellLevel);
      frames.push({ id: this.#frameIds++, name, place, call, cellLevel });
    }
    for (let trace = asyncStackTrace; trace !== undefined; trace = trace.parent) {
      for (const location of trace.callFrames) {
        if (!this.#isShown(location)) continue;
        const place = this.#scripts.original(location);
        const cellLevel = this.#scripts.isCell(location.scriptId) && location.functionName === "";
        const name = `async ${this.#nameOf(location.functionName, place, cellLevel)}`;
        frames.push({ id: this.#frameIds++, name, place, call: undefined, cellLevel });
      }
    }
    return frames;
  }

  #nameOf(functionName: string, place: SourcePosition | undefined, cellLevel: boolean): string {
    const name = functionName.replaceAll("\u200c", "");
    if (name !== "") return name;
    return cellLevel && place !== undefined ? this.#scripts.nameOf(place.path) : "(anonymous)";
  }

  /** The kernel's function around a cell begins before the cell's first column. */
  #isCellLevel({ location, functionLocation }: CallFrame): boolean {
    return (
      this.#scripts.isCell(location.scriptId) &&
      functionLocation?.lineNumber === 0 &&
      (functionLocation.columnNumber ?? 0) < 0
    );
  }

  #isShown(location: Location): boolean {
    const ownership = this.#scripts.ownership(location.scriptId);
    if (ownership === "mine") return this.#scripts.original(location) !== undefined;
    if (ownership === "internal") return false;
    const path = this.#scripts.path(location.scriptId);
    return !this.justMyCode || (path !== undefined && this.#breakpoints.has(path));
  }

  /** Whether the user wants to stop at a throw: all of them, or those that no `catch` of the code on the stack will get. */
  async #isWanted({ callFrames, asyncStackTrace, data }: Paused, topShown: boolean): Promise<boolean> {
    if (topShown && (this.#filters.includes("raised") || this.#filters.includes("all"))) return true;
    if (!this.#filters.includes("uncaught")) return false;
    if (data?.uncaught === true) return true;
    // Node calls what it calls in a try of its own; what counts is a try of what the user's code has called.
    const mine = callFrames.findLastIndex(({ location }) => this.#scripts.ownership(location.scriptId) !== "internal");
    const locations = callFrames.slice(0, mine + 1).map(({ location }): Location => location);
    for (let trace = asyncStackTrace; trace !== undefined; trace = trace.parent)
      if (trace.description === "await") locations.push(...trace.callFrames.slice(0, 1));
    for (const location of locations) {
      const { scriptId } = location;
      if (this.#scripts.ownership(scriptId) === "internal" && !this.#scripts.isNodes(scriptId)) continue;
      if (await this.#isCaughtAt(location)) return false;
    }
    return true;
  }

  async #isCaughtAt({ scriptId, lineNumber, columnNumber = 0 }: Location): Promise<boolean> {
    const { scriptSource } = await this.#inspector.call("Debugger.getScriptSource", { scriptId });
    let lineStart = 0;
    for (let line = 0; line < lineNumber; line++) lineStart = scriptSource.indexOf("\n", lineStart) + 1;
    const wrapped = lineNumber === 0 ? -this.#scripts.startColumn(scriptId) : 0;
    return isInsideTry(scriptSource, lineStart + columnNumber + wrapped);
  }
}

/** How many calls are on the stack. */
function callsOf(frames: readonly Frame[]): number {
  return frames.filter(({ call }) => call !== undefined).length;
}
