/**
 * Is a name that a module does not export at run time one of its types? TypeScript would have left such an import out; here the module's
 * source or its declarations are searched for it, which costs nothing where every name is found.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { localFile } from "./localFile.js";
import { mappedPaths } from "./projectSettings.js";

/** Declaration files of one package that are read at most. */
const MAX_FILES = 3000;
const require = createRequire(import.meta.url);

/** Does the module that `specifier` means in a file of `folder` declare `name` as a type? */
export function exportsType(specifier: string, name: string, folder: string): boolean {
  if (isBuiltin(specifier)) {
    const types = dirname(require.resolve("@types/node/package.json"));
    return declares(join(types, `${specifier.replace(/^node:/, "")}.d.ts`), name);
  }
  const local = localTarget(specifier, folder);
  if (local !== undefined) return fileExportsType(local, name, new Set());
  return packageFolders(specifier, folder).some((found) =>
    declarationFiles(found).some((file) => declares(file, name)),
  );
}

function localTarget(specifier: string, folder: string): string | undefined {
  if (/^(?:\.{0,2}\/|file:)/.test(specifier))
    return localFile(specifier.startsWith("file:") ? fileURLToPath(specifier) : resolve(folder, specifier));
  return mappedPaths(specifier, folder)
    .map(localFile)
    .find((file) => file !== undefined);
}

function fileExportsType(file: string, name: string, seen: Set<string>): boolean {
  if (seen.has(file)) return false;
  seen.add(file);
  const declarations = file.replace(/\.([mc]?)jsx?$/, ".d.$1ts");
  const text = read(declarations !== file && existsSync(declarations) ? declarations : file);
  const word = escaped(name);
  const declared = new RegExp(
    `\\bexport\\s+(?:declare\\s+)?(?:abstract\\s+)?(?:interface|type|class|enum|namespace)\\s+${word}(?![\\w$])|\\bexport\\s+(?:type\\s*)?\\{[^}]*(?<![\\w$])${word}\\s*[,}]`,
  );
  if (declared.test(text)) return true;
  for (const [, from = ""] of text.matchAll(/\bexport\s+(?:type\s+)?\*\s*from\s*["']([^"']+)["']/g)) {
    const next = localTarget(from, dirname(file));
    if (next !== undefined ? fileExportsType(next, name, seen) : exportsType(from, name, dirname(file))) return true;
  }
  return false;
}

function declares(file: string, name: string): boolean {
  const word = escaped(name);
  return new RegExp(
    `\\b(?:interface|type|class|enum|namespace)\\s+${word}(?![\\w$])|\\bas\\s+${word}(?![\\w$])|\\bexport\\s+(?:type\\s*)?\\{[^}]*(?<![\\w$])${word}\\s*[,}]`,
  ).test(read(file));
}

function escaped(name: string): string {
  return name.replaceAll("$", "\\$");
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The package's own folder, and that of its types. */
function packageFolders(specifier: string, folder: string): string[] {
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  const types = `@types/${name.replace(/^@/, "").replace("/", "__")}`;
  const found: string[] = [];
  for (const from of [folder, dirname(fileURLToPath(import.meta.url))]) {
    for (let at = from; ; at = dirname(at)) {
      for (const one of [name, types]) {
        const place = join(at, "node_modules", one);
        if (existsSync(place)) found.push(place);
      }
      if (found.length > 0 || dirname(at) === at) break;
    }
  }
  return found;
}

function declarationFiles(folder: string): string[] {
  const found: string[] = [];
  const waiting = [folder];
  for (let at = waiting.pop(); at !== undefined && found.length < MAX_FILES; at = waiting.pop()) {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (entry.isDirectory() && entry.name !== "node_modules") waiting.push(join(at, entry.name));
      else if (/\.d\.[mc]?ts$/.test(entry.name)) found.push(join(at, entry.name));
    }
  }
  return found;
}
