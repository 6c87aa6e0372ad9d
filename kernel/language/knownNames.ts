import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BindingPattern, parseSync, type Statement } from "oxc-parser";
import { excess } from "../session/cell/depth.js";
import type { RuntimeName } from "./answers.js";
import { packageRoot } from "./folders.js";
import { kernelNames } from "./globals.js";
import { lexical } from "./lexical.js";
import { blankMagics } from "./magicLines.js";

/** Cells that are read, the newest. */
const MOST_CELLS = 200;
/** Deeper than this the parser is not asked: it would leave its thread's stack. */
const DEEPEST = 1500;
const KEYWORDS =
  "abstract any as async await bigint boolean break case catch class const continue debugger declare default delete do else enum export extends false finally for from function if implements import in infer instanceof interface keyof let namespace never new null number object of override private protected public readonly return satisfies static string super switch symbol this throw true try type typeof undefined unique unknown using var void while with yield"
    .split(" ")
    .map((name): RuntimeName => ({ name, type: "keyword" }));

/** The language's own words, for when there is no checker to tell where they may stand. */
export function withKeywords(names: readonly RuntimeName[]): readonly RuntimeName[] {
  const known = new Set(names.map(({ name }) => name));
  return [...names, ...KEYWORDS.filter(({ name }) => !known.has(name))];
}

/** What can be said of a notebook's names while its session is busy: those of earlier cells, of the kernel and of JavaScript. */
export function namesWithoutSession(cells: readonly string[]): readonly RuntimeName[] {
  const names = new Map<string, RuntimeName>();
  const add = (name: string, type: string) => names.set(name, { name, type });
  // This process runs the same Node as the session.
  for (const name of Object.getOwnPropertyNames(globalThis)) if (!name.startsWith("__")) add(name, "variable");
  const root = packageRoot(dirname(fileURLToPath(import.meta.url)));
  for (const name of kernelNames(join(root, "dist/kernel/index.d.ts"))) add(name, "variable");
  for (const cell of cells.slice(-MOST_CELLS)) {
    const code = blankMagics(cell);
    if (lexical(code).depth > DEEPEST || excess(code)) continue;
    for (const statement of parseSync("cell.ts", code, { sourceType: "module" }).program.body) declared(statement, add);
  }
  return [...names.values()];
}

/** What a statement at a cell's top level declares. */
function declared(statement: Statement, add: (name: string, type: string) => void): void {
  switch (statement.type) {
    case "VariableDeclaration":
      for (const { id } of statement.declarations) for (const name of bound(id)) add(name, "variable");
      return;
    case "FunctionDeclaration":
      if (statement.id) add(statement.id.name, "function");
      return;
    case "ClassDeclaration":
      if (statement.id) add(statement.id.name, "class");
      return;
    case "TSInterfaceDeclaration":
      add(statement.id.name, "interface");
      return;
    case "TSTypeAliasDeclaration":
      add(statement.id.name, "type");
      return;
    case "TSEnumDeclaration":
      add(statement.id.name, "enum");
      return;
    case "ImportDeclaration":
      for (const { local } of statement.specifiers) add(local.name, "variable");
      return;
    case "ExportNamedDeclaration":
      if (statement.declaration) declared(statement.declaration, add);
      return;
    default:
  }
}

function bound(pattern: BindingPattern): string[] {
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name];
    case "AssignmentPattern":
      return bound(pattern.left);
    case "ObjectPattern":
      return pattern.properties.flatMap((each) => bound(each.type === "RestElement" ? each.argument : each.value));
    case "ArrayPattern":
      return pattern.elements.flatMap((each) =>
        each === null ? [] : bound(each.type === "RestElement" ? each.argument : each),
      );
  }
}
