import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { eachMapping, LEAST_UPPER_BOUND, originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import type { DebugProtocol } from "@vscode/debugprotocol";
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
  readonly cell: boolean;
  readonly sourceMapURL: string | undefined;
  /** What is known of its text; found out when first asked for. */
  origin?: Origin;
}

/** Where a script's text comes from. */
interface Origin {
  /** The file, or the file that stands for the cell; undefined for scripts that have none. */
  readonly path: string | undefined;
  readonly map: TraceMap | undefined;
  /** Lines of the user's text; positions after it are the kernel's wrapping. */
  readonly lines: number;
}

/** Where this kernel's own files are: never the user's code. */
const KERNEL_FOLDER = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/**
 * Addresses of code in which V8 shall not pause by itself. In the kernel's it must not: it may hold the lock of the pipe on which the
 * pause would be told.
 */
export const NOT_PAUSED = {
  kernel: `^${escaped(pathToFileURL(KERNEL_FOLDER).href)}/`,
  node: "^node:",
  packages: "[\\\\/]node_modules[\\\\/]",
};

/** Text as a regular expression that matches it. */
export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

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
    this.#byId.set(scriptId, {
      id: scriptId,
      url,
      startColumn,
      ownership: cell ? "mine" : ownershipOf(pathOf(url)),
      cell,
      sourceMapURL: sourceMapURL === "" ? undefined : sourceMapURL,
    });
  }

  /** What the user calls the place behind a path: "Cell In[3]" or the file's name. */
  nameOf(path: string): string {
    return this.#names.get(path) ?? path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
  }

  sourceOf(path: string): DebugProtocol.Source {
    return { name: this.nameOf(path), path };
  }

  ownership(scriptId: string): Ownership {
    return this.#byId.get(scriptId)?.ownership ?? "internal";
  }

  /** Whether a script is a part of Node. */
  isNodes(scriptId: string): boolean {
    return this.#byId.get(scriptId)?.url.startsWith("node:") ?? false;
  }

  isCell(scriptId: string): boolean {
    return this.#byId.get(scriptId)?.cell ?? false;
  }

  startColumn(scriptId: string): number {
    return this.#byId.get(scriptId)?.startColumn ?? 0;
  }

  path(scriptId: string): string | undefined {
    const script = this.#byId.get(scriptId);
    return script === undefined ? undefined : this.#originOf(script).path;
  }

  /** Scripts made from a file or cell; a file that was reloaded and a cell that was run again have several. */
  withPath(path: string): string[] {
    return [...this.#mine()].filter((script) => this.#originOf(script).path === path).map(({ id }) => id);
  }

  /** All files the user's own code came from. */
  get paths(): string[] {
    return [...new Set([...this.#mine()].flatMap((script) => this.#originOf(script).path ?? []))];
  }

  *#mine(): Iterable<Script> {
    for (const script of this.#byId.values()) if (script.ownership === "mine") yield script;
  }

  /** What the user wrote at a place V8 tells of; undefined for code the kernel has added, and for code without a file. */
  original({ scriptId, lineNumber, columnNumber = 0 }: Location): SourcePosition | undefined {
    const script = this.#byId.get(scriptId);
    if (script === undefined || columnNumber < 0) return undefined;
    const { path, map, lines } = this.#originOf(script);
    if (path === undefined) return undefined;
    if (map === undefined)
      return lineNumber >= lines ? undefined : { path, line: lineNumber + 1, column: columnNumber + 1 };
    const needle = { line: lineNumber + 1, column: columnNumber };
    const found = originalPositionFor(map, needle);
    const place = found.line === null ? originalPositionFor(map, { ...needle, bias: LEAST_UPPER_BOUND }) : found;
    if (place.line === null || place.line > lines) return undefined;
    return { path, line: place.line, column: place.column + 1 };
  }

  /** Where to tell V8 to stop for a line (from 1) of what the user wrote: the first code on it, or on the next line that has any. */
  generated(scriptId: string, line: number, column = 1): Location | undefined {
    const script = this.#byId.get(scriptId);
    if (script === undefined) return undefined;
    const { map } = this.#originOf(script);
    if (map === undefined) return { scriptId, lineNumber: line - 1, columnNumber: column - 1 };
    let best: { line: number; column: number; at: number; from: number } | undefined;
    eachMapping(map, (mapping) => {
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
    for (const cell of this.#cells().toReversed()) {
      const text = cell.whole ?? cell.code;
      if (this.#cellPath(text) === path) return text;
    }
    return undefined;
  }

  #originOf(script: Script): Origin {
    script.origin ??= script.cell ? this.#cellOrigin(script.url) : fileOrigin(script);
    return script.origin;
  }

  /** The session tells of a cell before V8 parses it. */
  #cellOrigin(url: string): Origin {
    const cell = this.#cells().findLast((each) => each.url === url);
    if (cell === undefined) return { path: undefined, map: undefined, lines: 0 };
    const path = this.#cellPath(cell.whole ?? cell.code);
    this.#names.set(path, url);
    return {
      path,
      map: cell.sourceMap === undefined ? undefined : new TraceMap(cell.sourceMap),
      lines: cell.code.split("\n").length,
    };
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
function fileOrigin({ url, sourceMapURL, ownership }: Script): Origin {
  const path = pathOf(url);
  const compiled: Origin = { path, map: undefined, lines: Number.POSITIVE_INFINITY };
  if (path === undefined || sourceMapURL === undefined || ownership === "internal") return compiled;
  try {
    const map = new TraceMap(mapText(path, sourceMapURL));
    const source = map.sources.length === 1 ? map.sources[0] : undefined;
    if (!source || /\.[mc]?tsx?$/.test(path)) return { ...compiled, map };
    return { ...compiled, map, path: pathOf(source) ?? resolve(dirname(path), source) };
  } catch {
    return compiled;
  }
}

function mapText(path: string, url: string): string {
  const inline = /^data:application\/json[^,]*?(;base64)?,(.*)$/s.exec(url);
  if (inline === null) return readFileSync(resolve(dirname(path), decodeURI(url.replace(/^file:\/\//, ""))), "utf8");
  const [, base64, data = ""] = inline;
  return base64 ? Buffer.from(data, "base64").toString("utf8") : decodeURIComponent(data);
}
