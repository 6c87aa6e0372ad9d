import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, sep } from "node:path";
import type { DebugProtocol } from "@vscode/debugprotocol";
import type { CellScript, MimeBundle } from "../session/handle.js";
import type { CallFrame, Cdp, Location, Paused, RemoteObject, ScriptParsed } from "./cdp.js";
import { murmur2 } from "./murmur2.js";
import { Scripts, type SourcePosition } from "./scripts.js";
import { codeLines, isInsideTry } from "./tryBlocks.js";
import { describe, Variables } from "./variables.js";

/** What the debugger needs of the session. */
export interface DebugTarget {
  cdp(method: string, params?: Readonly<Record<string, unknown>>): Promise<unknown>;
  onCdp(listener: (method: string, params: Readonly<Record<string, unknown>>) => void): () => void;
  cells(): readonly CellScript[];
  runtimeInspect(expression: string, detailLevel?: 0 | 1): Promise<MimeBundle | undefined>;
}

export interface DapRequest {
  readonly seq: number;
  readonly command: string;
  readonly arguments?: unknown;
}

export type DapEvent = Readonly<Record<string, unknown>> & { readonly type: "event"; readonly event: string };

type Arguments = Readonly<Record<string, unknown>>;
type StepMethod = "Debugger.stepOver" | "Debugger.stepInto" | "Debugger.stepOut";

/** JavaScript of a session runs in one thread. */
const THREAD = 1;
const HASH_SEED = 0xc70f6907;
/** A step that meets only code that is not shown gives up after so many tries. */
const STEP_LIMIT = 500;
const CAPABILITIES: DebugProtocol.Capabilities = {
  supportsConfigurationDoneRequest: true,
  supportsConditionalBreakpoints: true,
  supportsHitConditionalBreakpoints: true,
  supportsLogPoints: true,
  supportsEvaluateForHovers: true,
  supportsExceptionInfoRequest: true,
  supportsModulesRequest: true,
  supportsSetVariable: true,
  supportsTerminateRequest: true,
  supportsCompletionsRequest: false,
  exceptionBreakpointFilters: [
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
  ],
};

interface Breakpoint {
  readonly id: number;
  readonly asked: DebugProtocol.SourceBreakpoint;
  readonly line: number;
  /** V8's ids of it, one for each script made from the file. */
  readonly placed: string[];
}

interface Stop {
  readonly frames: readonly {
    readonly id: number;
    readonly frame: CallFrame;
    readonly place: SourcePosition | undefined;
  }[];
  readonly exception: RemoteObject | undefined;
}

/**
 * The Debug Adapter Protocol over the session's V8 inspector: what a front end's debugger asks on the control channel. Cells are
 * files named by the hash of their text, as Jupyter's debuggers agree. Breakpoints are placed while V8 waits before a script's
 * first statement, so that none is missed.
 */
export class DebugAdapter {
  readonly #target: DebugTarget;
  readonly #cdp: Cdp;
  readonly #scripts: Scripts;
  readonly #variables: Variables;
  readonly #listeners: ((event: DapEvent) => void)[] = [];
  readonly #breakpoints = new Map<string, Breakpoint[]>();
  readonly #folder = join(tmpdir(), `typescript_kernel_${process.pid}`) + sep;
  #stopListening: (() => void) | undefined;
  #started = false;
  #justMyCode = true;
  #filters: readonly string[] = [];
  #instrumentation: string | undefined;
  #stop: Stop | undefined;
  #lastException: RemoteObject | undefined;
  /** What the user asked V8 to do; decides whether the next pause is shown. */
  #step: { method: StepMethod; from: SourcePosition | undefined; depth: number; tries: number } | undefined;
  #pausing = false;
  #seq = 1;
  #ids = 1;
  #order: Promise<unknown> = Promise.resolve();

  constructor(target: DebugTarget) {
    this.#target = target;
    this.#cdp = (method, params) => target.cdp(method, params) as ReturnType<Cdp> as never;
    this.#scripts = new Scripts(
      (code) => this.#cellPath(code),
      () => target.cells(),
    );
    this.#variables = new Variables(this.#cdp);
  }

  /** Answers one DAP request. Never rejects: a failure is a response with `success: false` and a message. */
  async request({ seq, command, arguments: given }: DapRequest): Promise<DebugProtocol.Response> {
    const respond = (rest: Pick<DebugProtocol.Response, "success" | "message" | "body">): DebugProtocol.Response => ({
      seq: this.#seq++,
      type: "response",
      request_seq: seq,
      command,
      ...rest,
    });
    try {
      const handler = Object.hasOwn(this.#handlers, command) ? this.#handlers[command] : undefined;
      if (handler === undefined) throw new Error(`the debugger does not know the command ${JSON.stringify(command)}`);
      const body = await handler(typeof given === "object" && given !== null ? (given as Arguments) : {});
      return respond({ success: true, body: body ?? {} });
    } catch (error) {
      return respond({ success: false, message: error instanceof Error ? error.message : String(error), body: {} });
    }
  }

  /** Hears every event until the kernel ends. */
  onEvent(listener: (event: DapEvent) => void): void {
    this.#listeners.push(listener);
  }

  /** The session's process was replaced: what V8 knew is gone, what the user asked for is placed again. */
  async sessionLost(): Promise<void> {
    if (!this.#started) return;
    this.#stop = undefined;
    this.#step = undefined;
    this.#instrumentation = undefined;
    this.#scripts.clear();
    for (const list of this.#breakpoints.values()) for (const breakpoint of list) breakpoint.placed.length = 0;
    for (let tries = 0; tries < 50; tries++) {
      try {
        await this.#enable();
        return;
      } catch {
        await new Promise((again) => setTimeout(again, 100));
      }
    }
  }

  readonly #handlers: Readonly<Record<string, (args: Arguments) => unknown>> = {
    debugInfo: () => this.#debugInfo(),
    initialize: () => CAPABILITIES,
    attach: (args) => this.#attach(args),
    launch: (args) => this.#attach(args),
    configurationDone: () => undefined,
    disconnect: () => this.#detach(),
    terminate: () => this.#detach(),
    dumpCell: ({ code }) => this.#dumpCell(text(code, "code")),
    source: (args) => this.#source(args),
    loadedSources: () => ({ sources: this.#scripts.paths.map((path) => this.#sourceOf(path)) }),
    modules: ({ startModule, moduleCount }) => this.#modules(Number(startModule ?? 0), Number(moduleCount ?? 0)),
    setBreakpoints: (args) =>
      this.#inOrder(() => this.#setBreakpoints(args as unknown as DebugProtocol.SetBreakpointsArguments)),
    setFunctionBreakpoints: () => ({ breakpoints: [] }),
    setExceptionBreakpoints: ({ filters }) => this.#setExceptions(filters),
    exceptionInfo: () => this.#exceptionInfo(),
    threads: () => ({ threads: [{ id: THREAD, name: "main" }] }),
    pause: () => this.#pause(),
    continue: () => this.#resume(),
    next: () => this.#stepBy("Debugger.stepOver"),
    stepIn: () => this.#stepBy("Debugger.stepInto"),
    stepOut: () => this.#stepBy("Debugger.stepOut"),
    stackTrace: ({ startFrame, levels }) => this.#stackTrace(Number(startFrame ?? 0), Number(levels ?? 0)),
    scopes: ({ frameId }) => this.#scopes(Number(frameId)),
    variables: async ({ variablesReference, start, count }) => ({
      variables: await this.#variables.children(
        Number(variablesReference),
        Number(start ?? 0),
        count === undefined ? undefined : Number(count),
      ),
    }),
    setVariable: ({ variablesReference, name, value }) =>
      this.#setVariable(Number(variablesReference), text(name, "name"), text(value, "value")),
    evaluate: (args) => this.#evaluate(args),
    inspectVariables: async () => ({ variables: await this.#variables.globals() }),
    richInspectVariables: ({ variableName, frameId }) => this.#richInspect(text(variableName, "variableName"), frameId),
    copyToGlobals: (args) => this.#copyToGlobals(args),
  };

  // ---- beginning and end ------------------------------------------------------------------------------------------

  #debugInfo(): Record<string, unknown> {
    return {
      isStarted: this.#started,
      hashMethod: "Murmur2",
      hashSeed: HASH_SEED,
      tmpFilePrefix: this.#folder,
      tmpFileSuffix: ".ts",
      breakpoints: [...this.#breakpoints].map(([source, list]) => ({
        source,
        breakpoints: list.map(({ asked, line }) => ({ ...asked, line })),
      })),
      stoppedThreads: this.#stop === undefined ? [] : [THREAD],
      richRendering: true,
      exceptionPaths: ["JavaScript Exceptions"],
      copyToGlobals: true,
    };
  }

  async #attach({ justMyCode }: Arguments): Promise<void> {
    this.#justMyCode = justMyCode !== false;
    if (!this.#started) await this.#enable();
    this.#started = true;
    this.#emit("initialized");
    this.#emit("process", { name: "TypeScript", isLocalProcess: true, startMethod: "attach" });
  }

  async #enable(): Promise<void> {
    this.#stopListening ??= this.#target.onCdp((method, params) => this.#hear(method, params));
    await this.#cdp("Debugger.enable");
    await this.#cdp("Debugger.setAsyncCallStackDepth", { maxDepth: 8 });
    await this.#watchThrows();
    await this.#watchScripts();
  }

  async #detach(): Promise<void> {
    if (!this.#started) return;
    this.#started = false;
    this.#breakpoints.clear();
    this.#filters = [];
    this.#instrumentation = undefined;
    this.#step = undefined;
    if (this.#stop !== undefined) await this.#resume().catch(() => undefined);
    await this.#cdp("Debugger.disable");
    this.#variables.clear();
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#scripts.clear();
    this.#emit("terminated");
  }

  // ---- sources ----------------------------------------------------------------------------------------------------

  /** The file name that stands for a cell, as the front end computes it. */
  #cellPath(code: string): string {
    return `${this.#folder}${murmur2(code, HASH_SEED)}.ts`;
  }

  #dumpCell(code: string): { sourcePath: string } {
    const sourcePath = this.#cellPath(code);
    if (mkdirSync(dirname(sourcePath), { recursive: true, mode: 0o700 }) !== undefined)
      process.once("exit", () => rmSync(this.#folder, { recursive: true, force: true }));
    writeFileSync(sourcePath, code, { mode: 0o600 });
    return { sourcePath };
  }

  #text(path: string): string | undefined {
    const cell = this.#scripts.cellSource(path);
    if (cell !== undefined) return cell;
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  }

  async #source({ source, sourceReference }: Arguments): Promise<{ content: string; mimeType: string }> {
    const path = (source as DebugProtocol.Source | undefined)?.path;
    const content = path === undefined ? undefined : this.#text(path);
    if (content === undefined)
      throw new Error(
        `there is no source ${path ?? sourceReference ?? ""}: expected a path that stackTrace or dumpCell told`,
      );
    return { content, mimeType: "text/typescript" };
  }

  #sourceOf(path: string): DebugProtocol.Source {
    return { name: this.#scripts.nameOf(path), path };
  }

  #modules(start: number, count: number): { modules: DebugProtocol.Module[]; totalModules: number } {
    const all = this.#scripts.paths.map(
      (path, index): DebugProtocol.Module => ({ id: index, name: this.#scripts.nameOf(path), path }),
    );
    return { modules: all.slice(start, count > 0 ? start + count : undefined), totalModules: all.length };
  }

  // ---- breakpoints ------------------------------------------------------------------------------------------------

  async #setBreakpoints({
    source,
    breakpoints = [],
  }: DebugProtocol.SetBreakpointsArguments): Promise<{ breakpoints: DebugProtocol.Breakpoint[] }> {
    const path = text(source?.path, "source.path");
    for (const old of this.#breakpoints.get(path) ?? []) await this.#unplace(old);
    const content = this.#text(path);
    const lines = content === undefined ? undefined : codeLines(content);
    const list = breakpoints.map(
      (asked): Breakpoint => ({
        id: this.#ids++,
        asked,
        line:
          lines?.includes(asked.line) === false ? (lines.find((line) => line > asked.line) ?? asked.line) : asked.line,
        placed: [],
      }),
    );
    if (list.length === 0) this.#breakpoints.delete(path);
    else this.#breakpoints.set(path, list);
    if (this.#started) {
      await this.#watchScripts();
      for (const scriptId of this.#scripts.withPath(path)) await this.#place(scriptId);
    }
    const known = this.#sourceOf(path);
    return { breakpoints: list.map(({ id, line }) => ({ id, verified: true, line, source: known })) };
  }

  /** Places the breakpoints of a script's file in it. */
  async #place(scriptId: string): Promise<void> {
    await this.#scripts.whenReady(scriptId);
    const path = this.#scripts.path(scriptId);
    for (const breakpoint of path === undefined ? [] : (this.#breakpoints.get(path) ?? [])) {
      const location = this.#scripts.generated(scriptId, breakpoint.line, breakpoint.asked.column);
      if (location === undefined) continue;
      const condition = conditionOf(breakpoint);
      try {
        const { breakpointId } = await this.#cdp<{ breakpointId: string }>("Debugger.setBreakpoint", {
          location,
          ...(condition === undefined ? {} : { condition }),
        });
        breakpoint.placed.push(breakpointId);
      } catch {
        // Two breakpoints of the user fall on one place: the first holds.
      }
    }
  }

  async #unplace(breakpoint: Breakpoint): Promise<void> {
    for (const breakpointId of breakpoint.placed.splice(0))
      await this.#cdp("Debugger.removeBreakpoint", { breakpointId }).catch(() => undefined);
  }

  /** V8 stops before each new script only while there is something to place in it. */
  async #watchScripts(): Promise<void> {
    const needed = this.#breakpoints.size > 0 || this.#pausing;
    if (needed && this.#instrumentation === undefined) {
      this.#instrumentation = (
        await this.#cdp<{ breakpointId: string }>("Debugger.setInstrumentationBreakpoint", {
          instrumentation: "beforeScriptExecution",
        })
      ).breakpointId;
    } else if (!needed && this.#instrumentation !== undefined) {
      const breakpointId = this.#instrumentation;
      this.#instrumentation = undefined;
      await this.#cdp("Debugger.removeBreakpoint", { breakpointId });
    }
  }

  async #setExceptions(filters: unknown): Promise<{ breakpoints: DebugProtocol.Breakpoint[] }> {
    const list = Array.isArray(filters) ? filters.map(String) : [];
    this.#filters = list;
    if (this.#started) await this.#watchThrows();
    return { breakpoints: list.map(() => ({ verified: true })) };
  }

  /** V8 calls caught what the kernel catches around a cell: it is asked for every throw, and what is uncaught is decided here. */
  async #watchThrows(): Promise<void> {
    await this.#cdp("Debugger.setPauseOnExceptions", { state: this.#filters.length > 0 ? "all" : "none" });
  }

  // ---- going on ---------------------------------------------------------------------------------------------------

  async #pause(): Promise<void> {
    if (this.#stop !== undefined) return;
    this.#pausing = true;
    await this.#watchScripts();
    await this.#cdp("Debugger.pause");
  }

  async #resume(): Promise<{ allThreadsContinued: boolean }> {
    this.#step = undefined;
    await this.#leave("Debugger.resume");
    return { allThreadsContinued: true };
  }

  async #stepBy(method: StepMethod): Promise<void> {
    const top = this.#stop?.frames[0];
    this.#step = { method, from: top?.place, depth: this.#stop?.frames.length ?? 0, tries: 0 };
    await this.#leave(method);
  }

  /** The stop is over when the user says so: V8's word of it may come after what the session does next. */
  async #leave(method: StepMethod | "Debugger.resume"): Promise<void> {
    if (this.#stop === undefined) throw new Error("the session is not stopped: wait for a stopped event");
    this.#resumed();
    await this.#cdp(method);
  }

  #hear(method: string, params: Readonly<Record<string, unknown>>): void {
    if (method === "Debugger.scriptParsed") this.#scripts.add(params as unknown as ScriptParsed);
    else if (method === "Debugger.paused") void this.#paused(params as unknown as Paused);
    else if (method === "Debugger.resumed") this.#resumed();
  }

  #resumed(): void {
    if (this.#stop === undefined) return;
    this.#stop = undefined;
    this.#variables.clear();
    this.#emit("continued", { threadId: THREAD, allThreadsContinued: true });
  }

  async #paused(paused: Paused): Promise<void> {
    try {
      if (paused.reason === "instrumentation") await this.#beforeScript(paused);
      else await this.#judge(paused);
    } catch {
      await this.#goOn("Debugger.resume");
    }
  }

  async #beforeScript({ data, callFrames }: Paused): Promise<void> {
    const scriptId = data?.scriptId ?? callFrames[0]?.location.scriptId ?? "";
    if (this.#scripts.ownership(scriptId) !== "internal") await this.#inOrder(() => this.#place(scriptId));
    const entering = this.#pausing && this.#scripts.isCell(scriptId);
    await this.#goOn(entering ? "Debugger.stepInto" : this.#step !== undefined ? this.#step.method : "Debugger.resume");
  }

  async #judge(paused: Paused): Promise<void> {
    for (const { location } of paused.callFrames) await this.#scripts.whenReady(location.scriptId);
    const thrown = paused.reason === "exception" || paused.reason === "promiseRejection";
    const hit = (paused.hitBreakpoints ?? []).length > 0;
    const frames = paused.callFrames
      .filter((frame) => this.#isShown(frame))
      .map((frame) => ({ id: this.#ids++, frame, place: this.#scripts.original(frame.location) }));
    const top = paused.callFrames[0];
    const topShown = top !== undefined && frames[0]?.frame === top;
    if (thrown && !(topShown && (await this.#isWanted(paused))))
      return this.#goOn(this.#step?.method ?? "Debugger.resume");
    if (!thrown && !hit) {
      if (frames.length === 0) return this.#goOn("Debugger.resume");
      const step = this.#step;
      if (step !== undefined && ++step.tries < STEP_LIMIT) {
        if (!topShown) return this.#goOn("Debugger.stepOut");
        const place = frames[0]?.place;
        const sameLine =
          place?.line === step.from?.line && place?.path === step.from?.path && frames.length === step.depth;
        if (sameLine && step.method !== "Debugger.stepOut") return this.#goOn(step.method);
      }
    }
    const reason = thrown
      ? "exception"
      : hit
        ? "breakpoint"
        : this.#step !== undefined
          ? "step"
          : this.#pausing
            ? "pause"
            : "breakpoint";
    this.#step = undefined;
    if (this.#pausing) {
      this.#pausing = false;
      await this.#watchScripts();
    }
    this.#lastException = thrown ? paused.data : undefined;
    this.#stop = { frames, exception: this.#lastException };
    const described = thrown && paused.data !== undefined ? describe(paused.data) : undefined;
    this.#emit("stopped", {
      reason,
      threadId: THREAD,
      allThreadsStopped: true,
      preserveFocusHint: false,
      ...(described === undefined ? {} : { description: described, text: described }),
      ...(hit ? { hitBreakpointIds: this.#hitIds(paused.hitBreakpoints ?? []) } : {}),
    });
  }

  #hitIds(placed: readonly string[]): number[] {
    return [...this.#breakpoints.values()]
      .flat()
      .filter((breakpoint) => breakpoint.placed.some((id) => placed.includes(id)))
      .map(({ id }) => id);
  }

  #isShown({ location }: CallFrame): boolean {
    const ownership = this.#scripts.ownership(location.scriptId);
    if (ownership === "mine") return this.#scripts.original(location) !== undefined;
    return ownership === "package" && !this.#justMyCode;
  }

  async #isWanted({ callFrames, data }: Paused): Promise<boolean> {
    if (this.#filters.includes("raised") || this.#filters.includes("all")) return true;
    if (data?.uncaught === true) return true;
    for (const { location } of callFrames) {
      if (this.#scripts.ownership(location.scriptId) === "internal") continue;
      if (await this.#isCaughtAt(location)) return false;
    }
    return true;
  }

  async #isCaughtAt(location: Location): Promise<boolean> {
    const { scriptSource } = await this.#cdp<{ scriptSource: string }>("Debugger.getScriptSource", {
      scriptId: location.scriptId,
    });
    let lineStart = 0;
    for (let line = 0; line < location.lineNumber; line++) lineStart = scriptSource.indexOf("\n", lineStart) + 1;
    const offset =
      lineStart +
      (location.columnNumber ?? 0) +
      (location.lineNumber === 0 ? -this.#scripts.startColumn(location.scriptId) : 0);
    return isInsideTry(scriptSource, offset);
  }

  /** Goes on without a word to the front end: the pause was not one the user asked for. */
  async #goOn(method: StepMethod | "Debugger.resume"): Promise<void> {
    await this.#cdp(method).catch(() => undefined);
  }

  // ---- looking ----------------------------------------------------------------------------------------------------

  #stackTrace(start: number, levels: number): { stackFrames: DebugProtocol.StackFrame[]; totalFrames: number } {
    const frames = this.#stop?.frames ?? [];
    const stackFrames = frames.slice(start, levels > 0 ? start + levels : undefined).map(
      ({ id, frame, place }): DebugProtocol.StackFrame => ({
        id,
        name: this.#frameName(frame, place),
        line: place?.line ?? 0,
        column: place?.column ?? 0,
        ...(place === undefined ? {} : { source: this.#sourceOf(place.path) }),
      }),
    );
    return { stackFrames, totalFrames: frames.length };
  }

  #frameName(frame: CallFrame, place: SourcePosition | undefined): string {
    const name = frame.functionName.replaceAll("\u200c", "");
    if (name !== "") return name;
    return place === undefined
      ? "(anonymous)"
      : this.#isCellLevel(frame)
        ? this.#scripts.nameOf(place.path)
        : "(anonymous)";
  }

  /** Whether a frame runs the statements of a cell itself: the kernel's function around them begins before the first column. */
  #isCellLevel({ location, functionLocation }: CallFrame): boolean {
    return (
      this.#scripts.isCell(location.scriptId) &&
      functionLocation?.lineNumber === 0 &&
      (functionLocation.columnNumber ?? 0) < 0
    );
  }

  #frame(frameId: number): Stop["frames"][number] {
    if (this.#stop === undefined) throw new Error("the session is not stopped: wait for a stopped event");
    const found = this.#stop.frames.find(({ id }) => id === frameId);
    if (found === undefined)
      throw new Error(`frame ${frameId} is not known (any more): expected an id of the latest stackTrace`);
    return found;
  }

  #scopes(frameId: number): { scopes: DebugProtocol.Scope[] } {
    const { frame } = this.#frame(frameId);
    const cellLevel = this.#isCellLevel(frame);
    const own: string[] = [];
    const closures: string[] = [];
    let outside = false;
    for (const { type, object } of frame.scopeChain) {
      if (type === "global" || object.objectId === undefined) continue;
      if (type === "closure" || type === "module" || type === "script") outside = true;
      (outside ? closures : own).push(object.objectId);
    }
    const extra = [
      ...(frame.returnValue !== undefined ? [{ name: "(return value)", value: frame.returnValue }] : []),
      ...(!cellLevel &&
      frame.this.type !== "undefined" &&
      frame.this.description !== "global" &&
      frame.this.className !== "global"
        ? [{ name: "this", value: frame.this }]
        : []),
    ];
    const scopes: DebugProtocol.Scope[] = [
      {
        name: "Locals",
        presentationHint: "locals",
        variablesReference: this.#variables.scope(own, cellLevel, extra),
        expensive: false,
      },
    ];
    if (closures.length > 0)
      scopes.push({ name: "Closure", variablesReference: this.#variables.scope(closures, false), expensive: false });
    scopes.push({ name: "Globals", variablesReference: this.#variables.scope([], true), expensive: false });
    return { scopes };
  }

  async #evaluate({ expression, frameId, context }: Arguments): Promise<DebugProtocol.EvaluateResponse["body"]> {
    const source = text(expression, "expression");
    const { result, exceptionDetails } = await this.#run(source, frameId, context === "hover");
    if (exceptionDetails !== undefined) {
      const { exception, text: what = "" } = exceptionDetails;
      throw new Error(exception === undefined ? what : describe(exception));
    }
    const { value, type, variablesReference, indexedVariables } = this.#variables.value("", result, source);
    return {
      result: value,
      variablesReference,
      ...(type === undefined ? {} : { type }),
      ...(indexedVariables === undefined ? {} : { indexedVariables }),
    };
  }

  #run(
    expression: string,
    frameId: unknown,
    throwOnSideEffect: boolean,
  ): Promise<{ result: RemoteObject; exceptionDetails?: { text?: string; exception?: RemoteObject } }> {
    const common = { expression, objectGroup: "debug", generatePreview: true, throwOnSideEffect };
    const frame = this.#stop?.frames.find(({ id }) => id === frameId) ?? this.#stop?.frames[0];
    if (frame !== undefined)
      return this.#cdp("Debugger.evaluateOnCallFrame", { ...common, callFrameId: frame.frame.callFrameId });
    // No REPL mode: V8 has been seen to abort on it. A promise is waited for only where the expression says so.
    const waits = !throwOnSideEffect && /\bawait\b/.test(expression);
    return this.#cdp("Runtime.evaluate", {
      ...common,
      ...(waits ? { expression: `(async () => (${expression}))()`, awaitPromise: true } : {}),
    });
  }

  async #setVariable(
    reference: number,
    name: string,
    value: string,
  ): Promise<{ value: string; type?: string; variablesReference: number }> {
    const variable = (await this.#variables.children(reference)).find((each) => each.name === name);
    if (variable?.evaluateName === undefined)
      throw new Error(`${name} cannot be assigned: it has no expression that names it`);
    const { result, exceptionDetails } = await this.#run(`${variable.evaluateName} = (${value})`, undefined, false);
    if (exceptionDetails !== undefined)
      throw new Error(
        exceptionDetails.exception === undefined ? "it could not be assigned" : describe(exceptionDetails.exception),
      );
    const { value: shown, type, variablesReference } = this.#variables.value(name, result, variable.evaluateName);
    return { value: shown, variablesReference, ...(type === undefined ? {} : { type }) };
  }

  async #richInspect(name: string, frameId: unknown): Promise<{ data: MimeBundle; metadata: Record<string, never> }> {
    if (this.#stop === undefined) {
      const data = await this.#target.runtimeInspect(name, 0);
      if (data !== undefined) return { data, metadata: {} };
    }
    const { result, exceptionDetails } = await this.#run(name, frameId, true);
    if (exceptionDetails !== undefined)
      throw new Error(`${name} has no value here that can be shown without running code`);
    return { data: { "text/plain": describe(result) }, metadata: {} };
  }

  async #copyToGlobals({ srcVariableName, dstVariableName, srcFrameId }: Arguments): Promise<void> {
    const from = text(srcVariableName, "srcVariableName");
    const to = text(dstVariableName, "dstVariableName");
    const frame = this.#frame(Number(srcFrameId));
    const expression = `Object.defineProperty(globalThis, ${JSON.stringify(to)}, { value: (${from}), writable: true, enumerable: true, configurable: true })`;
    const { exceptionDetails } = await this.#run(expression, frame.id, false);
    if (exceptionDetails !== undefined) throw new Error(`${from} could not be copied: it has no value in that frame`);
  }

  #exceptionInfo(): DebugProtocol.ExceptionInfoResponse["body"] {
    const exception = this.#lastException;
    if (exception === undefined) throw new Error("the session is not stopped at an exception");
    return {
      exceptionId: exception.className ?? exception.type,
      description: describe(exception),
      breakMode: this.#filters.includes("raised") ? "always" : "unhandled",
      details: {
        typeName: exception.className ?? exception.type,
        message: describe(exception),
        stackTrace: exception.description ?? "",
      },
    };
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#order.then(work);
    this.#order = result.catch(() => undefined);
    return result;
  }

  #emit(event: string, body: Readonly<Record<string, unknown>> = {}): void {
    const message: DapEvent = { seq: this.#seq++, type: "event", event, body };
    for (const listener of this.#listeners) listener(message);
  }
}

/** The condition V8 is given: the user's own, with hits counted and, for a log point, the line written instead of a stop. */
function conditionOf({ id, asked }: Breakpoint): string | undefined {
  const { condition, hitCondition, logMessage } = asked;
  const tests: string[] = [];
  if (condition) tests.push(`(${condition})`);
  if (hitCondition) {
    const [, operator = ">=", count = "1"] = /^\s*(>=|<=|==|=|>|<|%)?\s*(\d+)\s*$/.exec(hitCondition) ?? [];
    const hits = `(globalThis[Symbol.for("Jupyter.breakpointHits")] ??= Object.create(null))`;
    const counted = `(${hits}[${id}] = (${hits}[${id}] ?? 0) + 1)`;
    tests.push(
      operator === "%"
        ? `(${counted} % ${count} === 0)`
        : `(${counted} ${operator === "=" || operator === "==" ? "===" : operator} ${count})`,
    );
  }
  if (logMessage) {
    const template = logMessage
      .replace(/[`\\]/g, "\\$&")
      .replace(/\$(?=\{)/g, "\\$")
      .replace(/(?<!\\)\{([^{}]*)\}/g, (_, expression: string) => `\${${expression.replaceAll("\\`", "`")}}`);
    tests.push(`(console.log(\`${template}\`), false)`);
  }
  return tests.length === 0 ? undefined : tests.join(" && ");
}

function text(value: unknown, name: string): string {
  if (typeof value !== "string") throw new Error(`${name} is ${JSON.stringify(value) ?? "missing"}; expected a string`);
  return value;
}
