/** `import` in a cell: resolved from the notebook's folder, then from where the kernel itself is installed. */

import { isBuiltin } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL, URL } from "node:url";
import { constants, Script } from "node:vm";
import { nearestName } from "../nearest.js";
import { bindImport, bindNamespace } from "../user/bindings.js";
import { brokenModule } from "../user/errors.js";
import { guardBuiltins } from "../user/guards.js";
import { asKernel } from "../user/intrinsics.js";
import { installHint, isMissing, mappedURL, NOTEBOOK_FILE, unparsable } from "./localModules.js";
import { forgetChanged, notebookRequire } from "./notebookRequire.js";

type Importer = (specifier: string, options?: ImportCallOptions) => Promise<Record<string, unknown>>;

const importers = new Map<string, Importer>();

/** `import(specifier)` as a cell means it. */
export async function notebookImport(
  specifier: unknown,
  options?: ImportCallOptions,
): Promise<Record<string, unknown>> {
  const name = String(specifier);
  guardBuiltins();
  if (isBuiltin(name)) return import(name);
  forgetChanged();
  const { prepareModules } = await import("./prepare.js");
  try {
    return await asKernel(() => {
      prepareModules();
      return importerFor(process.cwd())(name, options);
    });
  } catch (error) {
    if (isMissing(error)) throw explained(error as Error, name);
    if (!(error instanceof SyntaxError)) throw error;
    if (error.stack?.includes("stripTypes")) throw brokenModule(error.message);
    const place = unparsable(name, process.cwd());
    if (place !== undefined) throw brokenModule(`${error.message} at ${place}`);
    // Valid JavaScript, such as a trailing comma: at least who asked for it.
    if (/\.json: /.test(error.message)) Error.captureStackTrace(error);
    throw error;
  }
}

/** Node's "not found" speaks of its own loader; say what the user can do, and where they asked. */
function explained(error: Error, name: string): Error {
  const bare = !/^(?:\.{0,2}\/|[a-z]+:)/.test(name);
  const wanted = new RegExp(
    `'(?:${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}|[^']*)' imported from .*notebook\\.ts$`,
  ).test(error.message);
  if (wanted)
    error.message = error.message.replace(/ imported from .*notebook\.ts$/, ` imported from ${process.cwd()}`);
  if (wanted && bare) error.message += installHint(name);
  Error.captureStackTrace(error);
  return error;
}

/**
 * `import namespace, { exported as local } from specifier` at the top of a cell. A name that the module does not export is an error as in
 * any module, unless it is a type (TypeScript would have left it out).
 */
export async function staticImport(
  specifier: string,
  attributes: Record<string, string>,
  names: readonly (readonly [local: string, exported: string])[],
  namespace: string | undefined,
): Promise<void> {
  const options = Object.keys(attributes).length > 0 ? ({ with: attributes } as ImportCallOptions) : undefined;
  const module = await notebookImport(specifier, options);
  // Members of a CommonJS module or of JSON that Node could not see by reading the file.
  const whole = module.default;
  const members =
    typeof whole === "object" || typeof whole === "function" ? (whole as Record<string, unknown> | null) : null;
  const found: Record<string, unknown> = {};
  for (const name of asKernel(() => names.map(([, exported]) => exported).filter((one) => !(one in module)))) {
    if (members && name in members) found[name] = members[name];
    else if ((await import("./exportedTypes.js")).exportsType(specifier, name, process.cwd())) found[name] = undefined;
    else throw new SyntaxError(noExport(specifier, name, Object.keys(module)));
  }
  asKernel(() => {
    if (namespace !== undefined) bindNamespace(namespace, module);
    for (const [local, name] of names) bindImport(local, name in module ? module : found, name);
  });
}

function noExport(specifier: string, name: string, exported: readonly string[]): string {
  const near = nearestName(name, exported);
  return `The requested module '${specifier}' does not provide an export named '${name}'${near === undefined ? "" : `. Did you mean '${near}'?`}`;
}

/** What `import.meta` is in a cell. */
export function notebookMeta(): Record<string, unknown> {
  const file = join(process.cwd(), NOTEBOOK_FILE);
  const url = pathToFileURL(file).href;
  return {
    url,
    filename: file,
    dirname: process.cwd(),
    main: true,
    resolve: (name: unknown) => resolved(String(name)),
  };
}

function resolved(name: string): string {
  if (isBuiltin(name)) return name.startsWith("node:") ? name : `node:${name}`;
  const parent = pathToFileURL(join(process.cwd(), NOTEBOOK_FILE)).href;
  if (/^[a-z]+:/.test(name)) return new URL(name).href;
  if (/^\.{0,2}\//.test(name)) return new URL(name, parent).href;
  return mappedURL(name, parent) ?? pathToFileURL(notebookRequire().resolve(name)).href;
}

/** A script that lies, as far as Node's loader can see, in the folder. */
function importerFor(folder: string): Importer {
  let importer = importers.get(folder);
  if (!importer) {
    const script = new Script("(specifier, options) => import(specifier, options)", {
      filename: join(folder, NOTEBOOK_FILE),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    importer = script.runInThisContext() as Importer;
    importers.set(folder, importer);
  }
  return importer;
}
