import { RUNTIME } from "../session/cell/rewrite.js";
import { parse } from "../session/cell/syntax.js";
import { stripTypes } from "../session/cell/transpile.js";

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

/** The nodes right below a node, each with the name of the property that holds it. */
function* children(node: Node): Iterable<readonly [key: string, child: Node]> {
  for (const key in node) {
    const value = node[key];
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield [key, child];
  }
}

function programOf(file: "script.js" | "cell.ts", code: string): { root: unknown; problem: string | undefined } {
  const typescript = file === "cell.ts";
  const { program, errors } = parse(file, code, {
    lang: typescript ? "ts" : "js",
    sourceType: typescript ? "module" : "unambiguous",
  });
  return { root: program, problem: errors[0]?.message };
}

/** Whether an error thrown at `offset` of a script is caught by a `catch` of the same function. */
export function isInsideTry(code: string, offset: number): boolean {
  let caught = false;
  const visit = (node: Node): void => {
    if (node.start > offset || node.end <= offset) return;
    if (/Function|StaticBlock/.test(node.type)) caught = false;
    for (const [key, child] of children(node)) {
      if (
        node.type === "TryStatement" &&
        key === "block" &&
        node.handler &&
        child.start <= offset &&
        offset < child.end
      )
        caught = true;
      visit(child);
    }
  };
  const { root } = programOf("script.js", code);
  if (isNode(root)) visit(root);
  return caught;
}

/** The expression, run so that an interrupt ends it. */
export function interruptible(expression: string): string {
  return `${RUNTIME}.evaluate(() => ${expression})`;
}

/** What is wrong with an expression, or undefined. */
export function syntaxProblem(expression: string): string | undefined {
  return programOf("script.js", expression).problem;
}

/**
 * Lines (from 1) on which a statement or an expression body begins: where execution can stop. Undefined where the code cannot be
 * parsed whole, as a cell with magics.
 */
export function codeLines(code: string): number[] | undefined {
  const starts: number[] = [0];
  for (let at = code.indexOf("\n"); at !== -1; at = code.indexOf("\n", at + 1)) starts.push(at + 1);
  const lines = new Set<number>();
  const lineOf = (offset: number): number => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
  const visit = (node: Node, parent: string): void => {
    if (/^TS(?!Enum|Module)|^ImportDeclaration$/.test(node.type) && !/Expression$/.test(node.type)) return;
    const statement =
      /(?:Statement|VariableDeclaration|ClassDeclaration|TSEnumDeclaration)$/.test(node.type) &&
      !/^(?:Block|Empty)/.test(node.type);
    if (
      statement ||
      (parent === "ArrowFunctionExpression" && /Expression$/.test(node.type)) ||
      /CallExpression$/.test(node.type)
    )
      lines.add(lineOf(node.start));
    for (const [, child] of children(node)) visit(child, node.type);
    if (/Function/.test(node.type) || node.type === "BlockStatement") lines.add(lineOf(node.end - 1));
  };
  const { root, problem } = programOf("cell.ts", code);
  if (problem !== undefined || !isNode(root)) return undefined;
  visit(root, "");
  return [...lines].sort((a, b) => a - b);
}

/** What V8 is given for an expression that a person wrote, and whether its promise is to be waited for. */
export interface Evaluable {
  readonly expression: string;
  readonly awaits: boolean;
}

/**
 * Makes JavaScript of what was typed into a debugger: without types, an object literal not taken for a block. At the global level
 * it may await, and what it declares becomes a variable like the notebook's, which a cell may declare again.
 */
export function evaluable(typed: string, global: boolean): Evaluable {
  const script = syntaxProblem(typed) === undefined ? typed : withoutTypes(typed);
  const text = withImport(script).trim().replace(/;$/, "");
  const whole = `(${text}\n)`;
  const isExpression = syntaxProblem(whole) === undefined;
  if (!global) return { expression: isExpression ? whole : `eval(${JSON.stringify(text)})`, awaits: false };
  if (/\bawait\b/.test(text) && syntaxProblem(`async () => ${whole}`) === undefined)
    return { expression: `(async () => ${whole})()`, awaits: true };
  return { expression: isExpression ? whole : `(0, eval)(${JSON.stringify(withVar(text))})`, awaits: false };
}

function withoutTypes(text: string): string {
  try {
    return stripTypes(text, { byTypeScript: false, usingAtTop: false, legacy: undefined }).code;
  } catch {
    return text;
  }
}

/** `let` and `const` at the top as `var`. */
function withVar(code: string): string {
  const { root } = programOf("script.js", code);
  if (!isNode(root) || !Array.isArray(root.body)) return code;
  const declarations = root.body.filter(isNode).filter(({ type }) => type === "VariableDeclaration");
  return declarations.reduceRight(
    (text, { start }) => text.slice(0, start) + text.slice(start).replace(/^(?:let|const)\b/, "var"),
    code,
  );
}

/** `import()` as the notebook's own: V8 knows no other in an expression. */
function withImport(code: string): string {
  const starts: number[] = [];
  const visit = (node: Node): void => {
    if (node.type === "ImportExpression") starts.push(node.start);
    for (const [, child] of children(node)) visit(child);
  };
  const { root } = programOf("script.js", code);
  if (isNode(root)) visit(root);
  return starts
    .sort((a, b) => b - a)
    .reduce((text, at) => `${text.slice(0, at)}${RUNTIME}.import${text.slice(at + "import".length)}`, code);
}

/** Whether an expression only names something: `a`, `a.b[0]`, `this`. */
export function isName(expression: string): boolean {
  const { root, problem } = programOf("script.js", `(${expression}\n)`);
  const named = (node: unknown): boolean => {
    if (!isNode(node)) return false;
    switch (node.type) {
      case "ParenthesizedExpression":
        return named(node.expression);
      case "MemberExpression":
        return named(node.object) && (node.computed !== true || named(node.property));
      default:
        return /^(?:Identifier|ThisExpression|Literal)$/.test(node.type);
    }
  };
  if (problem !== undefined || !isNode(root) || !Array.isArray(root.body) || root.body.length !== 1) return false;
  const [statement]: unknown[] = root.body;
  return isNode(statement) && statement.type === "ExpressionStatement" && named(statement.expression);
}
