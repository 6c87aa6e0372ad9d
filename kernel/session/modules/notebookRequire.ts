/** `require` in a cell: from the notebook's folder, then from where the kernel is installed; changed local files are loaded again. */

import Module, { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { guardBuiltins } from "../user/guards.js";
import { localFile, stampOf } from "./localFile.js";
import { installHint, NOTEBOOK_FILE, reloadsChanged, toCommonJs } from "./localModules.js";
import { mappedPaths } from "./projectSettings.js";

const own = createRequire(import.meta.url);
const stamps = new Map<string, string | undefined>();

/** A `require` for the current directory. */
export function notebookRequire(): NodeJS.Require {
  const local = createRequire(join(process.cwd(), NOTEBOOK_FILE));
  requireTypeScript();
  const load = (id: string): unknown => {
    guardBuiltins();
    forgetChanged();
    try {
      return local(id);
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND" && String(error).includes(`'${id}'`);
      if (!missing || !(error instanceof Error) || /^\.{0,2}\//.test(id)) throw error;
      try {
        return own(id);
      } catch {
        // The stack that Node has made already begins with the message.
        const { message, stack } = error;
        error.message = message.replace(/\nRequire stack:[\s\S]*$/, "") + installHint(id);
        error.stack = stack?.replace(message, () => error.message) ?? error.message;
        throw error;
      }
    } finally {
      note();
    }
  };
  return Object.assign(load, {
    resolve: local.resolve,
    cache: local.cache,
    main: undefined,
    extensions: local.extensions,
  }) as unknown as NodeJS.Require;
}

let typeScriptTaken = false;

/** Let `require` find and load TypeScript, also from within what it loads. */
function requireTypeScript(): void {
  if (typeScriptTaken) return;
  typeScriptTaken = true;
  process.setSourceMapsEnabled(true);
  // Node's own steps of loading a CommonJS module; its types leave them out.
  for (const extension of [".ts", ".cts", ".tsx"]) {
    own.extensions[extension] = (module, file) => {
      const compile: unknown = Reflect.get(module, "_compile");
      if (typeof compile === "function") compile.call(module, toCommonJs(file), file);
    };
  }
  const plain: unknown = Reflect.get(Module, "_resolveFilename");
  if (typeof plain !== "function") return;
  Reflect.set(Module, "_resolveFilename", function (this: unknown, ...args: unknown[]): unknown {
    try {
      return plain.apply(this, args);
    } catch (error) {
      const [request, parent] = args as [unknown, { filename?: unknown } | undefined];
      const from = parent?.filename;
      const found =
        typeof request === "string" && typeof from === "string" && !from.includes("node_modules")
          ? fileMeant(request, dirname(from))
          : undefined;
      if (found === undefined) throw error;
      return found;
    }
  });
}

/** The file that an import in a folder means as TypeScript spells and maps it. */
function fileMeant(request: string, folder: string): string | undefined {
  const paths = /^\.{0,2}\//.test(request) ? [resolve(folder, request)] : mappedPaths(request, folder);
  return paths.map(localFile).find((file) => file !== undefined);
}

/** Drop local CommonJS modules from the cache if any of their files has changed. */
export function forgetChanged(): void {
  if (!reloadsChanged()) return;
  const local = localFiles();
  if (!local.some((file) => stamps.has(file) && stamps.get(file) !== stampOf(file))) return;
  for (const file of local) {
    delete own.cache[file];
    stamps.delete(file);
  }
}

function note(): void {
  for (const file of localFiles()) if (!stamps.has(file)) stamps.set(file, stampOf(file));
}

function localFiles(): string[] {
  return Object.keys(own.cache).filter((file) => !file.includes("node_modules"));
}
