import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import type { DebugProtocol } from "@vscode/debugprotocol";
import { z } from "zod";
import { RUNTIME, readImport } from "../session/cell/rewrite.js";
import type { CellScript } from "../session/handle.js";
import { Breakpoints } from "./breakpoints.js";
import { type CallFrame, type CdpTarget, type Evaluated, Inspector, OBJECT_GROUP } from "./cdp.js";
import { EXCEPTION_FILTERS, Execution, THREAD } from "./execution.js";
import { murmur2 } from "./murmur2.js";
import {
  type Arguments,
  type Bodies,
  type Command,
  type DebugInfo,
  type Handlers,
  isCommand,
  readArguments,
  readEnvelope,
} from "./requests.js";
import { scopesOf } from "./scopes.js";
import { Scripts } from "./scripts.js";
import { evaluable, interruptible, isName } from "./syntax.js";
import { describe, Variables } from "./variables.js";

/** What the debugger needs of the session. */
export interface DebugTarget extends CdpTarget {
  cells(): readonly CellScript[];
}

export interface DapResponse {
  readonly type: "response";
  readonly seq: number;
  readonly request_seq: number;
  readonly command: string;
  readonly success: boolean;
  readonly message?: string;
  readonly body: object;
}

export type DapEvent = Readonly<Record<string, unknown>> & { readonly type: "event"; readonly event: string };

const HASH_SEED = 0xc70f6907;
/** How many callers are remembered that have ended. */
const ASYNC_DEPTH = 8;
/** How long a look at a value may take. */
const LOOK_MS = 500;
/** How long a value may take to describe itself. */
const DISPLAY_MS = 2_000;
const CAPABILITIES: DebugProtocol.Capabilities = {
  supportsConfigurationDoneRequest: true,
  supportsConditionalBreakpoints: true,
  supportsHitConditionalBreakpoints: true,
  supportsLogPoints: true,
  supportsEvaluateForHovers: true,
  supportsExceptionInfoRequest: true,
  supportsLoadedSourcesRequest: true,
  supportsModulesRequest: true,
  supportsSetVariable: true,
  supportsTerminateRequest: true,
  exceptionBreakpointFilters: EXCEPTION_FILTERS,
};
const bundle = z.object({ data: z.record(z.string(), z.unknown()), metadata: z.record(z.string(), z.unknown()) });

/**
 * The Debug Adapter Protocol over the session's V8 inspector: what a front end's debugger asks on the control channel. Cells are
 * files named by the hash of their text, as Jupyter's debuggers agree.
 */
export class DebugAdapter {
  readonly #inspector: Inspector;
  readonly #scripts: Scripts;
  readonly #breakpoints: Breakpoints;
  readonly #execution: Execution;
  readonly #variables: Variables;
  readonly #listeners: ((event: DapEvent) => void)[] = [];
  readonly #folder = join(tmpdir(), `typescript_kernel_${process.pid}`) + sep;
  #stopListening: (() => void) | undefined;
  /** What the front end has asked for last. */
  #started = false;
  /** What V8 was told last, in order. */
  #enabled = false;
  #seq = 1;
  /** What changes V8's debugger waits for what was to change it before. */
  #order: Promise<unknown> = Promise.resolve();

  constructor(target: DebugTarget) {
    this.#inspector = new Inspector(target);
    this.#scripts = new Scripts(
      (code) => this.#cellPath(code),
      () => target.cells(),
    );
    this.#breakpoints = new Breakpoints(this.#inspector, this.#scripts);
    this.#variables = new Variables(this.#inspector);
    this.#execution = new Execution({
      inspector: this.#inspector,
      scripts: this.#scripts,
      breakpoints: this.#breakpoints,
      inOrder: (work) => this.#inOrder(work),
      emit: (event, body) => {
        if (event === "continued") this.#variables.clear();
        this.#emit(event, body);
      },
    });
  }

  /** Answers one DAP request. Never rejects: a failure is a response with `success: false` and a message. */
  async request(content: Readonly<Record<string, unknown>>): Promise<DapResponse> {
    const { seq, command } = readEnvelope(content);
    const respond = (rest: Pick<DapResponse, "success" | "message" | "body">): DapResponse => ({
      seq: this.#seq++,
      type: "response",
      request_seq: seq,
      command,
      ...rest,
    });
    try {
      if (!isCommand(command)) throw new Error(`the debugger does not know the command ${JSON.stringify(command)}`);
      return respond({ success: true, body: (await this.#handle(command, content.arguments)) ?? {} });
    } catch (error) {
      return respond({ success: false, message: error instanceof Error ? error.message : String(error), body: {} });
    }
  }

  /** Hears every event until the kernel ends. */
  onEvent(listener: (event: DapEvent) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * The session's process was replaced: what V8 knew is gone, what the user asked for is asked of the new process. V8 there gets
   * all of it before the first cell, as it is sent in this very call.
   */
  async sessionLost(): Promise<void> {
    this.#execution.lost();
    this.#scripts.clear();
    this.#breakpoints.forget();
    this.#enabled = false;
    if (!this.#started) return;
    const enabled = this.#enable().catch(() => undefined);
    this.#order = Promise.all([this.#order, enabled]);
    await enabled;
  }

  #handle<C extends Command>(command: C, given: unknown): Bodies[C] | Promise<Bodies[C]> {
    const handler: Handlers[C] = this.#handlers[command];
    return handler(readArguments(command, given));
  }

  readonly #handlers: Handlers = {
    initialize: () => {
      // A front end that asks for debugInfo meanwhile shall not take the debugger for one that is off.
      this.#start().catch(() => undefined);
      return CAPABILITIES;
    },
    attach: (args) => this.#attach(args),
    launch: (args) => this.#attach(args),
    configurationDone: () => undefined,
    disconnect: () => this.#detach(),
    terminate: () => this.#detach(),
    debugInfo: () => this.#debugInfo(),
    dumpCell: ({ code }) => this.#dumpCell(code),
    source: ({ source }) => this.#source(source.path),
    loadedSources: () => ({ sources: this.#scripts.paths.map((path) => this.#scripts.sourceOf(path)) }),
    modules: (args) => this.#modules(args),
    setBreakpoints: (args) => this.#setBreakpoints(args),
    setFunctionBreakpoints: () => ({ breakpoints: [] }),
    setExceptionBreakpoints: ({ filters }) => this.#setExceptions(filters),
    exceptionInfo: () => this.#execution.exceptionInfo(),
    threads: () => ({ threads: [{ id: THREAD, name: "main" }] }),
    pause: () => this.#pause(),
    continue: async () => {
      await this.#execution.leave("Debugger.resume");
      return { allThreadsContinued: true };
    },
    next: () => this.#execution.leave("Debugger.stepOver"),
    stepIn: () => this.#execution.leave("Debugger.stepInto"),
    stepOut: () => this.#execution.leave("Debugger.stepOut"),
    stackTrace: (args) => this.#stackTrace(args),
    scopes: ({ frameId }) => ({ scopes: scopesOf(this.#execution.frame(frameId), this.#variables) }),
    variables: async ({ variablesReference, ...wanted }) => ({
      variables: await this.#variables.children(variablesReference, wanted),
    }),
    setVariable: (args) => this.#setVariable(args),
    evaluate: (args) => this.#evaluate(args),
    inspectVariables: async () => ({ variables: await this.#variables.globals() }),
    richInspectVariables: (args) => this.#richInspect(args),
    copyToGlobals: (args) => this.#copyToGlobals(args),
  };

  // ---- beginning and end ------------------------------------------------------------------------------------------

  #debugInfo(): DebugInfo {
    return {
      isStarted: this.#started,
      hashMethod: "Murmur2",
      hashSeed: HASH_SEED,
      tmpFilePrefix: this.#folder,
      tmpFileSuffix: ".ts",
      breakpoints: this.#breakpoints.list,
      stoppedThreads: this.#execution.stopped ? [THREAD] : [],
      richRendering: true,
      exceptionPaths: ["JavaScript Exceptions"],
      copyToGlobals: true,
    };
  }

  #start(): Promise<void> {
    if (this.#started) return this.#inOrder(async () => undefined);
    this.#started = true;
    return this.#inOrder(() => this.#enable());
  }

  async #attach({ justMyCode = true }: Arguments<"attach">): Promise<undefined> {
    this.#execution.justMyCode = justMyCode;
    await this.#start();
    await this.#inOrder(async () => {
      if (this.#enabled) await this.#execution.watch();
    });
    this.#emit("initialized");
    this.#emit("process", { name: "TypeScript", isLocalProcess: true, startMethod: "attach" });
  }

  /** Everything is sent at once, so that V8 has it before any cell that is sent later. */
  async #enable(): Promise<void> {
    this.#enabled = true;
    this.#stopListening ??= this.#inspector.listen({
      paused: (event) => this.#execution.paused(event),
      resumed: () => this.#execution.resumed(),
      scriptParsed: (event) => this.#scripts.add(event),
    });
    await Promise.all([
      this.#inspector.call("Debugger.enable", {}),
      this.#inspector.call("Debugger.setSkipAllPauses", { skip: false }),
      this.#inspector.call("Debugger.setAsyncCallStackDepth", { maxDepth: ASYNC_DEPTH }),
      this.#execution.watch(),
      this.#breakpoints.wait(),
      this.#breakpoints.placeInFiles(),
    ]);
    await this.#breakpoints.placeInLoaded();
  }

  #detach(): Promise<undefined> {
    this.#started = false;
    return this.#inOrder<undefined>(async () => {
      if (!this.#enabled) return;
      this.#enabled = false;
      this.#breakpoints.clear();
      await this.#execution.release().catch(() => undefined);
      await this.#inspector.call("Debugger.disable", {}).catch(() => undefined);
      this.#variables.clear();
      this.#stopListening?.();
      this.#stopListening = undefined;
      this.#scripts.clear();
      this.#emit("terminated");
    });
  }

  #pause(): Promise<undefined> {
    return this.#inOrder(() => {
      if (!this.#enabled) throw new Error("the debugger is not on: it can pause after attach");
      return this.#execution.pause();
    });
  }

  // ---- sources ----------------------------------------------------------------------------------------------------

  /** The file name that stands for a cell, as the front end computes it. */
  #cellPath(code: string): string {
    return `${this.#folder}${murmur2(code, HASH_SEED)}.ts`;
  }

  #dumpCell(code: string): Bodies["dumpCell"] {
    const sourcePath = this.#cellPath(code);
    if (mkdirSync(this.#folder, { recursive: true, mode: 0o700 }) !== undefined)
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

  #source(path: string): Bodies["source"] {
    const content = this.#text(path);
    if (content === undefined)
      throw new Error(`there is no source ${path}: expected a path that stackTrace or dumpCell told`);
    return { content, mimeType: "text/typescript" };
  }

  #modules({ startModule = 0, moduleCount = 0 }: Arguments<"modules">): Bodies["modules"] {
    const all = this.#scripts.paths.map(
      (path, id): DebugProtocol.Module => ({ id, name: this.#scripts.nameOf(path), path }),
    );
    const modules = all.slice(startModule, moduleCount > 0 ? startModule + moduleCount : undefined);
    return { modules, totalModules: all.length };
  }

  // ---- where to stop ----------------------------------------------------------------------------------------------

  #setBreakpoints({ source, breakpoints = [] }: Arguments<"setBreakpoints">): Promise<Bodies["setBreakpoints"]> {
    return this.#inOrder(async () => {
      const set = this.#breakpoints.set(source.path, this.#text(source.path), breakpoints);
      if (this.#enabled) {
        await this.#breakpoints.wait();
        await this.#breakpoints.update(source.path);
      }
      return { breakpoints: set };
    });
  }

  #setExceptions(filters: readonly string[]): Promise<undefined> {
    return this.#inOrder<undefined>(async () => {
      this.#execution.filters = filters;
      if (this.#enabled) await this.#execution.watch();
    });
  }

  // ---- looking ----------------------------------------------------------------------------------------------------

  #stackTrace({ startFrame = 0, levels = 0 }: Arguments<"stackTrace">): Bodies["stackTrace"] {
    const { frames } = this.#execution;
    const shown = frames.slice(startFrame, levels > 0 ? startFrame + levels : undefined);
    return {
      stackFrames: shown.map(({ id, name, place }) => ({
        id,
        name,
        line: place?.line ?? 0,
        column: place?.column ?? 0,
        ...(place === undefined ? {} : { source: this.#scripts.sourceOf(place.path) }),
      })),
      totalFrames: frames.length,
    };
  }

  /** The call in which an expression is evaluated: that of the frame, or the innermost; none while the session is not stopped. */
  #callOf(frameId: number | undefined): CallFrame | undefined {
    const { frames } = this.#execution;
    return (frames.find(({ id }) => id === frameId) ?? frames[0])?.call;
  }

  async #evaluate({ expression, frameId, context }: Arguments<"evaluate">): Promise<Bodies["evaluate"]> {
    const call = this.#callOf(frameId);
    const hover = context === "hover";
    if (hover && !isName(expression)) throw new Error(`${expression} is not shown: it is more than a name`);
    const { result } = hover ? await this.#look(expression, call) : await this.#run(expression, call, {});
    const { value, type, variablesReference, indexedVariables } = this.#variables.value("", result, expression, call);
    return {
      result: value,
      variablesReference,
      ...(type === undefined ? {} : { type }),
      ...(indexedVariables === undefined ? {} : { indexedVariables }),
    };
  }

  /** The value of a name, if it can be had without running anything of the user's. */
  #look(name: string, call: CallFrame | undefined): Promise<Evaluated> {
    return this.#run(name, call, { throwOnSideEffect: true }).catch((error: unknown) =>
      this.#run(readImport(name), call, {}).catch(() => {
        throw error;
      }),
    );
  }

  /** @throws what the expression throws. */
  async #run(
    text: string,
    call: CallFrame | undefined,
    options: { readonly throwOnSideEffect?: boolean; readonly returnByValue?: boolean },
  ): Promise<Evaluated> {
    const { expression, awaits } = evaluable(text, call === undefined);
    const { throwOnSideEffect = false, returnByValue = false } = options;
    const shown = { generatePreview: !returnByValue, returnByValue };
    const asked = {
      // What may have no effect cannot be run in another way than V8's own; it has little time.
      ...(throwOnSideEffect ? { expression, timeout: LOOK_MS } : { expression: interruptible(expression) }),
      objectGroup: OBJECT_GROUP,
      silent: true as const,
      throwOnSideEffect,
      ...shown,
    };
    // No REPL mode: V8 has been seen to abort on it. A promise is waited for only where the expression says so.
    let evaluated: Evaluated;
    if (call !== undefined)
      evaluated = await this.#inspector.call("Debugger.evaluateOnCallFrame", {
        ...asked,
        callFrameId: call.callFrameId,
      });
    else if (awaits) {
      const { result } = await this.#inspector.call("Runtime.evaluate", {
        ...asked,
        returnByValue: false,
        disableBreaks: true,
      });
      const promiseObjectId = result.objectId ?? "";
      if (result.subtype !== "promise") throw new Error(describe(result));
      evaluated = await this.#inspector.call("Runtime.awaitPromise", { promiseObjectId, ...shown });
    } else evaluated = await this.#inspector.call("Runtime.evaluate", { ...asked, disableBreaks: true });
    const { exceptionDetails } = evaluated;
    if (exceptionDetails === undefined) return evaluated;
    const { exception, text: what = "the expression failed" } = exceptionDetails;
    throw new Error(exception === undefined ? what : describe(exception));
  }

  async #setVariable({ variablesReference, name, value }: Arguments<"setVariable">): Promise<Bodies["setVariable"]> {
    const { expression, call } = await this.#variables.assignable(variablesReference, name);
    const { result } = await this.#run(`${expression} = (${value})`, call, {});
    const shown = this.#variables.value(name, result, expression, call);
    return {
      value: shown.value,
      variablesReference: shown.variablesReference,
      ...(shown.type === undefined ? {} : { type: shown.type }),
    };
  }

  /** As the value shows itself below a cell; a promise of that is waited for only where the session is not stopped. */
  async #richInspect({
    variableName,
    frameId,
  }: Arguments<"richInspectVariables">): Promise<Bodies["richInspectVariables"]> {
    const call = this.#callOf(frameId);
    if (!isName(variableName)) throw new Error(`${variableName} has no value here: it is not a name`);
    const { result } = await this.#look(variableName, call).catch(() => {
      throw new Error(`${variableName} has no value here that can be shown without running code`);
    });
    const plain = { data: { "text/plain": describe(result) }, metadata: {} };
    const shown = `${RUNTIME}.bundle(${variableName})`;
    const bundled =
      call === undefined
        ? this.#run(`await ${shown}`, call, { returnByValue: true })
        : this.#run(`(b => b instanceof Promise ? null : b)(${shown})`, call, { returnByValue: true });
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, DISPLAY_MS, undefined).unref());
    const answer = await Promise.race([bundled.catch(() => undefined), late]);
    return bundle.safeParse(answer?.result.value).data ?? plain;
  }

  async #copyToGlobals({
    srcVariableName,
    dstVariableName,
    srcFrameId,
  }: Arguments<"copyToGlobals">): Promise<undefined> {
    const { call } = this.#execution.frame(srcFrameId);
    const expression = `void Object.defineProperty(globalThis, ${JSON.stringify(dstVariableName)}, { value: (${srcVariableName}), writable: true, enumerable: true, configurable: true })`;
    await this.#run(expression, call, {}).catch((error: Error) => {
      throw new Error(`${srcVariableName} could not be copied: ${error.message}`);
    });
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
