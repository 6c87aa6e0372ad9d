/** Runs cells: rewriting, the race between a cell and its interrupt, the value of its last expression, and the reply. */
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { types } from "node:util";
import { constants, Script } from "node:vm";
import { RecentCells } from "../cell/recent.js";
import { CellSyntaxError, type RewrittenCell, tooDeep } from "../cell/rewrite.js";
import { traceMapping } from "../cell/transpile.js";
import type { ExecuteOutcome } from "../handle.js";
import type { ToUser } from "../messages.js";
import { settingsFor } from "../modules/projectSettings.js";
import { bundleOf, isDisplayResult } from "../rich/display.js";
import { prepareBindings, settleBindings, surroundings } from "./bindings.js";
import { ownWork, within } from "./context.js";
import { describeError, holdStacks, rememberCell, syntaxErrorOf } from "./errors.js";
import { asKernel, asUser } from "./intrinsics.js";
import { criticalSection, publish, send, sendSoon } from "./output.js";
import { type Ended, InterruptedError, newWork, type Running, running, type Work } from "./work.js";

type Execute = Extract<ToUser, { type: "execute" }>;
const timesRun = new Map<number, number>();
const cells = new RecentCells();

/**
 * Run a cell. Returns at its first await; nothing here may rely on the rest of this call: a termination unwinds it whole,
 * and `interruptCells` then ends the cell through `running`.
 */
export function execute(request: Execute): void {
  const work = newWork(request);
  let phase: "running" | "finishing" | "done" = "running";
  const done = (outcome: ExecuteOutcome): void =>
    asKernel(() => {
      if (phase === "done") return;
      // Sent first: if this very call is terminated, the next interrupt finds the cell still running.
      send({ type: "done", id: request.id, outcome });
      phase = "done";
      work.ended = performance.now();
      running.delete(request.id);
    });
  const fail = (error: unknown): void => asKernel(() => failed(error));
  const failed = (error: unknown): void => {
    if (phase === "done") return;
    // What listened to the signal has stopped because of the interrupt, whatever it calls that.
    const { aborted, reason } = work.abort.signal;
    const described = describeError(aborted && isAbortError(error) ? reason : error);
    if (!request.silent) publish("error", described, { work });
    done({ status: "error", ...described, died: false });
  };
  const settle = (ended: Ended): void => {
    if (phase === "running") for (const unset of work.unset) settleBindings(unset);
    if ("error" in ended) {
      fail(ended.error);
      return;
    }
    if (phase !== "running") return;
    phase = "finishing";
    void within(work, async () => {
      // Awaited, not chained: user code may have replaced `then`.
      try {
        done(await finish(request, work, ended.value));
      } catch (error) {
        fail(error);
      }
    });
  };
  const end = (ended: Ended): void => asKernel(() => settle(ended));
  running.set(request.id, { work, end });
  holdStacks();
  void within(work, async () => {
    try {
      const result = start(request, work);
      const value = types.isPromise(result) ? await result : result;
      end({ value: value ?? [] });
    } catch (error) {
      end({ error });
    }
  });
}

type Result = readonly unknown[] | undefined;

function start(request: Execute, work: Work): Result | Promise<Result> {
  if (needsMagics(request.code)) {
    return import("../magics/magics.js").then(({ runWithMagics }) =>
      asKernel(() => runWithMagics(request.code, (code) => runCode(code, { ...request, whole: request.code }), work)),
    );
  }
  return runCode(request.code, request);
}

/** Only a line that begins with one of these, or ends in `?`, can be a magic: the parser of magics is not even loaded for others. */
function needsMagics(code: string): boolean {
  return /^[ \t]*(?:%|!|\?)|\?[ \t]*$/m.test(code);
}

/** V8 can be told to stop before a script that names a source map: then the debugger places its breakpoints. */
const DEBUGGABLE = "\n//# sourceMappingURL=cell:";

interface CodeRequest {
  readonly executionCount: number;
  readonly cellId?: string;
  readonly unannounced?: boolean;
  readonly whole?: string;
}

/** Run TypeScript as part of a cell. */
export function runCode(code: string, request: CodeRequest): Result | Promise<Result> {
  return asKernel(() => compileAndRun(code, request));
}

function compileAndRun(code: string, request: CodeRequest): Result | Promise<Result> {
  const url = nameOf(request.executionCount);
  let cell: RewrittenCell;
  try {
    // Not to be terminated halfway through loading the parser.
    cell = criticalSection(() => {
      const rewritten = cells.rewrite(code, { ...surroundings(), legacy: () => settingsFor(process.cwd()).legacy });
      // An error's stack is no time to load what reads the map.
      if (rewritten.map) traceMapping();
      return rewritten;
    });
  } catch (error) {
    if (error instanceof CellSyntaxError) throw syntaxErrorOf(error, code, url);
    throw error;
  }
  rememberCell(url, code, cell);
  if (!request.unannounced) {
    sendSoon({
      type: "cell",
      script: {
        executionCount: request.executionCount,
        url,
        code,
        ...(request.whole !== undefined && request.whole !== code && { whole: request.whole }),
        ...(cell.map && { sourceMap: JSON.stringify(cell.map) }),
        ...(request.cellId !== undefined && { cellId: request.cellId }),
      },
    });
  }
  const work = ownWork();
  const unset = prepareBindings(cell.declared);
  if (unset.size > 0) work?.unset.add(unset);
  const marked = request.unannounced ? cell.script : cell.script + DEBUGGABLE;
  const compile = (): (() => Result | Promise<Result>) => {
    const script = new Script(marked, {
      filename: url,
      columnOffset: -cell.prefix,
      // For the import() of code that the cell hands to eval.
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    return script.runInThisContext({ displayErrors: false }) as () => Result | Promise<Result>;
  };
  let body: () => Result | Promise<Result>;
  try {
    body = compile();
  } catch (error) {
    const found = tooDeep(error);
    throw found ? syntaxErrorOf(found, code, url) : error;
  }
  const result = asUser(body);
  return result instanceof Promise ? result.then((value) => value ?? takeMarked(work)) : (result ?? takeMarked(work));
}

/** The last statement's value where the cell's function does not return it. */
function takeMarked(work: Work | undefined): Result {
  const { marked } = work ?? {};
  if (work) work.marked = undefined;
  return marked;
}

function nameOf(executionCount: number): string {
  const times = (timesRun.get(executionCount) ?? 0) + 1;
  timesRun.set(executionCount, times);
  return times === 1 ? `Cell In[${executionCount}]` : `Cell In[${executionCount}]#${times}`;
}

async function finish(request: Execute, work: Work, value: readonly unknown[]): Promise<ExecuteOutcome> {
  while (work.pending.size > 0) await Promise.all(work.pending);
  // Not awaited where there is nothing to wait for: what follows is then still the kernel's work.
  const { shown, expressions } = asKernel(() => ({
    shown: showResult(request, work, value[0]),
    expressions: Object.entries(request.userExpressions),
  }));
  if (shown) await shown;
  const userExpressions: Record<string, unknown> = {};
  for (const [name, expression] of expressions) userExpressions[name] = await evaluate(expression);
  return { status: "ok", userExpressions, payload: work.payload };
}

/** Publish a cell's value; a promise where the value takes time to describe itself. */
function showResult(request: Execute, work: Work, last: unknown): Promise<void> | undefined {
  if (last === undefined || request.silent || isDisplayResult(last)) return undefined;
  const show = ({ data, metadata }: Awaited<ReturnType<typeof bundleOf>>): void =>
    publish("execute_result", { execution_count: request.executionCount, data, metadata }, { work, soon: true });
  const bundle = bundleOf(last);
  if (types.isPromise(bundle)) return (async () => show(await bundle))();
  show(bundle);
  return undefined;
}

async function evaluate(expression: string): Promise<unknown> {
  try {
    const result = await runCode(expression, { executionCount: 0, unannounced: true });
    const { data, metadata } = await bundleOf(result?.[0]);
    return { status: "ok", data, metadata };
  } catch (error) {
    return { status: "error", ...describeError(error) };
  }
}

const plainTimeout = setTimeout;
const loadedModules = createRequire(import.meta.url).cache;
/** What is terminated so soon after a cell's end is the end itself, not something that the cell has left behind. */
const TAIL_MS = 20;
/** How long a cell that looks at the abort signal may take to stop by itself. */
const GRACE_MS = 1000;

/**
 * Stop every running cell: abort its signal, give it time if it has taken that signal, then let go of it. Called on the event loop, so
 * whatever JavaScript was running has ended or was terminated by the watchdog; `terminated` is the work it belonged to.
 */
export function interruptCells(seq: number, terminated: Work | undefined): void {
  const cells = [...running.values()];
  const reason = new InterruptedError();
  forgetHalfLoadedModules();
  if (terminated?.ended !== undefined && performance.now() - terminated.ended > TAIL_MS)
    stopLeftOver(terminated, reason);
  for (const { work } of cells) work.abort.abort(reason);
  const patient = cells.filter(({ work }) => work.signalTaken);
  const stillRunning = (some: readonly Running[]): boolean => some.some(({ work }) => running.has(work.id));
  const deadline = performance.now() + GRACE_MS;
  // Plain macrotasks: a termination may have emptied the microtask queue.
  const wait = (): void => asKernel(stop);
  const stop = (): void => {
    if (stillRunning(patient) && performance.now() < deadline) {
      plainTimeout(wait, 5);
      return;
    }
    for (const cell of cells) {
      cell.work.interrupted = true;
      stopStarted(cell.work);
      cell.end({ error: reason });
    }
    send({ type: "interrupted", seq });
  };
  if (patient.length > 0) plainTimeout(wait, 1);
  else plainTimeout(wait, 0);
}

function isAbortError(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

/** A cell that ended long ago had left something behind that looped: it would only loop again. */
function stopLeftOver(work: Work, reason: InterruptedError): void {
  stopStarted(work);
  publish("error", describeError(reason), { work });
}

function stopStarted(work: Work): void {
  for (const stop of work.running) stop();
  work.running.clear();
}

/** On the event loop no CommonJS module is being loaded: one that looks so was terminated, and must be loaded again. */
function forgetHalfLoadedModules(): void {
  for (const [file, module] of Object.entries(loadedModules)) if (module?.loaded === false) delete loadedModules[file];
}
