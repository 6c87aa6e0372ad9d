/** Which identifiers of a cell mean a variable of the notebook, and not one of a function's or block's own. */
import { boundIdentifiers, isFunction, type Node, walk } from "./syntax.js";

/** A place where the name stands. */
export interface Reference {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** `{ name }`, which stands for `{ name: name }`. */
  readonly shorthand: boolean;
  /** It is assigned here, or counted up or down. */
  readonly assigned: boolean;
  /** It is called here, as a function or with a template. */
  readonly called: boolean;
  /** A statement among others begins with it: what comes before may lack its semicolon. */
  readonly leads: boolean;
}

/** The names of interest that a scope binds, and the scope around it. */
interface Scope {
  readonly bound: ReadonlySet<string>;
  readonly outer: Scope | undefined;
}

/** Every place in a JavaScript module where one of `names` means the module's own top-level variable, or the global one. */
export function topLevelReferences(program: Node, names: ReadonlySet<string>): Reference[] {
  const found: Reference[] = [];
  /** Identifiers that are no references: keys, members, labels; and shorthand properties' values. */
  const skipped = new Set<unknown>();
  const shorthand = new Set<unknown>();
  const assigned = new Set<unknown>();
  const called = new Set<unknown>();
  const leads = new Set<number>();
  const lead = (statements: unknown): void => {
    for (const { type, start } of statements as Node[]) if (type === "ExpressionStatement") leads.add(start);
  };
  walk<Scope | null>(program, null, (node, scope) => {
    switch (node.type) {
      case "Identifier": {
        const name = String(node.name);
        if (names.has(name) && !skipped.has(node) && !binds(scope, name))
          found.push({
            name,
            start: node.start,
            end: node.end,
            shorthand: shorthand.has(node),
            assigned: assigned.has(node),
            called: called.has(node),
            leads: leads.has(node.start),
          });
        return undefined;
      }
      case "CallExpression":
        called.add(withoutParentheses(node.callee as Node));
        return scope;
      case "TaggedTemplateExpression":
        called.add(withoutParentheses(node.tag as Node));
        return scope;
      case "AssignmentExpression":
        for (const id of boundIdentifiers(node.left as Node)) assigned.add(id);
        return scope;
      case "UpdateExpression":
        assigned.add(node.argument);
        return scope;
      case "Program":
        lead(node.body);
        return scope;
      case "SwitchCase":
        lead(node.consequent);
        return scope;
      case "MemberExpression":
        if (node.computed !== true) skipped.add(node.property);
        return scope;
      case "Property": {
        if (node.computed !== true) skipped.add(node.key);
        const value = node.value as Node;
        if (node.shorthand === true) shorthand.add(value.type === "AssignmentPattern" ? value.left : value);
        return scope;
      }
      case "MethodDefinition":
      case "AccessorProperty":
        if (node.computed !== true) skipped.add(node.key);
        return scope;
      case "LabeledStatement":
      case "BreakStatement":
      case "ContinueStatement":
        skipped.add(node.label);
        return scope;
      case "MetaProperty":
      case "ImportDeclaration":
      case "ExportAllDeclaration":
        return undefined;
      case "ExportNamedDeclaration":
        return node.declaration ? scope : undefined;
      case "PropertyDefinition":
        if (node.computed !== true) skipped.add(node.key);
        return scope;
      case "ClassDeclaration":
      case "ClassExpression": {
        const id = node.id as Node | null;
        skipped.add(id);
        return id ? within(scope, names, [id]) : scope;
      }
      case "CatchClause":
        return node.param ? within(scope, names, boundIdentifiers(node.param as Node)) : scope;
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression": {
        const id = node.id as Node | null;
        skipped.add(id);
        const params = (node.params as Node[]).flatMap(boundIdentifiers);
        // A declaration's name belongs to the scope around it.
        const own = id && node.type === "FunctionExpression" ? [id] : [];
        return within(scope, names, [...own, ...params, ...varsOf(node.body as Node)]);
      }
      case "StaticBlock":
        lead(node.body);
        return within(scope, names, [...varsOf(node), ...lexicalsOf(node.body as Node[])]);
      case "BlockStatement":
        lead(node.body);
        return within(scope, names, lexicalsOf(node.body as Node[]));
      case "SwitchStatement":
        return within(
          scope,
          names,
          (node.cases as Node[]).flatMap((one) => lexicalsOf(one.consequent as Node[])),
        );
      case "ForStatement":
        return node.init ? within(scope, names, lexicalsOf([node.init as Node])) : scope;
      case "ForInStatement":
      case "ForOfStatement":
        for (const id of boundIdentifiers(node.left as Node)) assigned.add(id);
        return within(scope, names, lexicalsOf([node.left as Node]));
      default:
        return scope;
    }
  });
  return found;
}

function withoutParentheses(node: Node): Node {
  return node.type === "ParenthesizedExpression" ? withoutParentheses(node.expression as Node) : node;
}

function binds(scope: Scope | null, name: string): boolean {
  for (let at: Scope | undefined = scope ?? undefined; at; at = at.outer) if (at.bound.has(name)) return true;
  return false;
}

function within(outer: Scope | null, names: ReadonlySet<string>, identifiers: readonly Node[]): Scope | null {
  const bound = identifiers.map((id) => String(id.name)).filter((name) => names.has(name));
  return bound.length > 0 ? { bound: new Set(bound), outer: outer ?? undefined } : outer;
}

/** What `let`, `const`, `class` and `function` bind among the statements of a block. */
function lexicalsOf(statements: readonly Node[]): Node[] {
  return statements.flatMap((statement) => {
    if (statement.type === "VariableDeclaration" && statement.kind !== "var")
      return (statement.declarations as Node[]).flatMap((one) => boundIdentifiers(one.id as Node));
    if (statement.type === "ClassDeclaration" || statement.type === "FunctionDeclaration")
      return statement.id ? [statement.id as Node] : [];
    return [];
  });
}

/** What `var` binds anywhere in a function's body. */
function varsOf(body: Node): Node[] {
  const found: Node[] = [];
  walk(body, true, (node, _) => {
    if (node !== body && isFunction(node)) return undefined;
    if (node.type === "VariableDeclaration" && node.kind === "var")
      found.push(...(node.declarations as Node[]).flatMap((one) => boundIdentifiers(one.id as Node)));
    return true;
  });
  return found;
}
