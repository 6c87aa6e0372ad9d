/** Errors as people want to read them: the cell's number, the user's lines, a code frame, nothing of the kernel. */

import type { EventEmitter } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { findSourceMap } from "node:module";
import { isAbsolute, relative } from "node:path";
import process from "node:process";
import { fileURLToPath, URL } from "node:url";
import { types } from "node:util";
import type { TraceMap } from "@jridgewell/trace-mapping";
import { type CellSyntaxError, type RewrittenCell, withoutMarks } from "../cell/rewrite.js";
import { traceMapping } from "../cell/transpile.js";
import { printed } from "../rich/print.js";
import { currentWork, workOfPromise } from "./context.js";
import { asKernel } from "./intrinsics.js";
import { publish } from "./output.js";
import { type Shared, slot } from "./shared.js";
import type { Work } from "./work.js";

interface KnownCell extends Pick<RewrittenCell, "map" | "prefix"> {
  readonly code: string;
  trace?: TraceMap;
}

const cells = new Map<string, KnownCell>();
const MAX_CELLS = 1000;

/** Where an error came from: the user's file or cell, 1-based. */
interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The file as it was loaded, where that is known: it may have changed on disk since. */
  readonly code?: string;
}

const kernelFolder = new URL("../..", import.meta.url).href;
/** Where the user's code frames lie: the place that threw and, where that is in a file, the cell that called it. */
const places = new WeakMap<object, Position[]>();

/** Keep a cell's source and map for the stacks of errors to come. */
export function rememberCell(url: string, code: string, { map, prefix }: Pick<RewrittenCell, "map" | "prefix">): void {
  cells.set(url, { code, map, prefix });
  if (cells.size > MAX_CELLS) for (const oldest of cells.keys()) return void cells.delete(oldest);
}

/** From here on stacks are in the user's terms, and errors that nobody catches are shown under the cell that started the work. */
export function watchErrors({ control }: Shared): void {
  Error.stackTraceLimit = 50;
  holdStacks();
  // What these throw ends the process.
  const uncaught = (error: unknown): void =>
    asKernel(() => {
      if (isTermination(error) || (error === null && Atomics.load(control, slot.terminating) === 1)) {
        Atomics.store(control, slot.swallowed, 1);
        return;
      }
      if (process.listenerCount("uncaughtException") === 1) report(error, currentWork());
    });
  const unhandled = (error: unknown, promise: Promise<unknown>): void =>
    asKernel(() => {
      if (process.listenerCount("unhandledRejection") === 1) report(error, workOfPromise(promise) ?? currentWork());
    });
  // A cell that removes all listeners means its own: without ours the next error would end the process.
  const restore = (event: string | symbol, listener: unknown): void => {
    if (listener === uncaught || listener === unhandled) process.on(event, listener as typeof uncaught);
  };
  const emitter: EventEmitter = process;
  const ours = {
    uncaughtException: uncaught,
    unhandledRejection: unhandled,
    // A later cell awaits it after all: it has been shown, and Node need not warn of that.
    rejectionHandled: () => undefined,
    removeListener: restore,
  };
  const listen = (): void => {
    for (const [event, listener] of Object.entries(ours))
      if (!emitter.listeners(event).includes(listener)) emitter.on(event, listener);
  };
  listen();
  const removeAll = process.removeAllListeners;
  process.removeAllListeners = (...which) => {
    removeAll.apply(process, which);
    // The removal of every event's listeners takes `restore` with it.
    listen();
    return process;
  };
}

/**
 * Whether a termination is given out as an error, which V8 does where it hits a promise hook while the debugger is on. It is no value
 * of the language: `typeof` takes it for undefined, and the process aborts when anything else is asked of it.
 */
function isTermination(error: unknown): boolean {
  // Not written as a comparison with a literal: that V8 answers without asking for the type's name.
  return kinds.undefined === typeof error && error !== undefined;
}

const kinds = { undefined: "undefined" };

type PrepareStack = (error: Error, sites: NodeJS.CallSite[]) => unknown;

let prepare: PrepareStack = prepareStack;
const wrapped = new WeakMap<PrepareStack, PrepareStack>();
const wrappers = new WeakSet<PrepareStack>();

const stackHook: PropertyDescriptor = {
  get: () => prepare,
  set(value: unknown) {
    if (typeof value !== "function") prepare = prepareStack;
    else prepare = inUsersTerms(value as PrepareStack);
  },
  configurable: true,
  enumerable: true,
};

/** Cells and packages set `Error.prepareStackTrace` for a while, put back what was there, or delete it: stacks stay in the user's terms. */
export function holdStacks(): void {
  if (Object.getOwnPropertyDescriptor(Error, "prepareStackTrace")?.get !== stackHook.get)
    Object.defineProperty(Error, "prepareStackTrace", stackHook);
}

/** A cell's own `prepareStackTrace`, given call sites that lie in what the user wrote. */
function inUsersTerms(own: PrepareStack): PrepareStack {
  if (own === prepareStack || wrappers.has(own)) return own;
  let wrapper = wrapped.get(own);
  if (!wrapper) {
    wrapper = (error, sites) => {
      try {
        return own.call(Error, error, framesOf(error, sites).map(callSite));
      } catch {
        return prepareStack(error, sites);
      }
    };
    wrapped.set(own, wrapper);
    wrappers.add(wrapper);
  }
  return wrapper;
}

function report(error: unknown, work: Work | undefined): void {
  if (work?.interrupted && isStop(error)) return;
  publish("error", describeError(error), { work });
}

function isStop(error: unknown): boolean {
  const name = read(error, "name");
  return name === "AbortError" || name === "KeyboardInterrupt";
}

/** Content of an `error` message. Never throws, whatever was thrown. */
export function describeError(error: unknown): { ename: string; evalue: string; traceback: string[] } {
  if (!isError(error)) {
    const evalue = typeof error === "string" ? error : safely(() => printed(error), plainly(error));
    const shown = safely(() => printed(error, { colors: true }), evalue);
    return { ename: "Uncaught", evalue, traceback: [`${red("Uncaught")} ${shown}`] };
  }
  // Makes the stack, which may say it better than V8 did: see rename.
  read(error, "stack");
  const ename = nameOf(error);
  const message = read(error, "message");
  const evalue =
    typeof message === "string" ? message : message === undefined ? "" : safely(() => printed(message), "");
  if (ename === "KeyboardInterrupt") return { ename, evalue, traceback: [`${red(ename)}: ${evalue}`] };
  const frames = safely(() => codeFramesOf(error), []);
  const text = safely(
    () => withoutBrackets(printed(error, { colors: true })),
    `${ename}${evalue && `: ${evalue}`}\n(the rest of this error cannot be shown: reading it throws)`,
  );
  return { ename, evalue, traceback: [...frames, ...emphasise(text).split("\n")] };
}

function safely<T>(attempt: () => T, otherwise: T): T {
  try {
    return attempt();
  } catch {
    return otherwise;
  }
}

/** What can be said of a value that fails to print itself. */
function plainly(value: unknown): string {
  return safely(() => printed(value, { customInspect: false }), "a value that cannot be printed");
}

/** A property of whatever was thrown, without trusting it. */
function read(value: unknown, key: string): unknown {
  return safely(() => (value as Readonly<Record<string, unknown>> | null | undefined)?.[key], undefined);
}

function isError(value: unknown): value is Error {
  if (typeof value !== "object" || value === null) return false;
  return safely(
    () =>
      types.isNativeError(value) ||
      value instanceof Error ||
      Object.prototype.toString.call(value) === "[object Error]",
    false,
  );
}

/** The error's name; where its class has not given it one, the class's. */
function nameOf(error: Error): string {
  const name = read(error, "name");
  const className = read(read(error, "constructor"), "name");
  const named = typeof name === "string" && name !== "";
  if (typeof className !== "string" || !/^[A-Z]\w{2,}$/.test(className) || className === "NodeError")
    return named ? name : "Error";
  return named && !isInherited(error) ? name : className;
}

/** Does the error's name come from a class above its own? */
function isInherited(error: Error): boolean {
  return safely(() => !Object.hasOwn(error, "name") && !Object.hasOwn(Object.getPrototypeOf(error), "name"), false);
}

/** Node puts an error without frames in brackets. */
function withoutBrackets(text: string): string {
  return text.replace(/^\[([^\n]*)\]/, "$1");
}

function red(text: string): string {
  return `\u001b[1;31m${text}\u001b[0m`;
}

function dim(text: string): string {
  return `\u001b[2m${text}\u001b[0m`;
}

function emphasise(text: string): string {
  return text.replace(/^[^\n]*/, (first) => (first.includes("\u001b") ? first : red(first)));
}

/** The error for a cell that does not parse: no stack but the place. */
export function syntaxErrorOf(found: CellSyntaxError, code: string, url: string): SyntaxError {
  const error = new SyntaxError(found.help ? `${found.message} (${found.help})` : found.message);
  rememberCell(url, code, { map: undefined, prefix: 0 });
  error.stack = `SyntaxError: ${error.message}\n    at ${url}:${found.line}:${found.column}`;
  places.set(error, [{ file: url, line: found.line, column: found.column }]);
  return error;
}

/** A syntax error of a local file, from a message that ends with the place: the loader's own stack is perhaps of another thread. */
export function brokenModule(text: string): SyntaxError {
  const [, message = text, file = "", line = "1", column = "1"] = /^([\s\S]*) at (.*):(\d+):(\d+)$/.exec(text) ?? [];
  const broken = new SyntaxError(message);
  const calls = String(broken.stack).split("\n").slice(message.split("\n").length);
  if (file === "") return broken;
  const importing = (places.get(broken) ?? []).filter((place) => cells.has(place.file));
  broken.stack = [`SyntaxError: ${message}`, `    at ${file}:${line}:${column}`, ...calls].join("\n");
  places.set(broken, [{ file, line: Number(line), column: Number(column) }, ...importing]);
  return broken;
}

function codeFramesOf(error: Error): string[] {
  const found = places.get(error) ?? [scriptPosition(error) ?? placeInText(error)];
  return found.flatMap((position) => {
    const frame = position && codeFrame(position);
    return frame ? [...frame, ""] : [];
  });
}

function codeFrame(position: Position): string[] | undefined {
  const code = codeOf(position);
  if (code === undefined) return undefined;
  const lines = code.split(/\r?\n/);
  if (position.line > lines.length) return undefined;
  const from = Math.max(1, position.line - 2);
  const to = Math.min(lines.length, position.line + 2);
  const width = String(to).length;
  const shown: string[] = [dim(`${nameOfFile(position.file)}:${position.line}:${position.column}`)];
  for (let line = from; line <= to; line++) {
    const text = lines[line - 1] ?? "";
    const number = String(line).padStart(width);
    if (line === position.line) {
      const window = around(text, position.column);
      shown.push(`${red(">")} ${number} ${dim("|")} ${window.text}`);
      shown.push(`  ${" ".repeat(width)} ${dim("|")} ${window.indent}${red("^")}`);
    } else shown.push(dim(`  ${number} | ${around(text, 1).text}`));
  }
  return shown;
}

const MAX_FILE = 5_000_000;

function codeOf({ file, code }: Position): string | undefined {
  const cell = cells.get(file);
  if (cell || code !== undefined) return cell?.code ?? code;
  if (!isAbsolute(file)) return undefined;
  return safely(() => (statSync(file).size < MAX_FILE ? readFileSync(file, "utf8") : undefined), undefined);
}

function nameOfFile(file: string): string {
  if (!isAbsolute(file)) return cellName(file);
  const near = relative(process.cwd(), file);
  return near.startsWith("..") ? file : near;
}

/** `Cell In[3]#2` is the second script of that number: people see `Cell In[3]`. */
function cellName(file: string): string {
  return file.replace(/^(Cell In\[\d+\])#\d+$/, "$1");
}

const MAX_WIDTH = 500;

/** A line, of a very long one what lies around the column, and what to put before the caret below it. */
function around(line: string, column: number): { readonly text: string; readonly indent: string } {
  const blank = (text: string): string => text.replace(/[^\t]/g, " ");
  if (line.length <= MAX_WIDTH) return { text: line, indent: blank(line.slice(0, column - 1)) };
  const from = Math.max(0, Math.min(column - MAX_WIDTH / 2, line.length - MAX_WIDTH));
  const [head, tail] = [from > 0 ? "..." : "", from + MAX_WIDTH < line.length ? "..." : ""];
  return {
    text: `${head}${line.slice(from, from + MAX_WIDTH)}${tail}`,
    indent: blank(head + line.slice(from, column - 1)),
  };
}

/** Where an error of another thread says that it was thrown: it came as text. */
function placeInText(error: Error): Position | undefined {
  for (const line of String(error.stack).split("\n")) {
    const [, url = "", row, column] =
      /^ {4}at (?:.* \()?((?:file:\/\/|\/|[A-Z]:\\).*):(\d+):(\d+)\)?$/.exec(line) ?? [];
    const file = pathOf(url);
    if (isOwnFile(file) && !isKernel(url)) return { file, line: Number(row), column: Number(column) };
  }
  return undefined;
}

/** V8's own syntax errors (found when the script is compiled) name the script at the start of their stack. */
function scriptPosition(error: Error): Position | undefined {
  // There is no caret below a character without a width.
  const match = /^(Cell In\[\d+\](?:#\d+)?):(\d+)\n.*\n( *)(?:\^|$)/m.exec(String(error.stack));
  if (!match) return undefined;
  const [, file = "", line = "1", indent = ""] = match;
  const prefix = line === "1" ? (cells.get(file)?.prefix ?? 0) : 0;
  const position = originalPosition(file, Number(line), Math.max(1, indent.length + 1 - prefix));
  error.stack = `${error.name}: ${error.message}\n    at ${cellName(file)}:${position.line}:${position.column}`;
  return position;
}

function prepareStack(error: Error, sites: NodeJS.CallSite[]): string {
  return asKernel(() => stackOf(error, sites));
}

function stackOf(error: Error, sites: NodeJS.CallSite[]): string {
  let header: string;
  try {
    const plain = Error.prototype.toString.call(rename(error));
    const code = codeOfNode(error);
    // An AssertionError has its code in its name while its stack is made.
    header = plain.includes(code) ? plain : plain.replace(/^\w+/, (name) => name + code);
  } catch {
    header = "Error";
  }
  const frames = framesOf(error, sites).map((frame) => `    at ${frameText(frame)}`);
  return [header, ...frames].join("\n");
}

/** A call site and where it lies in what the user wrote. */
interface StackFrame {
  readonly site: NodeJS.CallSite;
  readonly position: Position;
}

/** The frames that a user wants to see. Notes where the error's code frames will be. */
function framesOf(error: Error, sites: readonly NodeJS.CallSite[]): StackFrame[] {
  const frames: StackFrame[] = [];
  const found: Position[] = [];
  let kept = 0;
  for (const site of sites) {
    const file = site.getScriptNameOrSourceURL() ?? "";
    if (file.startsWith("node:internal/modules/")) continue;
    if (isKernel(file)) {
      // What has called the cell.
      if (kept > 0 && site.getFunctionName() === "runCode") break;
      continue;
    }
    const told = originalPosition(file, site.getLineNumber() ?? 1, site.getColumnNumber() ?? 1);
    const position = frames.length === 0 && error instanceof ReferenceError ? placeOfName(error, told) : told;
    frames.push({ site, position });
    if (file.startsWith("node:")) continue;
    kept = frames.length;
    const isCell = cells.has(position.file);
    if (found.length === 0 ? isCell || isOwnFile(position.file) : isCell && !found.some(({ file }) => cells.has(file)))
      found.push(position);
  }
  if (!places.has(error) && found.length > 0) places.set(error, found);
  // Node's own frames below the user's last one say nothing; those above (what the user called) do.
  return frames.slice(0, kept);
}

/** V8 says of a name that a script does not find only where its statement begins; the name stands further on in the line. */
function placeOfName(error: ReferenceError, position: Position): Position {
  const [, missing, early] =
    /^(?:([\p{ID_Continue}$]+) is not defined|Cannot access '([\p{ID_Continue}$]+)' before initialization)$/u.exec(
      String(read(error, "message")),
    ) ?? [];
  const name = missing ?? early;
  const line = cells.get(position.file)?.code.split(/\r?\n/, position.line)[position.line - 1];
  if (name === undefined || line === undefined) return position;
  const rest = line.slice(position.column - 1);
  if (rest.startsWith("new ")) return position;
  // Neither in text nor behind a point nor as the key of a property.
  const wanted = name.replaceAll("$", "\\$");
  const pieces = new RegExp(
    String.raw`'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\/\/.*|\/\*.*?\*\/|(?<![\p{ID_Continue}$#]|(?<!\.\.)\.)(${wanted})(?![\p{ID_Continue}$]|\s*:)`,
    "gu",
  );
  for (const { index, 1: found } of rest.matchAll(pieces))
    if (found !== undefined) return { ...position, column: position.column + index };
  return position;
}

/** A file of the user's, not of a package. */
function isOwnFile(file: string): boolean {
  return isAbsolute(file) && !/[\\/]node_modules[\\/]/.test(file);
}

/** A call site that answers in the user's terms. */
function callSite(frame: StackFrame): NodeJS.CallSite {
  const { site, position } = frame;
  const answers = new Map<PropertyKey, () => unknown>([
    ["getLineNumber", () => position.line],
    ["getColumnNumber", () => position.column],
    ["toString", () => frameText(frame)],
  ]);
  if (cells.has(position.file)) {
    for (const name of ["getFileName", "getScriptNameOrSourceURL"]) answers.set(name, () => cellName(position.file));
  }
  return new Proxy(site, {
    get: (target, key) => {
      const value: unknown = answers.get(key) ?? Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function isKernel(file: string): boolean {
  return file.startsWith(kernelFolder) || file === "node:vm" || file.startsWith("node:internal/vm");
}

/** Node names its own errors with their code: `TypeError [ERR_INVALID_ARG_TYPE]`. */
function codeOfNode(error: Error): string {
  const code = read(error, "code");
  return typeof code === "string" && /^ERR_[A-Z0-9_]+$/.test(code) ? ` [${code}]` : "";
}

/** "Cannot assign to read only property" of a global is how V8 says that a constant of a cell was assigned. */
function rename(error: Error): Error {
  const message = String(error.message);
  const [, key = ""] = /^Cannot assign to read only property '([^']+)' of object '#<Object>'$/.exec(message) ?? [];
  const constant = error instanceof TypeError && Object.getOwnPropertyDescriptor(globalThis, key)?.writable === false;
  // The names that the rewriter gives have a mark that nobody sees, and nobody types.
  const better = constant ? "Assignment to constant variable." : withoutMarks(message);
  if (better !== message)
    Object.defineProperty(error, "message", { value: better, writable: true, configurable: true, enumerable: false });
  return error;
}

/** Where a position of a script or module lies in what the user wrote. */
function originalPosition(file: string, line: number, column: number): Position {
  const cell = cells.get(file);
  if (cell) {
    if (!cell.map) return { file, line, column: Math.max(1, column) };
    const { originalPositionFor, TraceMap } = traceMapping();
    cell.trace ??= new TraceMap(cell.map);
    const found = originalPositionFor(cell.trace, { line, column: Math.max(0, column - 1) });
    return found.line === null
      ? { file, line, column: Math.max(1, column) }
      : { file, line: found.line, column: found.column + 1 };
  }
  // CommonJS modules go by their path.
  if (file.startsWith("file:") || isAbsolute(file)) {
    const map = findSourceMap(file);
    const entry = map?.findEntry(line - 1, column - 1);
    if (entry && "originalLine" in entry && entry.originalLine !== undefined) {
      const code = map?.payload.sourcesContent?.[0];
      return {
        file: pathOf(file),
        line: entry.originalLine + 1,
        column: entry.originalColumn + 1,
        ...(typeof code === "string" && { code }),
      };
    }
    return { file: pathOf(file), line, column };
  }
  return { file, line, column };
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url.replace(/\?v=\d+$/, ""));
  } catch {
    return url;
  }
}

/** Where V8 says that the code of a frame was handed to `eval` or `new Function`. */
const EVAL_ORIGIN = /\b(Cell In\[\d+\](?:#\d+)?|file:[^\s()]+):(\d+):(\d+)/g;

function originText(script: string, line: string, column: string): string {
  // V8 forgets here that a cell's first line begins further to the left.
  const prefix = line === "1" ? (cells.get(script)?.prefix ?? 0) : 0;
  const place = originalPosition(script, Number(line), Number(column) - prefix);
  return `${cellName(place.file)}:${place.line}:${place.column}`;
}

function frameText({ site, position }: StackFrame): string {
  const text = withoutMarks(String(site));
  if (site.isEval())
    return text.replace(EVAL_ORIGIN, (_all, ...[file, line, column]) => originText(file, line, column));
  // Code that the kernel put before the first column is, to V8, at a negative one, of which its own text alone speaks.
  const column = site.getColumnNumber() ?? /:(-\d+)\)?$/.exec(text)?.[1];
  const where = `${site.getScriptNameOrSourceURL() ?? ""}:${site.getLineNumber()}:${column}`;
  return text.replace(where, () => `${cellName(position.file)}:${position.line}:${position.column}`);
}
