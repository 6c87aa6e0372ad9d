/** Errors as people want to read them: the cell's number, the user's lines, a code frame, nothing of the kernel. */

import { findSourceMap } from "node:module";
import process from "node:process";
import { fileURLToPath, URL } from "node:url";
import { inspect } from "node:util";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import { type CellSyntaxError, FUNCTION_MARK, type RewrittenCell } from "../cell/rewrite.js";
import { currentWork, workOfPromise } from "./context.js";
import { publish } from "./output.js";
import { InterruptedError, type Work } from "./work.js";

interface KnownCell {
  readonly code: string;
  readonly map: RewrittenCell["map"];
  trace?: TraceMap;
}

const cells = new Map<string, KnownCell>();
const MAX_CELLS = 1000;

/** Where an error came from: the user's file or cell, 1-based. */
interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

const kernelFolder = new URL("..", import.meta.url).href;
const firstPositions = new WeakMap<object, Position>();

/** Keep a cell's source and map for the stacks of errors to come. */
export function rememberCell(url: string, code: string, { map }: RewrittenCell): void {
  cells.set(url, { code, map });
  if (cells.size > MAX_CELLS) for (const oldest of cells.keys()) return void cells.delete(oldest);
}

/** From here on stacks are in the user's terms, and errors that nobody catches are shown under the cell that started the work. */
export function watchErrors(): void {
  Error.stackTraceLimit = 50;
  Error.prepareStackTrace = prepareStack;
  process.on("uncaughtException", (error) => report(error, currentWork()));
  process.on("unhandledRejection", (error, promise) => report(error, workOfPromise(promise) ?? currentWork()));
}

function report(error: unknown, work: Work | undefined): void {
  if (work?.interrupted && (error instanceof InterruptedError || isAbort(error))) return;
  publish("error", describeError(error), { work });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "KeyboardInterrupt");
}

/** Content of an `error` message. Never throws, whatever was thrown. */
export function describeError(error: unknown): { ename: string; evalue: string; traceback: string[] } {
  try {
    if (!(error instanceof Error) && !isErrorLike(error)) {
      const shown = inspect(error, { colors: true });
      const evalue = typeof error === "string" ? error : inspect(error);
      return { ename: "Uncaught", evalue, traceback: [`${red("Uncaught")} ${shown}`] };
    }
    const thrown = error as Error;
    const ename = nameOf(thrown);
    if (thrown instanceof InterruptedError)
      return { ename, evalue: thrown.message, traceback: [`${red(ename)}: ${thrown.message}`] };
    const frame = codeFrameOf(thrown);
    const text = withoutBrackets(inspect(thrown, { colors: true }));
    return {
      ename,
      evalue: String(thrown.message),
      traceback: [...(frame ? [...frame, ""] : []), ...emphasise(text).split("\n")],
    };
  } catch (failure) {
    return {
      ename: "Error",
      evalue: "the error that was thrown cannot be shown",
      traceback: [`the error that was thrown cannot be shown: ${String(failure)}`],
    };
  }
}

function isErrorLike(value: unknown): value is Error {
  return typeof value === "object" && value !== null && Object.prototype.toString.call(value) === "[object Error]";
}

function nameOf(error: Error): string {
  const name: unknown = error.name;
  return typeof name === "string" && name !== "" ? name : (error.constructor?.name ?? "Error");
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
  rememberCell(url, code, { map: undefined } as RewrittenCell);
  error.stack = `SyntaxError: ${error.message}\n    at ${url}:${found.line}:${found.column}`;
  firstPositions.set(error, { file: url, line: found.line, column: found.column });
  return error;
}

function codeFrameOf(error: Error): string[] | undefined {
  void error.stack;
  const position = firstPositions.get(error) ?? scriptPosition(error);
  const cell = position && cells.get(position.file);
  if (!position || !cell) return undefined;
  const lines = cell.code.split("\n");
  const from = Math.max(1, position.line - 2);
  const to = Math.min(lines.length, position.line + 2);
  const width = String(to).length;
  const shown: string[] = [dim(`${position.file.replace(/#\d+$/, "")}:${position.line}:${position.column}`)];
  for (let line = from; line <= to; line++) {
    const text = cut(lines[line - 1] ?? "");
    const number = String(line).padStart(width);
    if (line === position.line) {
      shown.push(`${red(">")} ${number} ${dim("|")} ${text}`);
      shown.push(`  ${" ".repeat(width)} ${dim("|")} ${caretIndent(text, position.column)}${red("^")}`);
    } else shown.push(dim(`  ${number} | ${text}`));
  }
  return shown;
}

function cut(line: string): string {
  return line.length > 500 ? `${line.slice(0, 500)}...` : line;
}

function caretIndent(line: string, column: number): string {
  return line.slice(0, Math.min(column, 501) - 1).replace(/[^\t]/g, " ");
}

/** V8's own syntax errors (found when the script is compiled) name the script at the start of their stack. */
function scriptPosition(error: Error): Position | undefined {
  const match = /^(Cell In\[\d+\](?:#\d+)?):(\d+)\n(.*)\n( *)\^/.exec(String(error.stack));
  if (!match) return undefined;
  const [, file = "", line = "1", text = "", indent = ""] = match;
  const prefix = /^\((?:async )?function\(\)\{"use strict";/.exec(text)?.[0].length ?? 0;
  const position = originalPosition(file, Number(line), Math.max(1, indent.length + 1 - prefix));
  error.stack = `${error.name}: ${error.message}\n    at ${file.replace(/#\d+$/, "")}:${position.line}:${position.column}`;
  return position;
}

function prepareStack(error: Error, sites: NodeJS.CallSite[]): string {
  let header: string;
  try {
    header = Error.prototype.toString.call(rename(error));
  } catch {
    header = "Error";
  }
  const frames: string[] = [];
  let kept = 0;
  for (const site of sites) {
    const file = site.getScriptNameOrSourceURL() ?? "";
    if (isKernel(file)) {
      if (frames.length > 0 && kept > 0 && /executor\.js$/.test(file)) break;
      continue;
    }
    const position = originalPosition(file, site.getLineNumber() ?? 1, site.getColumnNumber() ?? 1);
    frames.push(`    at ${frameText(site, file, position)}`);
    if (!file.startsWith("node:")) {
      kept = frames.length;
      if (!firstPositions.has(error) && cells.has(position.file)) firstPositions.set(error, position);
    }
  }
  // Node's own frames below the user's last one say nothing; those above (what the user called) do.
  const shown = kept > 0 ? frames.slice(0, kept) : [];
  return [header, ...shown].join("\n");
}

function isKernel(file: string): boolean {
  return file.startsWith(kernelFolder) || file === "node:vm" || file.startsWith("node:internal/vm");
}

/** "Cannot assign to read only property" of a global is how V8 says that a constant of a cell was assigned. */
function rename(error: Error): Error {
  if (!(error instanceof TypeError)) return error;
  const message = String(error.message);
  if (/^Cannot assign to read only property '[^']+' of object '#<Object>'$/.test(message)) {
    Object.defineProperty(error, "message", {
      value: "Assignment to constant variable.",
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }
  return error;
}

/** Where a position of a script or module lies in what the user wrote. */
function originalPosition(file: string, line: number, column: number): Position {
  const cell = cells.get(file);
  if (cell) {
    if (!cell.map) return { file, line, column: Math.max(1, column) };
    cell.trace ??= new TraceMap(cell.map);
    const found = originalPositionFor(cell.trace, { line, column: Math.max(0, column - 1) });
    return found.line === null
      ? { file, line, column: Math.max(1, column) }
      : { file, line: found.line, column: found.column + 1 };
  }
  if (file.startsWith("file:")) {
    const entry = findSourceMap(file)?.findEntry(line - 1, column - 1);
    if (entry && "originalLine" in entry && entry.originalLine !== undefined) {
      return { file: pathOf(file), line: entry.originalLine + 1, column: entry.originalColumn + 1 };
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

function frameText(site: NodeJS.CallSite, file: string, position: Position): string {
  const text = String(site).replaceAll(FUNCTION_MARK, "");
  const where = `${file}:${site.getLineNumber()}:${site.getColumnNumber()}`;
  return text.replace(
    where,
    `${position.file.replace(/^(Cell In\[\d+\])#\d+$/, "$1")}:${position.line}:${position.column}`,
  );
}
