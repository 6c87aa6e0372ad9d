import { parseSync } from "oxc-parser";

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** Whether an error thrown at `offset` of a script is caught by a `catch` of the same function. */
export function isInsideTry(code: string, offset: number): boolean {
  const { program } = parseSync("script.js", code, { lang: "js", sourceType: "unambiguous" });
  let caught = false;
  const visit = (node: Node): void => {
    if (node.start > offset || node.end <= offset) return;
    if (/Function|StaticBlock/.test(node.type)) caught = false;
    for (const key in node) {
      const value = node[key];
      for (const child of Array.isArray(value) ? value : [value]) {
        if (typeof child !== "object" || child === null || typeof child.type !== "string") continue;
        if (
          node.type === "TryStatement" &&
          key === "block" &&
          node.handler &&
          child.start <= offset &&
          offset < child.end
        )
          caught = true;
        visit(child as Node);
      }
    }
  };
  visit(program as unknown as Node);
  return caught;
}

/** Lines (from 1) on which a statement or an expression body begins: where execution can stop. */
export function codeLines(code: string): number[] {
  const { program } = parseSync("cell.ts", code, { lang: "ts", sourceType: "module" });
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
    for (const key in node) {
      const value = node[key];
      for (const child of Array.isArray(value) ? value : [value])
        if (typeof child === "object" && child !== null && typeof child.type === "string")
          visit(child as Node, node.type);
    }
    if (/Function/.test(node.type) || node.type === "BlockStatement") lines.add(lineOf(node.end - 1));
  };
  visit(program as unknown as Node, "");
  return [...lines].sort((a, b) => a - b);
}
