import { pathToFileURL } from "node:url";
import type { DebugProtocol } from "@vscode/debugprotocol";
import { RUNTIME } from "../session/cell/rewrite.js";
import type { Inspector } from "./cdp.js";
import type { DebugInfo, SourceBreakpoint } from "./requests.js";
import { escaped, type Scripts } from "./scripts.js";
import { codeLines, syntaxProblem } from "./syntax.js";

interface Breakpoint {
  readonly id: number;
  readonly asked: SourceBreakpoint;
  readonly line: number;
  /** Why it can never be met. */
  readonly problem: string | undefined;
  /** V8's ids of it, one for each script made from the file. */
  readonly placed: string[];
}

/**
 * The user's breakpoints, by file, and V8's for them. In cells and TypeScript files, whose lines V8 does not know, they are placed
 * while V8 waits before a script's first statement, so that none is missed; in plain JavaScript files V8 does it itself.
 */
export class Breakpoints {
  readonly #inspector: Inspector;
  readonly #scripts: Scripts;
  readonly #byPath = new Map<string, Breakpoint[]>();
  /** V8's breakpoint before every new script. */
  #waiting: Promise<string> | undefined;
  #ids = 1;

  constructor(inspector: Inspector, scripts: Scripts) {
    this.#inspector = inspector;
    this.#scripts = scripts;
  }

  /** Whether the user has set some in a file. */
  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  /** What was asked for, with the lines where it will stop. */
  get list(): DebugInfo["breakpoints"] {
    return [...this.#byPath].map(([source, list]) => ({
      source,
      breakpoints: list.map(({ asked, line }) => ({ ...asked, line })),
    }));
  }

  /** Replaces the breakpoints of a file. `text` is what the file holds, where that is known. */
  set(path: string, text: string | undefined, asked: readonly SourceBreakpoint[]): DebugProtocol.Breakpoint[] {
    const lines = text === undefined ? undefined : codeLines(text);
    const list = asked.map((one): Breakpoint => {
      const line = lines === undefined ? one.line : lines.find((each) => each >= one.line);
      return {
        id: this.#ids++,
        asked: one,
        line: line ?? one.line,
        problem: line === undefined ? `no code is at line ${one.line} or after it` : problemOf(one),
        placed: [],
      };
    });
    this.#unplaced.push(...(this.#byPath.get(path) ?? []).flatMap(({ placed }) => placed.splice(0)));
    if (list.length === 0) this.#byPath.delete(path);
    else this.#byPath.set(path, list);
    const source = this.#scripts.sourceOf(path);
    return list.map(({ id, line, problem }) => ({
      id,
      verified: problem === undefined,
      line,
      source,
      ...(problem === undefined ? {} : { message: problem }),
    }));
  }

  /** V8's breakpoints that nobody wants any more. */
  readonly #unplaced: string[] = [];

  /** Tells V8 what has changed in a file that it may have loaded. */
  async update(path: string): Promise<void> {
    for (const breakpointId of this.#unplaced.splice(0))
      await this.#inspector.call("Debugger.removeBreakpoint", { breakpointId }).catch(() => undefined);
    if (isMapped(path)) for (const scriptId of this.#scripts.withPath(path)) await this.place(scriptId);
    else await this.#placeByUrl(path);
  }

  /** Places the breakpoints of a script's file in it. */
  async place(scriptId: string): Promise<void> {
    const path = this.#scripts.path(scriptId);
    if (path === undefined || !isMapped(path)) return;
    await Promise.all(
      this.#wanted(path).map(async (breakpoint) => {
        const location = this.#scripts.generated(scriptId, breakpoint.line, breakpoint.asked.column);
        if (location === undefined) return;
        await this.#keep(
          breakpoint,
          this.#inspector.call("Debugger.setBreakpoint", { location, ...conditionOf(breakpoint) }),
        );
      }),
    );
  }

  /** Stops at the first statement of a cell, once. Gives V8's id for it. */
  async enter(scriptId: string): Promise<string | undefined> {
    const location = { scriptId, lineNumber: 0, columnNumber: 0 };
    const placed = await this.#inspector.call("Debugger.setBreakpoint", { location }).catch(() => undefined);
    if (placed !== undefined) this.#unplaced.push(placed.breakpointId);
    return placed?.breakpointId;
  }

  async #placeByUrl(path: string): Promise<void> {
    const urlRegex = `^${escaped(pathToFileURL(path).href)}(\\?.*)?$`;
    await Promise.all(
      this.#wanted(path).map((breakpoint) =>
        this.#keep(
          breakpoint,
          this.#inspector.call("Debugger.setBreakpointByUrl", {
            urlRegex,
            lineNumber: breakpoint.line - 1,
            ...(breakpoint.asked.column === undefined ? {} : { columnNumber: breakpoint.asked.column - 1 }),
            ...conditionOf(breakpoint),
          }),
        ),
      ),
    );
  }

  #wanted(path: string): Breakpoint[] {
    return (this.#byPath.get(path) ?? []).filter(({ problem }) => problem === undefined);
  }

  /** V8 refuses where two breakpoints of the user fall on one place: the first holds. */
  async #keep(breakpoint: Breakpoint, placing: Promise<{ readonly breakpointId: string }>): Promise<void> {
    const placed = await placing.catch(() => undefined);
    if (placed !== undefined) breakpoint.placed.push(placed.breakpointId);
  }

  /** V8 waits before each new cell or TypeScript module only while there is something to do then. */
  async wait(needed = [...this.#byPath.keys()].some(isMapped)): Promise<void> {
    if (needed) {
      this.#waiting ??= this.#inspector
        .call("Debugger.setInstrumentationBreakpoint", { instrumentation: "beforeScriptWithSourceMapExecution" })
        .then(({ breakpointId }) => breakpointId);
      await this.#waiting;
    } else if (this.#waiting !== undefined) {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      await this.#inspector.call("Debugger.removeBreakpoint", { breakpointId: await waiting });
    }
  }

  /** V8 knows nothing any more: its process was replaced. What the user asked for stays. */
  forget(): void {
    this.#waiting = undefined;
    this.#unplaced.length = 0;
    for (const list of this.#byPath.values()) for (const { placed } of list) placed.length = 0;
  }

  /** Tells a V8 that knows nothing of the breakpoints in plain JavaScript files. */
  async placeInFiles(): Promise<void> {
    await Promise.all([...this.#byPath.keys()].filter((path) => !isMapped(path)).map((path) => this.#placeByUrl(path)));
  }

  /** Places the others in what it has loaded already. */
  async placeInLoaded(): Promise<void> {
    const loaded = [...this.#byPath.keys()].filter(isMapped).flatMap((path) => this.#scripts.withPath(path));
    await Promise.all(loaded.map((scriptId) => this.place(scriptId)));
  }

  /** Forgets everything; V8 is told by who disables its debugger. */
  clear(): void {
    this.#byPath.clear();
    this.forget();
  }

  /** Our ids for those of V8. */
  idsOf(placed: readonly string[]): number[] {
    return [...this.#byPath.values()]
      .flat()
      .filter((breakpoint) => breakpoint.placed.some((id) => placed.includes(id)))
      .map(({ id }) => id);
  }
}

/** Whether V8's lines of a file are others than the user's. */
function isMapped(path: string): boolean {
  return /\.[mc]?tsx?$/.test(path);
}

const HITS = /^\s*(>=|<=|===?|>|<|%)?\s*(\d+)\s*$/;

function problemOf({ condition, hitCondition, logMessage }: SourceBreakpoint): string | undefined {
  if (condition) {
    const problem = syntaxProblem(`(${condition}\n)`);
    if (problem !== undefined) return `the condition ${condition} cannot be read: ${problem}`;
  }
  if (hitCondition && !HITS.test(hitCondition))
    return `the hit condition ${hitCondition} cannot be read: expected a number, or one after >=, <=, ==, >, < or %`;
  if (logMessage) {
    const problem = syntaxProblem(logOf(logMessage));
    if (problem !== undefined) return `the log message ${logMessage} cannot be read: ${problem}`;
  }
  return undefined;
}

/**
 * The condition V8 is given: the user's own, with hits counted and, for a log point, the line written instead of a stop. V8 takes what
 * throws for false: it is told instead, and a condition that fails stops.
 */
function conditionOf({ id, asked: { condition, hitCondition, logMessage } }: Breakpoint): { condition?: string } {
  const tests: string[] = [];
  const attempt = (what: string, expression: string): string =>
    `${RUNTIME}.attempt(${JSON.stringify(what)}, () => ${expression})`;
  if (condition) tests.push(attempt(`The breakpoint's condition ${condition}`, `(${condition}\n)`));
  if (hitCondition) {
    const [, operator = ">=", count = "1"] = HITS.exec(hitCondition) ?? [];
    const hits = `(globalThis[Symbol.for("Jupyter.breakpointHits")] ??= Object.create(null))`;
    const counted = `(${hits}[${id}] = (${hits}[${id}] ?? 0) + 1)`;
    tests.push(
      operator === "%"
        ? `(${counted} % ${count} === 0)`
        : `(${counted} ${operator.startsWith("=") ? "===" : operator} ${count})`,
    );
  }
  if (logMessage) tests.push(`(${attempt(`The log message ${logMessage}`, logOf(logMessage))}, false)`);
  return tests.length === 0 ? {} : { condition: tests.join(" && ") };
}

/** Text with expressions in braces, as an expression that writes it. */
function logOf(message: string): string {
  const template = message
    .replace(/[`\\]/g, "\\$&")
    .replace(/\$(?=\{)/g, "\\$")
    .replace(/(?<!\\)\{([^{}]*)\}/g, (_, expression: string) => `\${${expression.replaceAll("\\`", "`")}}`);
  return `console.log(\`${template}\`)`;
}
