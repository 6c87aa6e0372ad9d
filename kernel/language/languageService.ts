import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Completeness, Completion, Diagnostic, Inspection, Runtime, RuntimeName } from "./answers.js";
import { type Chain, chainAt, chainBefore, chainIndexed } from "./chain.js";
import { isComplete } from "./isComplete.js";
import type { AnswerMessage, Answers, Job, JobMessage, WorkerSetup } from "./jobs.js";
import { namesWithoutSession, withKeywords } from "./knownNames.js";
import { lexical } from "./lexical.js";
import { completeMagicArgument, magicUsage } from "./magicArguments.js";
import { blankMagics } from "./magicLines.js";
import { completeMagic } from "./magicNames.js";
import { inTypedCase, mergeCompletions } from "./merge.js";
import { presentInspection } from "./present.js";

export interface LanguageServiceOptions {
  /** Folder of the notebook: imports and tsconfig.json are looked for here. */
  readonly directory: string;
  /** The running session; without it only types are known. */
  readonly runtime?: Runtime;
  /** How long, in milliseconds, a key press waits for the checker before living names alone are the answer. Default 1500. */
  readonly patience?: number;
  /** Is told what went wrong in the background. */
  readonly log?: (line: string) => void;
}

const PATIENCE_MS = 1500;
/** How long, once the types are known, living values may still come. */
const SPARE_MS = 40;
/** How long a cold checker is waited for when the session is busy and what can be said without both will do. */
const BUSY_MS = 300;
/** How much longer, when living names tell nothing. */
const LONG_PATIENCE_MS = 8000;
/** Cells remembered for a worker that starts late or starts again. */
const REMEMBERED_CELLS = 2000;

/**
 * Completions, hover, completeness and diagnostics for the cells of one notebook. The checker runs in a worker thread that
 * starts at the first `warm()`, `complete()`, `inspect()` or `diagnostics()`; until it is warm the running session's values
 * answer. Nothing here blocks the calling thread or rejects: what fails in the background is logged and answers are empty.
 */
export class LanguageService {
  readonly #options: LanguageServiceOptions;
  #directory: string;
  #worker: Worker | undefined;
  #state: "cold" | "warming" | "ready" | "failed" | "disposed" = "cold";
  #cells: { readonly source: string; readonly cell: number }[] = [];
  #waiting = new Int32Array(new SharedArrayBuffer(4));
  readonly #pending = new Map<number, (answer: Answers[Job["kind"]] | undefined) => void>();
  #nextId = 1;
  #crashes = 0;
  #warmed: Promise<void> = Promise.resolve();

  constructor(options: LanguageServiceOptions) {
    this.#options = options;
    this.#directory = options.directory;
  }

  /** "cold" until something asks for types; then "warming" for some seconds; then "ready". */
  get state(): "cold" | "warming" | "ready" | "failed" | "disposed" {
    return this.#state;
  }

  /** Starts the checker if it does not run, and resolves when it is warm (or has failed). */
  warm(): Promise<void> {
    this.#start();
    return this.#warmed;
  }

  /** Tells of a cell that is being run: later answers know its declarations. Cells that do not parse are harmless. */
  addCell(source: string, executionCount: number): void {
    this.#cells.push({ source, cell: executionCount });
    if (this.#cells.length > REMEMBERED_CELLS) this.#cells.shift();
    if (this.#worker !== undefined) void this.#ask({ kind: "add", source, cell: executionCount });
  }

  /** Forgets all cells (the session was restarted) and, if given, moves to another folder. The warm checker is kept. */
  reset(directory = this.#directory): void {
    this.#directory = directory;
    this.#cells = [];
    if (this.#worker !== undefined) void this.#ask({ kind: "reset", directory });
  }

  /**
   * What may stand at `offset` of `code`: typed proposals joined with living names.
   * @param offset UTF-16 units.
   */
  async complete(code: string, offset: number): Promise<Completion> {
    const magic = completeMagic(code, offset) ?? completeMagicArgument(code, offset, this.#directory);
    if (magic !== undefined) return magic;
    const chain = chainTyped(code, offset);
    const at = { start: chain?.start ?? offset, end: offset, typed: chain?.typed ?? "", quote: chain?.quote };
    this.#start();
    const living = chain === undefined ? Promise.resolve([]) : this.#living(chain.object);
    const unchecked =
      chain?.object === "" ? () => namesWithoutSession(this.#cells.map(({ source }) => source)) : undefined;
    const known = living.then((names) =>
      names === undefined && unchecked ? undefined : names?.some(({ name }) => name.startsWith(at.typed)) === true,
    );
    const types = await this.#typed(
      { kind: "complete", source: code, offset, root: chain?.object ? chain.root : undefined },
      known,
    );
    const told = types !== undefined && types.items.length > 0;
    // A session that is busy does not answer; the types alone are then answer enough.
    const values = types?.closed === true ? [] : told ? await within(SPARE_MS, living) : await living;
    const plain = types === undefined && unchecked !== undefined;
    const names = values ?? (plain ? unchecked() : []);
    return inTypedCase(mergeCompletions(types, plain ? withKeywords(names) : names, at), code, offset);
  }

  /**
   * Signature, documentation and current value of what stands at `offset`, as text/plain, text/markdown and text/html.
   * @param detailLevel 1 (as `??` asks) adds the text of the definition.
   */
  async inspect(code: string, offset: number, detailLevel: 0 | 1): Promise<Inspection> {
    const magic = magicUsage(code, offset);
    if (magic !== undefined)
      return presentInspection({ signature: magic.usage, documentation: magic.help, tags: [] }, undefined);
    this.#start();
    const { here, callee } = chainsAround(code, offset);
    const definition = detailLevel === 1;
    const living = here === undefined ? Promise.resolve(undefined) : this.#value(here);
    const known = living.then((value) => isFound(value) && !definition);
    const types = await this.#typed({ kind: "inspect", source: code, offset, definition }, known);
    const value = types === undefined ? await living : await within(SPARE_MS, living);
    if (types !== undefined || isFound(value) || callee === undefined)
      return presentInspection(types, types?.local !== true && isFound(value) ? value : undefined);
    const called = await this.#value(callee);
    return presentInspection(undefined, isFound(called) ? called : undefined);
  }

  /** Whether the code can be run as it stands. Needs no checker. */
  isComplete(code: string): Completeness {
    return isComplete(code);
  }

  /**
   * What the checker finds in a cell, given the cells added before. Waits while the checker warms up. A name that it does not
   * know may still be a living one (`globalThis.x = 1`); as long as a busy session cannot tell, it gets the benefit of the doubt.
   */
  async diagnostics(code: string): Promise<readonly Diagnostic[]> {
    this.#start();
    const found = (await this.#ask({ kind: "diagnostics", source: code })) ?? [];
    if (this.#options.runtime === undefined || !found.some(isUnknownName)) return found;
    for (let tries = 0; tries < 10; tries++) {
      const names = (await this.#living("")) ?? [];
      if (names.length > 0) {
        const known = new Set(names.map(({ name }) => name));
        return found.filter((each) => !isUnknownName(each) || !known.has(code.slice(each.start, each.end)));
      }
      await delay(1000, undefined, { ref: false });
    }
    return found.filter((each) => !isUnknownName(each));
  }

  async dispose(): Promise<void> {
    this.#state = "disposed";
    const worker = this.#worker;
    this.#worker = undefined;
    this.#settleAll();
    await worker?.terminate();
  }

  #start(): void {
    if (this.#state !== "cold") return;
    this.#state = "warming";
    this.#waiting = new Int32Array(new SharedArrayBuffer(4));
    const setup: WorkerSetup = { directory: this.#directory, waiting: this.#waiting.buffer as SharedArrayBuffer };
    const worker = new Worker(new URL("./worker.js", import.meta.url), {
      workerData: setup,
      execArgv: [],
      name: "policyscope-language",
      resourceLimits: { maxOldGenerationSizeMb: 2048 },
    });
    worker.unref();
    this.#worker = worker;
    worker.on("message", (message: AnswerMessage) => {
      const settle = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if ("error" in message) this.#options.log?.(`language service: ${message.error}`);
      settle?.("error" in message ? undefined : message.answer);
    });
    worker.on("error", (error) => this.#crashed(worker, error.message));
    worker.on("exit", (code) => this.#crashed(worker, `worker ended with code ${code}`));
    for (const { source, cell } of this.#cells) void this.#ask({ kind: "add", source, cell });
    this.#warmed = this.#ask({ kind: "warm" }).then((warm) => {
      if (this.#worker === worker && warm === true) this.#state = "ready";
    });
  }

  /** A crash (out of memory, say) starts a new worker at the next question; after three the session goes on without types. */
  #crashed(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#options.log?.(`language service: ${reason}`);
    this.#state = ++this.#crashes < 3 ? "cold" : "failed";
    this.#settleAll();
  }

  #settleAll(): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const settle of pending) settle(undefined);
  }

  #ask<K extends Job["kind"]>(job: Extract<Job, { kind: K }>): Promise<Answers[K] | undefined> {
    const worker = this.#worker;
    if (worker === undefined) return Promise.resolve(undefined);
    const id = this.#nextId++;
    if (job.kind === "complete" || job.kind === "inspect") Atomics.add(this.#waiting, 0, 1);
    return new Promise((resolve) => {
      this.#pending.set(id, (answer) => resolve(answer as Answers[K] | undefined));
      const message: JobMessage = { id, job };
      worker.postMessage(message);
    });
  }

  /**
   * The checker's answer, if it comes soon; waited for longer, and while it warms up, when nothing else is known.
   * @param known whether living values tell something; undefined when the session is busy but something can be said without it.
   */
  async #typed<K extends "complete" | "inspect">(
    job: Extract<Job, { kind: K }>,
    known: Promise<boolean | undefined>,
  ): Promise<Answers[K] | undefined> {
    if (this.#state !== "ready") {
      if (this.#state !== "warming") return undefined;
      // Whoever asks what something is wants its documentation, not to be told at once that it is there.
      const { kind }: Job = job;
      if (kind === "inspect") return within(LONG_PATIENCE_MS, this.#ask(job));
      if ((await known) === true) return undefined;
      if ((await known) === undefined) return within(BUSY_MS, this.#ask(job));
    }
    const answer = this.#ask(job);
    const soon = await within(this.#options.patience ?? PATIENCE_MS, answer);
    return soon !== undefined || (await known) ? soon : within(LONG_PATIENCE_MS, answer);
  }

  /** Undefined while the session is busy. */
  async #living(expression: string): Promise<readonly RuntimeName[] | undefined> {
    try {
      return await within(PATIENCE_MS, this.#options.runtime?.complete(expression) ?? Promise.resolve([]));
    } catch {
      return [];
    }
  }

  /** Empty when there is none, undefined while the session is busy. */
  async #value(expression: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    try {
      return await within(PATIENCE_MS, this.#options.runtime?.inspect(expression) ?? Promise.resolve({}));
    } catch {
      return {};
    }
  }
}

function isFound(value: Readonly<Record<string, unknown>> | undefined): boolean {
  return value !== undefined && Object.keys(value).length > 0;
}

/** The chain of names that is being typed; none in comments, in text, and in strings that are no index. */
function chainTyped(source: string, offset: number): Chain | undefined {
  const code = blankMagics(source, true);
  const { inside, start } = lexical(code.slice(0, offset));
  if (inside === "string") return chainIndexed(code, start, offset);
  return inside === "code" ? chainBefore(code, offset) : undefined;
}

/** The chain at `offset`, and the one that is called where `offset` stands among arguments. */
function chainsAround(source: string, offset: number): { here?: string | undefined; callee?: string | undefined } {
  const code = blankMagics(source, true);
  const { inside, open } = lexical(code.slice(0, offset));
  if (inside === "comment" || inside === "regex" || inside === "template") return {};
  const call = open.findLast(({ bracket }) => bracket === "(" || bracket === "{" || bracket === "${");
  const callee = call?.bracket === "(" ? chainAt(code, code.slice(0, call.at).trimEnd().length) : undefined;
  return { here: inside === "code" ? chainAt(code, offset) : undefined, callee };
}

/** "Cannot find name" and its variants. */
function isUnknownName({ code }: Diagnostic): boolean {
  return [2304, 2503, 2552, 2580, 2581, 2582, 2583, 2584, 2591, 2592, 2593, 2867, 2868, 18004].includes(code);
}

/** The promise's value, or undefined when it takes longer; the timer keeps no process alive. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const stop = new AbortController();
  const late = delay(ms, undefined, { ref: false, signal: stop.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}
