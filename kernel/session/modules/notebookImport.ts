/** `import` in a cell: resolved from the notebook's folder, then from where the kernel itself is installed. */
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { constants, Script } from "node:vm";

type Importer = (specifier: string, options?: ImportCallOptions) => Promise<Record<string, unknown>>;

const importers = new Map<string, Importer>();

/** `import(specifier)` as a cell means it. */
export async function notebookImport(
  specifier: unknown,
  options?: ImportCallOptions,
): Promise<Record<string, unknown>> {
  const name = String(specifier);
  if (isBuiltin(name)) return import(name);
  const { prepareModules } = await import("./prepare.js");
  prepareModules();
  return importerFor(process.cwd())(name, options);
}

/**
 * `import { names } from specifier` at the top of a cell. A name that the module does not export is an error as in any module, unless
 * it looks like a type (which would have been erased by a checker that sees the module's types).
 */
export async function staticImport(
  specifier: string,
  attributes: Record<string, string>,
  names: readonly string[],
): Promise<Record<string, unknown>> {
  const options = Object.keys(attributes).length > 0 ? ({ with: attributes } as ImportCallOptions) : undefined;
  const module = await notebookImport(specifier, options);
  for (const name of names) {
    if (name in module || /^[A-Z]/.test(name)) continue;
    throw new SyntaxError(`The requested module '${specifier}' does not provide an export named '${name}'`);
  }
  return module;
}

/** What `import.meta` is in a cell. */
export function notebookMeta(): Record<string, unknown> {
  const file = join(process.cwd(), "notebook.ts");
  return { url: pathToFileURL(file).href, filename: file, dirname: process.cwd() };
}

/** A script that lies, as far as Node's loader can see, in the folder. */
function importerFor(folder: string): Importer {
  let importer = importers.get(folder);
  if (!importer) {
    const script = new Script("(specifier, options) => import(specifier, options)", {
      filename: join(folder, "notebook.ts"),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    importer = script.runInThisContext() as Importer;
    importers.set(folder, importer);
  }
  return importer;
}
