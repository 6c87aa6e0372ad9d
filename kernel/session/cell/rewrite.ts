/**
 * From the TypeScript that a user wrote in a cell to a classic script that V8 runs in the main context.
 *
 * Every top-level binding becomes a property of the global object, so that later cells and older closures see the newest one. The cell's
 * body is one function (async only if the cell awaits), declared on the script's first line, with its statements where the user put them:
 * lines never move, and where columns do (or types were stripped by a printer) there is a source map.
 */
import MagicString from "magic-string";
import { LESS_DEEP } from "./depth.js";
import { type Reference, topLevelReferences } from "./references.js";
import { boundIdentifiers, isFunction, type Node, parse, walk } from "./syntax.js";
import { composeMaps, type Lowering, loweringOf, type SourceMapJson, stripTypes } from "./transpile.js";

/** A variable that a cell declares at its top level. */
export interface Binding {
  readonly name: string;
  /** The global object's property that holds it: its name, or a name of its own where the environment has something by that name. */
  readonly key: string;
  /** `fresh`: enums and namespaces, which start from nothing when declared again. `import`: set when the module has been loaded. */
  readonly kind: "var" | "lexical" | "fresh" | "import";
  /** The cell mentions a lexical one before it has a value. */
  readonly early: boolean;
}

/** A cell ready to run. */
export interface RewrittenCell {
  /** The script: its value is the function to call. Its first `prefix` columns are not the user's. */
  readonly script: string;
  readonly prefix: number;
  readonly declared: readonly Binding[];
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

/** What a suffix of a renamed top-level function looks like: a joiner, legal in a name and without a width. */
export const FUNCTION_MARK = "\u200c";
/** Global through which rewritten code reaches the kernel. */
export const RUNTIME = "__cell__";

/** What an error message says of the rewriter's names, in the user's. */
export function withoutMarks(text: string): string {
  if (!text.includes(FUNCTION_MARK)) return text;
  return text
    .replace(/\(0 , ([\p{ID_Continue}$]+)\u200c{3}([\p{ID_Continue}$]+)\.\2\)/gu, "$1")
    .replace(/([\p{ID_Continue}$]+)\u200c{3}([\p{ID_Continue}$]+)(?:\.\2)?/gu, "$1")
    .replaceAll(FUNCTION_MARK, "");
}

/** What the rewriter must know of where the cell will run. */
export interface CellSurroundings {
  /** Names that belong to JavaScript, to Node or to the kernel: packages rely on them, so cells that declare them get variables of their own. */
  readonly taken: ReadonlySet<string>;
  /** Of these, the names that earlier cells have declared. */
  readonly shadowed: Iterable<string>;
  /** Names that earlier cells have imported, and what the module calls them. */
  readonly imported: ReadonlyMap<string, string>;
  /** What tsconfig.json asks for of older TypeScript; asked only by a cell to which it makes a difference. */
  readonly legacy?: () => Lowering["legacy"];
}

/** The stack was used up by a cell that is nested or chained too deeply. */
export function tooDeep(error: unknown): CellSyntaxError | undefined {
  return error instanceof RangeError && /call stack/.test(error.message)
    ? new CellSyntaxError("the cell nests or chains expressions or statements too deeply", 1, 1, LESS_DEEP)
    : undefined;
}

/** Rewrite a cell. Throws CellSyntaxError where it does not parse. */
export function rewriteCell(...cell: Parameters<typeof rewritten>): RewrittenCell {
  try {
    return rewritten(...cell);
  } catch (error) {
    throw tooDeep(error) ?? error;
  }
}

function rewritten(
  source: string,
  surroundings: CellSurroundings = { taken: new Set(), shadowed: [], imported: new Map() },
): RewrittenCell {
  const literal = objectLiteral(source);
  const code = literal?.code ?? source.replace(/^#!/, "//");
  const program = moduleOf(code, "ts");
  const body = program.body as Node[];
  const last = body.at(-1);
  const lowering = loweringOf(program, surroundings.legacy);
  const wrapped = lowering?.usingAtTop === true;
  const plainValue = last?.type === "ExpressionStatement" && !wrapped;
  // What a statement leaves as its value, as in a console: handed over where it is made.
  const tails = last && !plainValue ? tailExpressions(code, [last]) : [];
  const hidden = !plainValue || code[last.end - 1] === ";";
  if (!lowering) return edit(code, program, { hidden, tails, fresh: [], map: literal?.map, surroundings });
  const marked = markTails(code, tails);
  const stripped = stripTypes(marked.code, lowering);
  const fresh = body.flatMap((node) => {
    const declaration = node.type.startsWith("Export") ? ((node.declaration as Node | null) ?? node) : node;
    if (declaration.type !== "TSEnumDeclaration" && declaration.type !== "TSModuleDeclaration") return [];
    const id = declaration.id as Node;
    return id.type === "Identifier" ? [String(id.name)] : [];
  });
  const map = composeMaps(composeMaps(stripped.map, marked.map), literal?.map);
  return edit(stripped.code, moduleOf(stripped.code, "js"), { hidden, tails: [], fresh, map, surroundings });
}

/** `{ a: 1 }` alone in a cell is meant as an object, as in every console. Returns the code to use, and the map back where columns differ. */
function objectLiteral(source: string): { readonly code: string; readonly map: SourceMapJson | undefined } | undefined {
  const lead = /^(?:\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)*/.exec(source)?.[0] ?? "";
  if (source[lead.length] !== "{") return undefined;
  const rest = `${source.slice(lead.length)}\n)`;
  if (parse("cell.ts", `(${rest}`).errors.length > 0) return undefined;
  // The parenthesis takes the place of a blank where there is one.
  if (lead.endsWith(" ")) return { code: `${lead.slice(0, -1)}(${rest}`, map: undefined };
  const text = new MagicString(source).appendLeft(lead.length, "(");
  const { mappings } = text.generateMap({ hires: "boundary", source: "cell" });
  return { code: `${lead}(${rest}`, map: { version: 3, sources: ["cell"], names: [], mappings } };
}

function moduleOf(code: string, lang: "ts" | "js"): Node {
  const result = parse(`cell.${lang}`, code, { sourceType: "module", showSemanticErrors: true });
  const error = result.errors[0];
  if (error) {
    // A second declaration is the mistake, not the first.
    const label = error.message.includes("already been declared") ? error.labels.at(-1) : error.labels[0];
    const { message, help, offset } = inV8sWords(error.message, error.helpMessage ?? undefined, code, label);
    const before = code.slice(0, offset);
    const line = before.split("\n").length;
    const column = offset - before.lastIndexOf("\n");
    throw new CellSyntaxError(message, line, column, help);
  }
  return result.program;
}

interface SyntaxComplaint {
  readonly message: string;
  readonly help: string | undefined;
  readonly offset: number;
}

/** The parser does not always name what stands in its way, and points before it where a semicolon is missing. */
function inV8sWords(
  message: string,
  help: string | undefined,
  code: string,
  label: { readonly start: number; readonly end: number } | undefined,
): SyntaxComplaint {
  const start = label?.start ?? 0;
  const plain = /^(?:Unexpected token|Expected (`.*`) but found `.*`)$/.exec(message);
  if (plain) {
    const wanted = plain[1];
    const token = code.slice(start, label?.end).trim();
    const unexpected = token === "" ? "Unexpected end of input" : `Unexpected token '${token}'`;
    return { message: wanted === undefined ? unexpected : `${unexpected}: expected ${wanted}`, help, offset: start };
  }
  if (message.startsWith("Expected a semicolon or an implicit semicolon")) {
    const offset = start + (/^\s*/.exec(code.slice(start))?.[0].length ?? 0);
    const token = /^(?:[\p{ID_Continue}$]+|"[^"\n]*"?|'[^'\n]*'?|=>|.)/u.exec(code.slice(offset))?.[0] ?? "";
    return { message: `Unexpected token '${token}'`, help: "a semicolon or a new line is missing before it", offset };
  }
  return { message, help, offset: start };
}

/** The expressions whose value the last of some statements ends with; those with a semicolon behind them are hidden. */
function tailExpressions(code: string, statements: readonly Node[]): Node[] {
  const last = statements.findLast(({ type }) => type !== "BreakStatement" && type !== "ContinueStatement");
  if (!last) return [];
  const below = (node: unknown): Node[] => (node ? tailExpressions(code, [node as Node]) : []);
  switch (last.type) {
    case "ExpressionStatement":
      return code[last.end - 1] === ";" ? [] : [last.expression as Node];
    case "BlockStatement":
      return tailExpressions(code, last.body as Node[]);
    case "IfStatement":
      return [...below(last.consequent), ...below(last.alternate)];
    case "ForStatement":
    case "ForInStatement":
    case "ForOfStatement":
    case "WhileStatement":
    case "DoWhileStatement":
    case "LabeledStatement":
      return below(last.body);
    case "SwitchStatement":
      return (last.cases as Node[]).flatMap((one) => tailExpressions(code, one.consequent as Node[]));
    case "TryStatement":
      return [...below(last.block), ...below((last.handler as Node | null)?.body)];
    default:
      return [];
  }
}

const TAIL_START = `${RUNTIME}.value((`;
const TAIL_END = "))";

/** Let the tails hand over their values before a printer sees the code. */
function markTails(code: string, tails: readonly Node[]): { code: string; map: SourceMapJson | undefined } {
  if (tails.length === 0) return { code, map: undefined };
  const text = new MagicString(code);
  for (const { start, end } of tails) text.appendRight(start, TAIL_START).appendLeft(end, TAIL_END);
  const { mappings } = text.generateMap({ hires: "boundary", source: "cell" });
  return { code: text.toString(), map: { version: 3, sources: ["cell"], names: [], mappings } };
}

interface EditOptions {
  /** The last statement's value is not shown. */
  readonly hidden: boolean;
  /** Expressions deeper in the last statement that hand over their values. */
  readonly tails: readonly Node[];
  readonly fresh: readonly string[];
  /** Where the code being edited is not the user's any more. */
  readonly map: SourceMapJson | undefined;
  readonly surroundings: CellSurroundings;
}

/** Turn a parsed JavaScript module into the script. */
function edit(code: string, program: Node, options: EditOptions): RewrittenCell {
  const { taken, shadowed, imported } = options.surroundings;
  const edits = new Edits(code);
  const body = program.body as Node[];
  const names = topLevelNames(program);
  const renamed = new Set([...shadowed, ...names].filter((name) => taken.has(name) && code.includes(name)));
  const scope: Scope = {
    declared: new Map(),
    imported: new Map(),
    isAsync: false,
    hoisted: [],
    keyOf: (name) => (renamed.has(name) ? keyOfTaken(name) : name),
  };
  let imports = true;
  for (const statement of body) {
    imports &&= statement.type === "ImportDeclaration";
    topLevel(statement, scope, edits);
    // Modules import before they do anything else.
    if (!imports && statement.type === "ImportDeclaration") edits.toFront(statement.start, statement.end);
  }
  const seen = walkOwnScope(program, scope, edits);
  // The printer says `export {}` behind a cell of which it has dropped the imports.
  const last = body.findLast(({ type, declaration }) => type !== "ExportNamedDeclaration" || declaration);
  if (!options.hidden && last?.type === "ExpressionStatement") {
    const expression = last.expression as Node;
    edits.before(expression.start, "return [(");
    edits.after(expression.end, ")]");
  }
  for (const { start, end } of options.tails) {
    edits.before(start, TAIL_START);
    edits.after(end, TAIL_END);
  }
  const live = new Map([...scope.imported].filter(([name]) => seen.has(name)));
  for (const [name, exported] of imported) if (seen.has(name) && !scope.declared.has(name)) live.set(name, exported);
  // What hands over a value stands in brackets.
  const inside = new Set(options.tails.map(({ start }) => start));
  if (!options.hidden && last) inside.add(last.start);
  if (renamed.size > 0 || live.size > 0)
    for (const reference of topLevelReferences(program, new Set([...renamed, ...live.keys()])))
      edits.reference(reference, scope.keyOf(reference.name), live.get(reference.name), inside);
  const prefix = `(${scope.isAsync ? "async " : ""}()=>{"use strict";${scope.hoisted.join("")}${edits.lead}`;
  const { text, map } = edits.finish();
  const declared = [...scope.declared].map(([name, { kind, start, end }]): Binding => {
    const places = seen.get(name);
    const early = kind === "lexical" && places !== undefined && (places.first < start || places.second < end);
    return { name, key: scope.keyOf(name), kind: options.fresh.includes(name) ? "fresh" : kind, early };
  });
  return {
    script: `${prefix}${text}\n})`,
    prefix: prefix.length,
    declared,
    isAsync: scope.isAsync,
    map: composeMaps(map, options.map),
  };
}

interface Scope {
  /** By name: how it is declared, and from where to where there is no value to mention. */
  readonly declared: Map<string, Declared>;
  /** By name, what the module that it comes from calls it. */
  readonly imported: Map<string, string>;
  isAsync: boolean;
  /** Code that runs before the first statement: functions. */
  readonly hoisted: string[];
  readonly keyOf: (name: string) => string;
}

interface Declared {
  readonly kind: "var" | "lexical" | "import";
  readonly start: number;
  readonly end: number;
}

/** The property under which a variable lies whose name the environment has already. */
export function keyOfTaken(name: string): string {
  return name + FUNCTION_MARK + FUNCTION_MARK;
}

/**
 * The property under which the module lies that a cell has imported a name from. What is compiled while the name means the import reads it
 * there, a member of the module: an accessor, which it is to all other code, costs ten times as much.
 */
export function moduleKeyOf(name: string, exported: string): string {
  return name + FUNCTION_MARK + FUNCTION_MARK + FUNCTION_MARK + exported;
}

/** The name that was imported, given the property under which its module lies; undefined: any other property. */
export function importedName(key: string): string | undefined {
  return /^([^\u200c]+)\u200c{3}/.exec(key)?.[1];
}

/** Code for the value of a notebook's import, which throws where the name stands for something else. To V8, reading one might have effects. */
export function readImport(name: string): string {
  return `${RUNTIME}.imported(${JSON.stringify(name)})`;
}

/** All names that the module binds at its top level. */
function topLevelNames(program: Node): Set<string> {
  const names = new Set<string>();
  const add = (nodes: readonly Node[]): void => {
    for (const node of nodes) names.add(String(node.name));
  };
  walk<"top" | "block">(program, "top", (node, depth) => {
    if (node.type === "Program" || node.type.startsWith("Export")) return "top";
    if (node.type === "ImportDeclaration") add((node.specifiers as Node[]).map(({ local }) => local as Node));
    if (depth === "top" && (node.type === "FunctionDeclaration" || node.type === "ClassDeclaration") && node.id)
      add([node.id as Node]);
    if (node.type === "VariableDeclaration" && (depth === "top" || node.kind === "var"))
      add((node.declarations as Node[]).flatMap(({ id }) => boundIdentifiers(id as Node)));
    return isFunction(node) ? undefined : "block";
  });
  return names;
}

/** Edits that remember whether any of them moves a column that is not at a line's end. */
class Edits {
  /** What comes before the user's first column: part of the script's prefix, which moves no column of the user's. */
  lead = "";
  readonly #text: MagicString;
  #touched = false;
  #shifted = false;
  constructor(readonly code: string) {
    this.#text = new MagicString(code);
  }
  before(at: number, text: string): void {
    if (at === 0) {
      this.lead += text;
      return;
    }
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
  /** Text that belongs to what ends at `at`: before all that comes after it. */
  insert(at: number, text: string): void {
    this.#text.prependLeft(at, text);
    this.#touched = true;
    this.#shifted = true;
  }
  /** A mention of a variable that lies under `key`, or is what a module exports as `exported`. */
  reference(at: Reference, key: string, exported: string | undefined, inside: ReadonlySet<number>): void {
    const { name, start, end } = at;
    if (at.shorthand) this.before(start, `${name}:`);
    if (exported === undefined || at.assigned) {
      if (key !== name) this.insert(end, key.slice(name.length));
      return;
    }
    const read = `${moduleKeyOf(name, exported)}.${exported}`;
    if (!at.called) {
      this.insert(end, read.slice(name.length));
      return;
    }
    // Not as a method of the module. V8 says that a call in brackets is where its arguments begin; the user's begins with the name.
    const opening = /[ \t]*\(/y;
    opening.lastIndex = end;
    const between = opening.exec(this.code)?.[0] ?? "";
    this.#text.update(start, end + between.length, `${at.leads && !inside.has(start) ? ";" : ""}(0,${read})${between}`);
    this.#touched = true;
    this.#shifted = true;
  }
  toFront(start: number, end: number): void {
    this.#text.move(start, end, 0);
    this.#shifted = true;
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
      declare([id], "var", node, scope);
      edits.before(id.end, FUNCTION_MARK);
      scope.hoisted.push(`${scope.keyOf(name)}=${RUNTIME}.fn(${JSON.stringify(name)},${name}${FUNCTION_MARK});`);
      return;
    }
    case "ClassDeclaration": {
      const id = node.id as Node | null;
      if (!id) return;
      declare([id], "lexical", node, scope);
      edits.before(node.start, `;${scope.keyOf(String(id.name))} = `);
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
      } else {
        edits.before(declaration.start, ";(");
        edits.after(declaration.end, ")");
      }
      return;
    }
    case "ExportAllDeclaration":
      edits.replace(node.start, node.end, "");
      return;
    default:
  }
}

/** Names of the global object that no script may declare; a shadow of them would only be a trap. */
const RESERVED = new Set(["undefined", "NaN", "Infinity"]);

function declare(identifiers: readonly Node[], kind: Declared["kind"], { start, end }: Node, scope: Scope): void {
  for (const id of identifiers) {
    if (RESERVED.has(String(id.name)))
      throw new CellSyntaxError(`Identifier '${id.name}' has already been declared`, 1, 1, undefined);
    const place = kind === "lexical" && id.start >= start ? id.start : start;
    scope.declared.set(String(id.name), { kind, start: place, end });
  }
}

/** `const {a, b} = f(), c = 1` becomes `;    ({a, b} = f()), c = 1;__cell__.freeze("a","b","c");`. */
function variables(node: Node, scope: Scope, edits: Edits, lead: ";" | ""): void {
  const declarations = node.declarations as Node[];
  const first = declarations[0];
  if (!first) return;
  for (const declaration of declarations)
    declare(boundIdentifiers(declaration.id as Node), node.kind === "var" ? "var" : "lexical", declaration, scope);
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
    else if (init && scope.keyOf(String(id.name)) !== id.name && isNameless(init)) {
      edits.before(init.start, `({${JSON.stringify(id.name)}:`);
      edits.after(init.end, `})[${JSON.stringify(id.name)}]`);
    }
  }
  if (node.kind === "const" && lead === ";") {
    const names = declarations.flatMap((declaration) => boundIdentifiers(declaration.id as Node));
    edits.after(node.end, `;${freezing(names, scope)}`);
  }
}

/** A function or class that takes its name from what it is assigned to. */
function isNameless(node: Node): boolean {
  return node.type === "ArrowFunctionExpression" || (/^(?:Function|Class)Expression$/.test(node.type) && !node.id);
}

function freezing(names: readonly Node[], scope: Scope): string {
  return `${RUNTIME}.freeze(${names.map((id) => JSON.stringify(scope.keyOf(String(id.name)))).join(",")});`;
}

function importDeclaration(node: Node, scope: Scope, edits: Edits): void {
  scope.isAsync = true;
  const attributes = (node.attributes as Node[]).map((attribute) => {
    const key = attribute.key as Node;
    return `${JSON.stringify(String(key.name ?? key.value))}:${JSON.stringify((attribute.value as Node).value)}`;
  });
  const specifier = JSON.stringify((node.source as Node).value);
  const locals = (node.specifiers as Node[]).map(({ local }) => local as Node);
  declare(locals, "import", node, scope);
  const names: [string, string][] = [];
  let namespace: string | undefined;
  for (const one of node.specifiers as Node[]) {
    const local = String((one.local as Node).name);
    if (one.type === "ImportNamespaceSpecifier") namespace = local;
    else {
      const { name = "default", value = name } = (one.imported ?? {}) as {
        readonly name?: unknown;
        readonly value?: unknown;
      };
      names.push([local, String(value)]);
      if (isPlainName(String(value))) scope.imported.set(local, String(value));
    }
  }
  const given = [specifier, `{${attributes.join(",")}}`, JSON.stringify(names), JSON.stringify(namespace)];
  edits.replace(node.start, node.end, `;await ${RUNTIME}.static(${given.join(",")});`, true);
}

/** Can it stand behind a dot? */
export function isPlainName(text: string): boolean {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(text);
}

interface Places {
  readonly first: number;
  second: number;
}

/**
 * Everything below: `await` outside functions, `var` in blocks, `import()` and `import.meta` anywhere. Returns where identifiers
 * stand for the first and the second time.
 */
function walkOwnScope(program: Node, scope: Scope, edits: Edits): Map<string, Places> {
  const seen = new Map<string, Places>();
  walk<"top" | "block" | "function">(program, "top", (node, within) => {
    const inFunction = within === "function";
    switch (node.type) {
      case "Identifier": {
        const places = seen.get(String(node.name));
        if (!places) seen.set(String(node.name), { first: node.start, second: Number.POSITIVE_INFINITY });
        else if (node.start > places.first && node.start < places.second) places.second = node.start;
        break;
      }
      case "AwaitExpression":
        if (!inFunction) scope.isAsync = true;
        break;
      case "ForOfStatement":
        if (!inFunction && node.await === true) scope.isAsync = true;
        break;
      case "PropertyDefinition":
        // A computed key is no part of the function that the value is.
        if (!inFunction && node.computed === true && awaits(node.key as Node)) scope.isAsync = true;
        break;
      case "VariableDeclaration":
        if (!inFunction && node.kind === "await using") scope.isAsync = true;
        if (within === "block" && node.kind === "var") variables(node, scope, edits, "");
        break;
      case "ImportExpression":
        edits.replace(node.start, node.start + "import".length, `${RUNTIME}.import`);
        break;
      case "MetaProperty":
        if ((node.meta as Node).name === "import") edits.replace(node.start, node.end, `${RUNTIME}.meta`);
        break;
      default:
    }
    if (inFunction || isFunction(node)) return "function";
    return node.type === "Program" || (within === "top" && node.type.startsWith("Export")) ? "top" : "block";
  });
  return seen;
}

function awaits(root: Node): boolean {
  let found = false;
  walk(root, true, (node) => {
    if (node.type === "AwaitExpression") found = true;
    return isFunction(node) ? undefined : true;
  });
  return found;
}
