/**
 * What the loader hooks decide, apart from how Node calls them (in this thread, or in a thread of its own before Node 22.15): where an
 * import may be found, which local files have changed since they were loaded, and how TypeScript becomes a module.
 */
import { Buffer } from "node:buffer";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL, URL } from "node:url";
import { parse } from "../cell/syntax.js";
import { commonJs, type Lowering, loweringOf, stripTypes } from "../cell/transpile.js";
import { exportsType } from "./exportedTypes.js";
import { localFile, spellings, stampOf } from "./localFile.js";
import { mappedPaths, settingsFor } from "./projectSettings.js";

/** A place to look. */
export interface Attempt {
  readonly specifier: string;
  readonly parentURL: string | undefined;
}

/** The file that cells seem to be in: the last part of the URL that a cell's imports have as their parent. */
export const NOTEBOOK_FILE = "notebook.ts";

const here = import.meta.url;

/** Where Jupyter says that the notebook lies, if that is a folder here: imports that fail in the working directory are tried there. */
const notebookFolder = ((): string | undefined => {
  const path = process.env.JPY_SESSION_NAME;
  if (path === undefined) return undefined;
  const folder = dirname(path);
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? folder : undefined;
})();

/** Where tsconfig.json says that an import of a local module leads, if there is a file. */
export function mappedURL(specifier: string, parentURL: string | undefined): string | undefined {
  if (!parentURL || !isLocal(parentURL)) return undefined;
  for (const path of mappedPaths(specifier, dirname(pathOf(parentURL)))) {
    const file = localFile(path);
    if (file !== undefined) return pathToFileURL(file).href;
  }
  return undefined;
}

/** Where to look for an import after Node's own resolution has failed, in order. */
export function furtherAttempts(specifier: string, parentURL: string | undefined): Attempt[] {
  const fromNotebook = parentURL?.endsWith(`/${NOTEBOOK_FILE}`) === true;
  const elsewhere =
    fromNotebook && notebookFolder ? pathToFileURL(join(notebookFolder, NOTEBOOK_FILE)).href : undefined;
  if (/^(?:\.{0,2}\/|file:)/.test(specifier)) {
    const places = elsewhere && specifier.startsWith(".") ? [parentURL, elsewhere] : [parentURL];
    return places.flatMap((place) =>
      [...(place === parentURL ? [] : [specifier]), ...spellings(specifier)].map((other) => ({
        specifier: other,
        parentURL: place,
      })),
    );
  }
  if (/^[a-z]+:/.test(specifier) || parentURL?.includes("/node_modules/")) return [];
  const attempts: Attempt[] = [];
  // What only `require` finds, such as a file of a package without its extension.
  try {
    if (parentURL)
      attempts.push({ specifier: pathToFileURL(createRequire(parentURL).resolve(specifier)).href, parentURL });
  } catch {
    // Not there either.
  }
  if (elsewhere) attempts.push({ specifier, parentURL: elsewhere });
  attempts.push({ specifier, parentURL: here });
  return attempts;
}

/** How to come by a package that is not there. */
export function installHint(specifier: string): string {
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  return `. To install it: %npm add ${name}`;
}

/** Is this failure "there is no such module" (and not one that is there and broken)? */
export function isMissing(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || code === "ERR_UNSUPPORTED_DIR_IMPORT";
}

interface LocalFile {
  stamp: string | undefined;
  version: number;
  checkedIn: number;
  /** What it imports, and the version it has seen. */
  readonly imports: Map<string, number>;
}

/** Whether local modules are run anew once they have changed on disk: yes, unless `POLICYSCOPE_HOT_RELOAD` is `off`. */
export function reloadsChanged(): boolean {
  return !/^(?:off|0|no|false)$/i.test(process.env.POLICYSCOPE_HOT_RELOAD ?? "");
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
  const text = readFileSync(path, "utf8");
  const code = namingTypes(text, path);
  const { code: source, map } = stripTypes(code, loweringOfModule(code, path), path, true);
  const inline = Buffer.from(
    JSON.stringify({ ...map, sources: [pathToFileURL(path).href], sourcesContent: [text] }),
  ).toString("base64");
  return {
    format: /\.cts(?:\?|$)/.test(url) ? "commonjs" : "module",
    source: `${source}\n//# sourceMappingURL=data:application/json;base64,${inline}`,
  };
}

/** A TypeScript file as CommonJS, for `require`. */
export function toCommonJs(path: string): string {
  const code = namingTypes(readFileSync(path, "utf8"), path);
  return commonJs(code, path, loweringOfModule(code, path));
}

const PLAIN: Lowering = { byTypeScript: false, usingAtTop: false, legacy: undefined };

function loweringOfModule(code: string, path: string): Lowering {
  const { legacy } = settingsFor(dirname(path));
  // What oxc does not take care of has one of these in it.
  if (!/@|\busing\b|\baccessor\b|\bnamespace\b|\benum\b/.test(code) && legacy?.defineFields !== false) return PLAIN;
  const { program, errors } = parse(path, code);
  return (errors.length === 0 ? loweringOf(program, () => legacy) : undefined) ?? PLAIN;
}

/** `export { Shape } from "./shapes"` where Shape is a type says so in the module that Node gets. */
function namingTypes(code: string, path: string): string {
  return code.replace(
    /(\bexport\s*\{)([^}]*)(\}\s*from\s*(["'])(\.[^"'\n]*)\4)/g,
    (_all, open: string, names: string, rest: string, _quote, from: string) => {
      const marked = names.replace(
        /(^|,)(\s*)([\w$]+)(?=\s*(?:,|$|as\b))/g,
        (one, comma: string, blank: string, name: string) =>
          name !== "type" && exportsType(from, name, dirname(path)) ? `${comma}${blank}type ${name}` : one,
      );
      return `${open}${marked}${rest}`;
    },
  );
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
    const json = path.endsWith(".json");
    const { errors, imports } = parse(json ? "json.js" : path, json ? `(${code}\n)` : code, {
      sourceType: "module",
      showSemanticErrors: true,
    });
    if (errors[0]) {
      const before = code.slice(0, (errors[0].labels[0]?.start ?? 0) - (json ? 1 : 0)).split("\n");
      return `${path}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
    }
    for (const imported of imports) waiting.push({ specifier: imported, folder: dirname(path) });
  }
  return undefined;
}

function fileOf(specifier: string, folder: string): string | undefined {
  if (!/^(?:\.{0,2}\/|file:)/.test(specifier)) return undefined;
  const path = specifier.startsWith("file:") ? pathOf(specifier) : resolve(folder, specifier);
  const file = localFile(path);
  return file !== undefined && /\.(?:[mc]?[jt]sx?|json)$/.test(file) ? file : undefined;
}

/** JSON needs no `with { type: "json" }` here. */
export function jsonAttributes(
  url: string,
  given: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  return /\.json(?:\?.*)?$/.test(url) && !given?.type ? { ...given, type: "json" } : undefined;
}
