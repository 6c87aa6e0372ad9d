/** Sources that the parsers would not survive. */

/** What the parsers here take: they are native code that would take the process with it. */
const MAX = {
  /** Brackets in brackets. */
  depth: 3000,
  /** Conditions in the last branch of conditions, assignments of assignments. */
  nested: 5000,
  /** Operators in a row. */
  operators: 50_000,
} as const;
/** What to do instead. */
export const LESS_DEEP = "build such a value in a loop, or keep it as data";

/** What there is more of in a source than the parsers take; undefined: nothing. */
export function excess(source: string): string | undefined {
  if (source.length < MAX.depth || !counted(source)) return undefined;
  return counted(
    source.replace(
      /\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\$]|\\[\s\S]|\$(?!\{))*`/g,
      (text) => (text.startsWith("/") ? "" : "0"),
    ),
  );
}

/** Counts, along each level of brackets, what stands in one statement or element. */
function counted(source: string): string | undefined {
  let depth = 0;
  const nested = [0];
  const operators = [0];
  const branches = [0];
  /** One more of something on this level: is that too much? */
  const more = (counts: number[], most: number): boolean => {
    const count = (counts[depth] ?? 0) + 1;
    counts[depth] = count;
    return count > most;
  };
  const begin = (): void => {
    nested[depth] = 0;
    operators[depth] = 0;
  };
  /** A statement may have ended: unless an `else` comes, so has its chain of conditions. */
  const endStatement = (after: number): void => {
    begin();
    ELSE.lastIndex = after;
    if (!ELSE.test(source)) branches[depth] = 0;
  };
  for (let index = 0; index < source.length; index++) {
    switch (source[index]) {
      case "(":
      case "[":
      case "{":
        if (++depth > MAX.depth) return `brackets are nested more than ${MAX.depth} deep`;
        begin();
        branches[depth] = 0;
        break;
      case ")":
      case "]":
        if (depth > 0) depth--;
        break;
      case "}":
        if (depth > 0) depth--;
        endStatement(index + 1);
        break;
      case ";":
        endStatement(index + 1);
        break;
      case ",":
        begin();
        break;
      case "\n":
        // A line that does not go on the one before.
        ENDS.lastIndex = index;
        if (ENDS.test(source) && !GOES_ON.test(source.slice(Math.max(0, index - 40), index))) endStatement(index + 1);
        break;
      case "e":
        if (source.startsWith("else", index) && more(branches, MAX.nested))
          return `more than ${MAX.nested} conditions follow each other with else`;
        break;
      case "?":
      case "=":
        NESTS.lastIndex = index;
        if (NESTS.test(source) && more(nested, MAX.nested))
          return `more than ${MAX.nested} conditions or assignments stand in each other`;
        break;
      case "+":
      case "-":
      case "*":
      case "/":
      case "%":
      case "&":
      case "|":
      case "^":
      case "<":
      case ">":
      case ".":
        if (more(operators, MAX.operators)) return `more than ${MAX.operators} operators stand in one expression`;
        break;
      default:
    }
  }
  return undefined;
}

/** A condition's mark, an assignment or an arrow; no comparison. */
const NESTS = /\?(?![?.])(?<!\?\?)|(?<![=!<>])=(?!=)/y;
const ELSE = /\s*else\b/y;
const ENDS = /\n\s*[\p{ID_Start}$_"'`\d}]/uy;
const GOES_ON = /[-+*/%&|^?<>=.:!~([{,]\s*$/;
