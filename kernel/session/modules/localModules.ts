/**
 * What the loader hooks decide, apart from how Node calls them (in this thread, or in a thread of its own before Node 22.15): where an
 * import may be found, which local files have changed since they were loaded, and how TypeScript becomes a module.
 */
import { Buffer } from "node:buffer";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL, URL } from "node:url";
import { parseSync } from "oxc-parser";
import type { Node } from "../cell/syntax.js";
import { type Lowering, loweringOf, stripTypes } from "../cell/transpile.js";

/** A place to look. */
export interface Attempt {
  readonly specifier: string;
  readonly parentURL: string | undefined;
}

/** The file that cells seem to be in: the last part of the URL that a cell's imports have as their parent. */
export const NOTEBOOK_FILE = "notebook.ts";

const here = import.meta.url;

/** Where to look for an import after Node's own resolution has failed, in order. */
export function furtherAttempts(specifier: string, parentURL: string | undefined): Attempt[] {
  if (/^(?:\.{0,2}\/|file:)/.test(specifier))
    return spellings(specifier).map((other) => ({ specifier: other, parentURL }));
  if (/^[a-z]+:/.test(specifier) || parentURL?.includes("/node_modules/")) return [];
  const attempts: Attempt[] = [];
  // What only `require` finds, such as a file of a package without its extension.
  try {
    if (parentURL)
      attempts.push({ specifier: pathToFileURL(createRequire(parentURL).resolve(specifier)).href, parentURL });
  } catch {
    // Not there either.
  }
  attempts.push({ specifier, parentURL: here });
  return attempts;
}

/** TypeScript people import "./x.js" or "./x" and mean x.ts. */
function spellings(specifier: string): string[] {
  const extension = extname(specifier);
  const stem = specifier.slice(0, specifier.length - extension.length);
  const same: Record<string, string[]> = { ".js": [".ts", ".tsx"], ".mjs": [".mts"], ".cjs": [".cts"] };
  const found = (same[extension] ?? []).map((other) => stem + other);
  return [
    ...found,
    ...[".ts", ".mts", ".js", ".mjs", ".json", "/index.ts", "/index.js"].map(
      (end) => specifier.replace(/\/$/, "") + end,
    ),
  ];
}

/** Is this failure "there is no such module" (and not one that is there and broken)? */
export function isMissing(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || code === "ERR_UNSUPPORTED_DIR_IMPORT";
}

interface LocalFile {
  stamp: string;
  version: number;
  checkedIn: number;
  /** What it imports, and the version it has seen. */
  readonly imports: Map<string, number>;
}

/** Local files and what they import: gives each file's URL a new version when it, or something below it, has changed on disk. */
export class LocalFiles {
  readonly #files = new Map<string, LocalFile>();
  #pass = 0;

  constructor(readonly hotReload: boolean) {}

  /** The URL under which to load a resolved module, asked for by `parentURL`. */
  versioned(url: string, parentURL: string | undefined): string {
    if (!this.hotReload || !isLocal(url)) return url;
    const path = pathOf(url);
    const fromNotebook = parentURL?.endsWith(`/${NOTEBOOK_FILE}`) === true;
    if (fromNotebook) this.#pass++;
    const version = this.#versionOf(path);
    if (!fromNotebook && parentURL && isLocal(parentURL)) this.#file(pathOf(parentURL)).imports.set(path, version);
    return version === 0 ? url : `${url}?v=${version}`;
  }

  #versionOf(path: string): number {
    const file = this.#file(path);
    if (file.checkedIn === this.#pass) return file.version;
    file.checkedIn = this.#pass;
    const stamp = stampOf(path);
    let changed = stamp !== file.stamp;
    for (const [imported, seen] of file.imports) if (this.#versionOf(imported) !== seen) changed = true;
    if (changed) {
      file.stamp = stamp;
      file.version++;
      file.imports.clear();
    }
    return file.version;
  }

  #file(path: string): LocalFile {
    let file = this.#files.get(path);
    if (!file) {
      file = { stamp: stampOf(path), version: 0, checkedIn: this.#pass, imports: new Map() };
      this.#files.set(path, file);
    }
    return file;
  }
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size } = statSync(path);
    return `${mtimeMs} ${size}`;
  } catch {
    return "";
  }
}

function isLocal(url: string): boolean {
  return url.startsWith("file:") && !url.includes("/node_modules/") && !url.startsWith(kernelRoot);
}
const kernelRoot = new URL("../../../", here).href;

function pathOf(url: string): string {
  return fileURLToPath(url.replace(/\?.*$/, ""));
}

/** A TypeScript file as a module with an inline source map; undefined: Node loads it itself. */
export function loadTypeScript(url: string): { format: "module" | "commonjs"; source: string } | undefined {
  if (!/\.[mc]?tsx?(?:\?.*)?$/.test(url) || !url.startsWith("file:")) return undefined;
  const path = pathOf(url);
  const code = readFileSync(path, "utf8");
  const { code: source, map } = stripTypes(code, loweringOfModule(code, path), path, true);
  const inline = Buffer.from(
    JSON.stringify({ ...map, sources: [pathToFileURL(path).href], sourcesContent: [code] }),
  ).toString("base64");
  return {
    format: /\.cts(?:\?|$)/.test(url) ? "commonjs" : "module",
    source: `${source}\n//# sourceMappingURL=data:application/json;base64,${inline}`,
  };
}

const PLAIN: Lowering = { byTypeScript: false, usingAtTop: false, legacy: undefined };

function loweringOfModule(code: string, path: string): Lowering {
  // What oxc does not take care of has one of these in it.
  if (!/@|\busing\b|\baccessor\b|\bnamespace\b|\benum\b|"?useDefine/.test(code)) return PLAIN;
  const { program, errors } = parseSync(path, code, { lang: /x$/.test(path) ? "tsx" : "ts", sourceType: "module" });
  return (errors.length === 0 ? loweringOf(program as unknown as Node) : undefined) ?? PLAIN;
}

/**
 * Where a file does not parse, of those that an import of `specifier` from `folder` loads: V8 names it only on the console. As
 * `path:line:column`.
 */
export function unparsable(specifier: string, folder: string): string | undefined {
  const seen = new Set<string>();
  const waiting = [{ specifier, folder }];
  for (let next = waiting.pop(); next && seen.size < 500; next = waiting.pop()) {
    const path = fileOf(next.specifier, next.folder);
    if (path === undefined || seen.has(path)) continue;
    seen.add(path);
    const code = readFileSync(path, "utf8");
    const { errors, module } = parseSync(path, code, { sourceType: "module", showSemanticErrors: true });
    if (errors[0]) {
      const before = code.slice(0, errors[0].labels[0]?.start ?? 0).split("\n");
      return `${path}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
    }
    for (const { moduleRequest } of module.staticImports)
      waiting.push({ specifier: moduleRequest.value, folder: dirname(path) });
  }
  return undefined;
}

function fileOf(specifier: string, folder: string): string | undefined {
  if (!/^(?:\.{0,2}\/|file:)/.test(specifier)) return undefined;
  const path = specifier.startsWith("file:") ? pathOf(specifier) : resolve(folder, specifier);
  return [path, ...spellings(path)].find(
    (file) => /\.[mc]?[jt]sx?$/.test(file) && statSync(file, { throwIfNoEntry: false })?.isFile(),
  );
}

/** JSON needs no `with { type: "json" }` here. */
export function jsonAttributes(
  url: string,
  given: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  return /\.json(?:\?.*)?$/.test(url) && !given?.type ? { ...given, type: "json" } : undefined;
}
