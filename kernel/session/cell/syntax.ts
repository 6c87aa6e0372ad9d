/** The syntax tree of a cell (ESTree with TypeScript's additions), as far as the rewriter looks into it. */

import { type OxcError, type ParserOptions, parseSync, type Severity } from "oxc-parser";
import { excess, LESS_DEEP } from "./depth.js";

/** A node of the tree. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** What a parser has made of a source. */
export interface Parsed {
  readonly program: Node;
  readonly errors: readonly OxcError[];
  /** What it imports with `import … from`. */
  readonly imports: readonly string[];
}

/** Parse a source; its file's name says in which language it is. One that the parser would not survive is an error, not a crash. */
export function parse(file: string, code: string, options: ParserOptions = { sourceType: "module" }): Parsed {
  const message = excess(code);
  if (message !== undefined) {
    const error = { severity: "Error" as Severity, message, labels: [], helpMessage: LESS_DEEP, codeframe: null };
    return { program: { type: "Program", start: 0, end: code.length, body: [] }, errors: [error], imports: [] };
  }
  const { program, errors, module } = parseSync(file, code, options);
  return {
    // The parser's own types name each kind of node; what reads the tree here looks at all alike.
    program: program as unknown as Node,
    errors,
    get imports() {
      return module.staticImports.map(({ moduleRequest }) => moduleRequest.value);
    },
  };
}

/** The nodes right below a node, in the order of the tree's keys. */
export function children(node: Node): Node[] {
  const found: Node[] = [];
  for (const key in node) {
    const value = node[key];
    if (typeof value !== "object" || value === null || key === "parent") continue;
    if (Array.isArray(value)) {
      for (const item of value) if (item && typeof item.type === "string") found.push(item as Node);
    } else if (typeof (value as Node).type === "string") found.push(value as Node);
  }
  return found;
}

/**
 * Visits a node and everything below it, outside in. `enter` gets what it returned for the node above, and returns what the nodes below get;
 * undefined: they are not visited. A loop, no recursion: a sum of ten thousand terms is a tree ten thousand deep.
 */
export function walk<State>(root: Node, state: State, enter: (node: Node, state: State) => State | undefined): void {
  const waiting: [Node, State][] = [[root, state]];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const below = enter(next[0], next[1]);
    if (below === undefined) continue;
    const all = children(next[0]);
    for (let index = all.length - 1; index >= 0; index--) waiting.push([all[index] as Node, below]);
  }
}

/** The names that a pattern binds, each with its place. */
export function boundIdentifiers(pattern: Node): Node[] {
  switch (pattern.type) {
    case "Identifier":
      return [pattern];
    case "ObjectPattern":
      return (pattern.properties as Node[]).flatMap((property) =>
        boundIdentifiers((property.type === "RestElement" ? property.argument : property.value) as Node),
      );
    case "ArrayPattern":
      return (pattern.elements as (Node | null)[]).flatMap((element) => (element ? boundIdentifiers(element) : []));
    case "RestElement":
      return boundIdentifiers(pattern.argument as Node);
    case "AssignmentPattern":
      return boundIdentifiers(pattern.left as Node);
    default:
      return [];
  }
}

/** Does the node begin code that `await` and `var` at the cell's top level do not reach into? */
export function isFunction(node: Node): boolean {
  return (
    node.type === "FunctionDeclaration" ||
    node.type === "FunctionExpression" ||
    node.type === "ArrowFunctionExpression" ||
    node.type === "PropertyDefinition" ||
    node.type === "StaticBlock"
  );
}
