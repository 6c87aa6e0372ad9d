/**
 * From the TypeScript that a user wrote in a cell to a classic script that V8 runs in the main context.
 *
 * Every top-level binding becomes a property of the global object, so that later cells and older closures see the newest one. The cell's
 * body is one function (async only if the cell awaits), declared on the script's first line, with its statements where the user put them:
 * lines never move, and where columns do (or types were stripped by a printer) there is a source map.
 */
import process from "node:process";
import MagicString from "magic-string";
import { parseSync } from "oxc-parser";
import { composeMaps, type SourceMapJson, stripTypes } from "./transpile.js";

/** A cell ready to run. */
export interface RewrittenCell {
  /** The script: its value is the function to call. Its first `prefix` columns are not the user's. */
  readonly script: string;
  readonly prefix: number;
  /** Names that the cell binds at its top level. */
  readonly declared: readonly string[];
  /** Of these: enums and namespaces, which start from nothing when declared again. */
  readonly fresh: readonly string[];
  readonly isAsync: boolean;
  /** From the script's first `prefix` columns onwards to the cell; undefined: same lines and columns. */
  readonly map: SourceMapJson | undefined;
}

/** A cell that does not parse. */
export class CellSyntaxError extends SyntaxError {
  constructor(
    message: string,
    /** 1-based line in the cell. */
    readonly line: number,
    /** 1-based column in the cell. */
    readonly column: number,
    readonly help: string | undefined,
  ) {
    super(message);
    this.name = "SyntaxError";
  }
}

/** A node of the syntax tree (ESTree with TypeScript's additions), as far as this module looks into it. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** What a suffix of a renamed top-level function looks like: a joiner, legal in a name and without a width. */
export const FUNCTION_MARK = "\u200c";
/** Global through which rewritten code reaches the kernel. */
export const RUNTIME = "__cell__";

/** Rewrite a cell. Throws CellSyntaxError where it does not parse. */
export function rewriteCell(source: string): RewrittenCell {
  const asObject = objectLiteral(source);
  const code = asObject ?? source;
  const parsed = parse(code, "ts");
  const body = parsed.body as Node[];
  const hidden = asObject === undefined && endsHidden(code, body);
  const typed = scanTypeScript(parsed);
  if (!typed.found) return edit(code, parsed, { hidden, fresh: [], map: undefined });
  const marked = typed.usingAtTop ? markValue(code, body, hidden) : code;
  const stripped = stripTypes(marked, { decorators: typed.decorators, using: typed.using });
  const fresh = body.flatMap((node) => {
    const declaration = node.type.startsWith("Export") ? ((node.declaration as Node | null) ?? node) : node;
    if (declaration.type !== "TSEnumDeclaration" && declaration.type !== "TSModuleDeclaration") return [];
    const id = declaration.id as Node;
    return id.type === "Identifier" ? [String(id.name)] : [];
  });
  return edit(stripped.code, parse(stripped.code, "js"), {
    hidden: hidden || typed.usingAtTop || !endsInExpression(body),
    fresh,
    map: stripped.map,
  });
}

/** `{ a: 1 }` alone in a cell is meant as an object, as in every console. Returns the code to use, the same length but for its end. */
function objectLiteral(source: string): string | undefined {
  if (!/^\s*\{/.test(source) || !/\}\s*$/.test(source)) return undefined;
  const code = `(${source}\n)`;
  if (parseSync("cell.ts", code, { lang: "ts", sourceType: "module" }).errors.length > 0) return undefined;
  const trimmed = source.trimStart();
  const indent = source.length - trimmed.length;
  const blank = source.slice(0, indent);
  // The parenthesis takes the place of a blank where there is one.
  return blank.endsWith(" ") ? `${blank.slice(0, -1)}(${trimmed}\n)` : `${blank}(${trimmed}\n)`;
}

function parse(code: string, lang: "ts" | "js"): Node {
  const result = parseSync(`cell.${lang}`, code, { lang, sourceType: "module", showSemanticErrors: true });
  const error = result.errors[0];
  if (error) {
    // A second declaration is the mistake, not the first.
    const label = error.message.includes("already been declared") ? error.labels.at(-1) : error.labels[0];
    const offset = label?.start ?? 0;
    const before = code.slice(0, offset);
    const line = before.split("\n").length;
    const column = offset - before.lastIndexOf("\n");
    throw new CellSyntaxError(error.message, line, column, error.helpMessage ?? undefined);
  }
  return result.program as unknown as Node;
}

interface TypeScriptUse {
  found: boolean;
  decorators: boolean;
  using: boolean;
  usingAtTop: boolean;
}

const nativeUsing = Number(process.versions.node.split(".")[0]) >= 24;

/** Does the tree hold anything that V8 would not take? */
function scanTypeScript(program: Node): TypeScriptUse {
  const use: TypeScriptUse = { found: false, decorators: false, using: false, usingAtTop: false };
  const visit = (node: Node, depth: number): void => {
    if (node.type.startsWith("TS") || node.accessibility || node.typeAnnotation || node.optional === true) {
      if (!(node.type === "CallExpression" || node.type === "MemberExpression")) use.found = true;
    }
    if (
      node.declare === true ||
      node.abstract === true ||
      node.override === true ||
      node.definite === true ||
      node.readonly === true
    )
      use.found = true;
    if (node.importKind === "type" || node.exportKind === "type") use.found = true;
    if (node.type === "Decorator" || node.type === "AccessorProperty") {
      use.found = true;
      use.decorators = true;
    }
    if (node.type === "VariableDeclaration" && (node.kind === "using" || node.kind === "await using") && !nativeUsing) {
      use.found = true;
      use.using = true;
      if (depth === 1) use.usingAtTop = true;
    }
    for (const child of children(node)) visit(child, depth + 1);
  };
  visit(program, 0);
  return use;
}

function* children(node: Node): Generator<Node> {
  for (const key in node) {
    const value = node[key];
    if (typeof value !== "object" || value === null || key === "parent") continue;
    if (Array.isArray(value)) {
      for (const item of value) if (item && typeof item.type === "string") yield item as Node;
    } else if (typeof (value as Node).type === "string") yield value as Node;
  }
}

function endsInExpression(body: readonly Node[]): boolean {
  return body.at(-1)?.type === "ExpressionStatement" || body.at(-1)?.type === "ExportDefaultDeclaration";
}

/** A semicolon after the last expression hides its value. */
function endsHidden(code: string, body: readonly Node[]): boolean {
  const last = body.at(-1);
  if (!last) return true;
  if (last.type === "EmptyStatement") return true;
  return last.type === "ExpressionStatement" && code[last.end - 1] === ";";
}

/** Before a printer wraps the cell's statements (`using` at its top level), let the last expression hand over its value. */
function markValue(code: string, body: readonly Node[], hidden: boolean): string {
  const last = body.at(-1);
  if (hidden || last?.type !== "ExpressionStatement") return code;
  const expression = last.expression as Node;
  return `${code.slice(0, expression.start)}${RUNTIME}.value(${code.slice(expression.start, expression.end)})${code.slice(expression.end)}`;
}

interface EditOptions {
  readonly hidden: boolean;
  readonly fresh: readonly string[];
  /** Where the code being edited is not the user's any more. */
  readonly map: SourceMapJson | undefined;
}

/** Turn a parsed JavaScript module into the script. */
function edit(code: string, program: Node, options: EditOptions): RewrittenCell {
  const edits = new Edits(code);
  const body = program.body as Node[];
  const scope: Scope = { declared: new Set(), isAsync: false, hoisted: [] };
  for (const statement of body) topLevel(statement, scope, edits);
  walkOwnScope(program, scope, edits);
  const last = body.at(-1);
  if (!options.hidden && last?.type === "ExpressionStatement") {
    const expression = last.expression as Node;
    edits.before(expression.start, "return [(");
    edits.after(expression.end, ")]");
  }
  const prefix = `(${scope.isAsync ? "async " : ""}function(){"use strict";${scope.hoisted.join("")}`;
  const { text, map } = edits.finish();
  return {
    script: `${prefix}${text}\n})`,
    prefix: prefix.length,
    declared: [...scope.declared],
    fresh: options.fresh,
    isAsync: scope.isAsync,
    map: composeMaps(map, options.map),
  };
}

interface Scope {
  readonly declared: Set<string>;
  isAsync: boolean;
  /** Code that runs before the first statement: functions. */
  readonly hoisted: string[];
}

/** Edits that remember whether any of them moves a column that is not at a line's end. */
class Edits {
  readonly #text: MagicString;
  #touched = false;
  #shifted = false;
  constructor(readonly code: string) {
    this.#text = new MagicString(code);
  }
  before(at: number, text: string): void {
    this.#text.appendRight(at, text);
    this.#touched = true;
    this.#shifted = true;
  }
  after(at: number, text: string): void {
    this.#text.appendLeft(at, text);
    this.#touched = true;
    const lineEnds = /\s*(?:;\s*)?(?:\/\/.*)?(?:\n|$)/y;
    lineEnds.lastIndex = at;
    if (!lineEnds.test(this.code)) this.#shifted = true;
  }
  /** Replace, padding to the same width if the new text is shorter. */
  replace(start: number, end: number, text: string, moved = false): void {
    if (moved) this.#shifted = true;
    if (start === end) {
      this.before(start, text);
      return;
    }
    const old = this.code.slice(start, end);
    const lines = old.split("\n").length - 1;
    let padded = text;
    if (lines > 0) padded = text + "\n".repeat(lines) + " ".repeat(old.length - old.lastIndexOf("\n") - 1);
    else if (text.length <= old.length) padded = text.padEnd(old.length);
    else this.#shifted = true;
    this.#text.overwrite(start, end, padded);
    this.#touched = true;
  }
  finish(): { text: string; map: SourceMapJson | undefined } {
    if (!this.#touched) return { text: this.code, map: undefined };
    const text = this.#text.toString();
    if (!this.#shifted) return { text, map: undefined };
    const { mappings } = this.#text.generateMap({ hires: "boundary", source: "cell" });
    return { text, map: { version: 3, sources: ["cell"], names: [], mappings } };
  }
}

/** Statements of the cell itself: bindings to the global object, imports to calls. */
function topLevel(node: Node, scope: Scope, edits: Edits): void {
  switch (node.type) {
    case "VariableDeclaration":
      if (node.kind === "const" || node.kind === "let" || node.kind === "var") variables(node, scope, edits, ";");
      return;
    case "FunctionDeclaration": {
      const id = node.id as Node | null;
      if (!id) return;
      const name = String(id.name);
      scope.declared.add(name);
      edits.before(id.end, FUNCTION_MARK);
      scope.hoisted.push(`${name}=${RUNTIME}.fn(${JSON.stringify(name)},${name}${FUNCTION_MARK});`);
      return;
    }
    case "ClassDeclaration": {
      const id = node.id as Node | null;
      if (!id) return;
      const name = String(id.name);
      scope.declared.add(name);
      edits.before(node.start, `;${name} = `);
      edits.after(node.end, ";");
      return;
    }
    case "ImportDeclaration":
      importDeclaration(node, scope, edits);
      return;
    case "ExportNamedDeclaration": {
      const declaration = node.declaration as Node | null;
      if (declaration) {
        edits.replace(node.start, declaration.start, "");
        topLevel(declaration, scope, edits);
      } else edits.replace(node.start, node.end, "");
      return;
    }
    case "ExportDefaultDeclaration": {
      const declaration = node.declaration as Node;
      edits.replace(node.start, declaration.start, "");
      if (declaration.type.endsWith("Declaration")) {
        if (declaration.id) topLevel(declaration, scope, edits);
        else {
          edits.before(declaration.start, ";(");
          edits.after(declaration.end, ");");
        }
      }
      return;
    }
    case "ExportAllDeclaration":
      edits.replace(node.start, node.end, "");
      return;
    default:
  }
}

/** `const {a, b} = f(), c = 1` becomes `;    ({a, b} = f()), c = 1;__cell__.freeze("a","b","c");`. */
function variables(node: Node, scope: Scope, edits: Edits, lead: ";" | ""): void {
  const declarations = node.declarations as Node[];
  const first = declarations[0];
  if (!first) return;
  const names = declarations.flatMap((declaration) => boundNames(declaration.id as Node));
  for (const name of names) scope.declared.add(name);
  const pattern = (first.id as Node).type !== "Identifier" && first.init !== null;
  const keyword = edits.code.slice(node.start, first.start);
  // The parenthesis of a destructuring assignment takes the last blank after the keyword.
  const opening = pattern && /\s$/.test(keyword) && !keyword.includes("\n");
  edits.replace(node.start, first.start, opening ? `${lead.padEnd(keyword.length - 1)}(` : lead);
  for (const declaration of declarations) {
    const id = declaration.id as Node;
    const init = declaration.init as Node | null;
    if (id.type !== "Identifier") {
      if (!init) continue;
      if (declaration !== first || !opening) edits.before(declaration.start, "(");
      edits.after(declaration.end, ")");
    } else if (!init && node.kind === "let") edits.after(declaration.end, " = void 0");
  }
  if (node.kind === "const" && lead === ";") {
    edits.after(node.end, `;${RUNTIME}.freeze(${names.map((name) => JSON.stringify(name)).join(",")});`);
  }
}

function boundNames(pattern: Node): string[] {
  switch (pattern.type) {
    case "Identifier":
      return [String(pattern.name)];
    case "ObjectPattern":
      return (pattern.properties as Node[]).flatMap((property) =>
        boundNames((property.type === "RestElement" ? property.argument : property.value) as Node),
      );
    case "ArrayPattern":
      return (pattern.elements as (Node | null)[]).flatMap((element) => (element ? boundNames(element) : []));
    case "RestElement":
      return boundNames(pattern.argument as Node);
    case "AssignmentPattern":
      return boundNames(pattern.left as Node);
    default:
      return [];
  }
}

function importDeclaration(node: Node, scope: Scope, edits: Edits): void {
  scope.isAsync = true;
  const attributes = (node.attributes as Node[]).map((attribute) => {
    const key = attribute.key as Node;
    return `${JSON.stringify(String(key.name ?? key.value))}:${JSON.stringify((attribute.value as Node).value)}`;
  });
  const specifier = JSON.stringify((node.source as Node).value);
  const names: string[] = [];
  const targets: string[] = [];
  let namespace: string | undefined;
  for (const one of node.specifiers as Node[]) {
    const local = String((one.local as Node).name);
    scope.declared.add(local);
    if (one.type === "ImportNamespaceSpecifier") namespace = local;
    else {
      const imported =
        one.type === "ImportDefaultSpecifier"
          ? "default"
          : String((one.imported as Node).name ?? (one.imported as Node).value);
      names.push(JSON.stringify(imported));
      targets.push(`${JSON.stringify(imported)}:${local}`);
    }
  }
  const call = `await ${RUNTIME}.static(${specifier},{${attributes.join(",")}},[${names.join(",")}])`;
  const target =
    targets.length > 0
      ? `({${targets.join(",")}} = ${namespace ? `(${namespace} = ${call})` : call});`
      : `${namespace ? `${namespace} = ` : ""}${call};`;
  edits.replace(node.start, node.end, `;${target}`, true);
}

/** Everything below: `await` outside functions, `var` in blocks, `import()` and `import.meta` anywhere. */
function walkOwnScope(program: Node, scope: Scope, edits: Edits): void {
  const visit = (node: Node, inFunction: boolean, top: boolean): void => {
    switch (node.type) {
      case "AwaitExpression":
        if (!inFunction) scope.isAsync = true;
        break;
      case "ForOfStatement":
        if (!inFunction && node.await === true) scope.isAsync = true;
        break;
      case "VariableDeclaration":
        if (!inFunction && node.kind === "await using") scope.isAsync = true;
        if (!inFunction && !top && node.kind === "var") variables(node, scope, edits, "");
        break;
      case "ImportExpression":
        edits.replace(node.start, node.start + "import".length, `${RUNTIME}.import`);
        break;
      case "MetaProperty":
        if ((node.meta as Node).name === "import") edits.replace(node.start, node.end, `${RUNTIME}.meta`);
        break;
      default:
    }
    const inner = inFunction || isFunction(node);
    const topNext = node.type === "Program" || (top && node.type.startsWith("Export"));
    for (const child of children(node)) visit(child, inner, topNext);
  };
  visit(program, false, false);
}

function isFunction(node: Node): boolean {
  return (
    node.type === "FunctionDeclaration" ||
    node.type === "FunctionExpression" ||
    node.type === "ArrowFunctionExpression" ||
    node.type === "PropertyDefinition" ||
    node.type === "StaticBlock"
  );
}
