import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";

/** Where a name can be imported from. */
export interface Exported {
  readonly module: string;
  /** A type has no value: only an import statement helps. */
  readonly typeOnly: boolean;
  readonly type: string;
}

/** From name to the modules that export it, filled module by module while nobody asks for anything. */
export class ExportIndex {
  readonly #byName = new Map<string, Exported[]>();

  /** All names that begin with `prefix`, at most `limit`. */
  find(prefix: string, limit: number): (Exported & { readonly name: string })[] {
    const found: (Exported & { readonly name: string })[] = [];
    for (const [name, places] of this.#byName) {
      if (!name.startsWith(prefix)) continue;
      for (const place of places) found.push({ name, ...place });
      if (found.length >= limit) break;
    }
    return found.slice(0, limit);
  }

  addModule(module: string, symbol: ts.Symbol, checker: ts.TypeChecker): void {
    for (const exported of checker.getExportsOfModule(symbol)) {
      const name = exported.name;
      if (name === "default" || name === "export=" || name.startsWith("_")) continue;
      const target = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const places = this.#byName.get(name) ?? [];
      if (places.some((place) => isVariant(place.module, module) || isVariant(module, place.module))) continue;
      places.push({ module, typeOnly: (target.flags & ts.SymbolFlags.Value) === 0, type: typeOf(target.flags) });
      this.#byName.set(name, places);
    }
  }
}

/** Packages whose exports are worth proposing from this folder: declared dependencies or, with no package.json, what is installed. */
export function proposedPackages(folder: string): string[] {
  for (let place = folder; ; place = dirname(place)) {
    const declared = dependencies(join(place, "package.json")) ?? installedPackages(join(place, "node_modules"));
    if (declared.length > 0) return declared.filter((name) => !name.startsWith("@types/")).slice(0, 40);
    if (dirname(place) === place) return [];
  }
}

/** Names of the packages in one node_modules folder, scoped ones too. */
export function installedPackages(folder: string): string[] {
  const list = (path: string): string[] => {
    try {
      return readdirSync(path).filter((name) => !name.startsWith("."));
    } catch {
      return [];
    }
  };
  return list(folder).flatMap((name) =>
    name.startsWith("@") ? list(join(folder, name)).map((inner) => `${name}/${inner}`) : [name],
  );
}

function dependencies(path: string): string[] | undefined {
  try {
    const json: unknown = JSON.parse(readFileSync(path, "utf8"));
    const found = typeof json === "object" && json !== null && "dependencies" in json ? json.dependencies : {};
    return Object.keys(typeof found === "object" && found !== null ? found : {});
  } catch {
    return undefined;
  }
}

function typeOf(flags: ts.SymbolFlags): string {
  if (flags & ts.SymbolFlags.Function) return "function";
  if (flags & ts.SymbolFlags.Class) return "class";
  if (flags & ts.SymbolFlags.Interface) return "interface";
  if (flags & ts.SymbolFlags.TypeAlias) return "type";
  if (flags & ts.SymbolFlags.Enum) return "enum";
  if (flags & ts.SymbolFlags.Module) return "module";
  return "variable";
}

/** `node:path/posix` repeats `node:path`; `node:fs/promises` has other functions of the same names. */
function isVariant(module: string, known: string): boolean {
  return module.startsWith(`${known}/`) && !module.endsWith("/promises");
}
