/** `require` in a cell: from the notebook's folder, then from where the kernel is installed; changed local files are loaded again. */

import { statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { guardBuiltins } from "../user/guards.js";

const own = createRequire(import.meta.url);
const stamps = new Map<string, number>();

/** A `require` for the current directory. */
export function notebookRequire(): NodeJS.Require {
  const local = createRequire(join(process.cwd(), "notebook.ts"));
  const load = (id: string): unknown => {
    guardBuiltins();
    forgetChanged();
    try {
      return local(id);
    } catch (error) {
      if (
        (error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND" ||
        id.startsWith(".") ||
        !String(error).includes(`'${id}'`)
      )
        throw error;
      try {
        return own(id);
      } catch {
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

/** Drop local CommonJS modules from the cache if any of their files has changed. */
export function forgetChanged(): void {
  if (process.env.TYPESCRIPT_KERNEL_HOT_RELOAD === "0") return;
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

function stampOf(file: string): number {
  try {
    return statSync(file).mtimeMs;
  } catch {
    return 0;
  }
}
