import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { eachMapping, LEAST_UPPER_BOUND, originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import type { CellScript } from "../session/handle.js";
import type { Location, ScriptParsed } from "./cdp.js";

/** A place in what the user wrote. Lines and columns count from 1, as in DAP. */
export interface SourcePosition {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

/** Whose code a script is: the user's own, a package's, or Node's and the kernel's. */
export type Ownership = "mine" | "package" | "internal";

interface Script {
  readonly id: string;
  readonly url: string;
  /** Negative for a cell: the kernel's code around it ends where column 0 begins. */
  readonly startColumn: number;
  readonly ownership: Ownership;
  /** The file, or the file that stands for the cell; undefined for scripts that have none. */
  path: string | undefined;
  map: TraceMap | undefined;
  /** Lines of the user's text; positions after it are the kernel's wrapping. */
  lines: number;
  cell: boolean;
  ready: Promise<void>;
}

/** Where this kernel's own files are: never the user's code. */
const KERNEL_FOLDER = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/**
 * The scripts V8 has parsed, and how their positions relate to what the user wrote: cells through the session's source maps,
 * local files through their own.
 */
export class Scripts {
  readonly #byId = new Map<string, Script>();
  readonly #cellPath: (code: string) => string;
  readonly #cells: () => readonly CellScript[];
  readonly #names = new Map<string, string>();

  constructor(cellPath: (code: string) => string, cells: () => readonly CellScript[]) {
    this.#cellPath = cellPath;
    this.#cells = cells;
  }

  clear(): void {
    this.#byId.clear();
    this.#names.clear();
  }

  add({ scriptId, url, sourceMapURL, startColumn = 0 }: ScriptParsed): void {
    const cell = url.startsWith("Cell In[");
    const path = cell ? undefined : pathOf(url);
    const script: Script = {
      id: scriptId,
      url,
      startColumn,
      ownership: cell ? "mine" : ownershipOf(path),
      path,
      map: undefined,
      lines: Number.POSITIVE_INFINITY,
      cell,
      ready: Promise.resolve(),
    };
    this.#byId.set(scriptId, script);
    if (cell) script.ready = this.#describeCell(script);
    else if (path !== undefined && sourceMapURL && script.ownership !== "internal") readMap(script, path, sourceMapURL);
  }

  /** What the user calls the place behind a path: "Cell In[3]" or the file's name. */
  nameOf(path: string): string {
    return this.#names.get(path) ?? path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
  }

  ownership(scriptId: string): Ownership {
    return this.#byId.get(scriptId)?.ownership ?? "internal";
  }

  isCell(scriptId: string): boolean {
    return this.#byId.get(scriptId)?.cell ?? false;
  }

  startColumn(scriptId: string): number {
    return this.#byId.get(scriptId)?.startColumn ?? 0;
  }

  async whenReady(scriptId: string): Promise<void> {
    await this.#byId.get(scriptId)?.ready;
  }

  path(scriptId: string): string | undefined {
    return this.#byId.get(scriptId)?.path;
  }

  /** Scripts made from a file or cell; a file that was reloaded and a cell that was run again have several. */
  withPath(path: string): string[] {
    return [...this.#byId.values()].filter((script) => script.path === path).map(({ id }) => id);
  }

  /** All files the user's own code came from. */
  get paths(): string[] {
    return [
      ...new Set(
        [...this.#byId.values()].filter(({ ownership }) => ownership === "mine").flatMap(({ path }) => path ?? []),
      ),
    ];
  }

  /** What the user wrote at a place V8 tells of; undefined for code the kernel has added, and for code without a file. */
  original({ scriptId, lineNumber, columnNumber = 0 }: Location): SourcePosition | undefined {
    const script = this.#byId.get(scriptId);
    if (script?.path === undefined || columnNumber < 0) return undefined;
    if (script.map === undefined) {
      if (lineNumber >= script.lines) return undefined;
      return { path: script.path, line: lineNumber + 1, column: columnNumber + 1 };
    }
    const needle = { line: lineNumber + 1, column: columnNumber };
    const found = originalPositionFor(script.map, needle);
    const place = found.line === null ? originalPositionFor(script.map, { ...needle, bias: LEAST_UPPER_BOUND }) : found;
    if (place.line === null || place.line > script.lines) return undefined;
    return { path: script.path, line: place.line, column: place.column + 1 };
  }

  /** Where to tell V8 to stop for a line (from 1) of what the user wrote: the first code on it, or on the next line that has any. */
  generated(scriptId: string, line: number, column = 1): Location | undefined {
    const script = this.#byId.get(scriptId);
    if (script === undefined) return undefined;
    if (script.map === undefined) return { scriptId, lineNumber: line - 1, columnNumber: column - 1 };
    let best: { line: number; column: number; at: number; from: number } | undefined;
    eachMapping(script.map, (mapping) => {
      const { originalLine, originalColumn, generatedLine, generatedColumn } = mapping;
      if (originalLine === null || originalLine < line || (originalLine === line && originalColumn < column - 1))
        return;
      const better =
        best === undefined ||
        originalLine < best.at ||
        (originalLine === best.at &&
          (generatedLine < best.line || (generatedLine === best.line && generatedColumn < best.column)));
      if (better) best = { line: generatedLine, column: generatedColumn, at: originalLine, from: originalColumn };
    });
    return best === undefined ? undefined : { scriptId, lineNumber: best.line - 1, columnNumber: best.column };
  }

  /** What the user wrote in a cell, by the path that stands for it. */
  cellSource(path: string): string | undefined {
    return this.#cells().findLast((cell) => this.#cellPath(cell.code) === path)?.code;
  }

  /** The session tells of a cell on another channel than V8 does: it may come a moment later. */
  async #describeCell(script: Script): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      const cell = this.#cells().findLast(({ url }) => url === script.url);
      if (cell !== undefined) {
        script.path = this.#cellPath(cell.code);
        script.lines = cell.code.split("\n").length;
        this.#names.set(script.path, cell.url);
        if (cell.sourceMap !== undefined) script.map = new TraceMap(cell.sourceMap);
        return;
      }
      await new Promise((again) => setTimeout(again, 2));
    }
  }
}

function pathOf(url: string): string | undefined {
  if (url.startsWith("file://")) {
    try {
      return fileURLToPath(url.replace(/[?#].*$/, ""));
    } catch {
      return undefined;
    }
  }
  return /^(?:\/|[A-Za-z]:\\)/.test(url) ? url : undefined;
}

function ownershipOf(path: string | undefined): Ownership {
  if (path === undefined || path.startsWith(KERNEL_FOLDER)) return "internal";
  return /[\\/]node_modules[\\/]/.test(path) ? "package" : "mine";
}

/** A map that cannot be read is as none: the compiled text is shown then. */
function readMap(script: Script, path: string, url: string): void {
  try {
    const inline = /^data:application\/json[^,]*?(;base64)?,(.*)$/s.exec(url);
    const text =
      inline === null
        ? readFileSync(resolve(dirname(path), decodeURI(url.replace(/^file:\/\//, ""))), "utf8")
        : inline[1]
          ? Buffer.from(inline[2] ?? "", "base64").toString("utf8")
          : decodeURIComponent(inline[2] ?? "");
    const map = new TraceMap(text);
    script.map = map;
    const source = map.sources.length === 1 ? map.sources[0] : undefined;
    if (source)
      script.path = source.startsWith("file://")
        ? (pathOf(source) ?? path)
        : /\.[mc]?ts$/.test(path)
          ? path
          : resolve(dirname(path), source);
  } catch {
    script.map = undefined;
  }
}
