/** What a light reading of TypeScript text, up to some place in it, tells. It never fails, whatever the text. */
export interface Lexical {
  /** Brackets that are open at the end, outermost first; "${" is a template literal's. */
  readonly open: readonly { readonly at: number; readonly bracket: "(" | "[" | "{" | "${" }[];
  /** What the end stands in. */
  readonly inside: "code" | "string" | "template" | "comment" | "regex";
  /** Where that began; for code, the end of the last token. */
  readonly start: number;
  /** How deep a parser that reads the text recurses, at most. */
  readonly depth: number;
  /** Something that no text after it can mend: a quote closed by the line's end, a stray backslash. */
  readonly broken: boolean;
}

const CLOSERS: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };
const WORD = /[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\d[\w.]*/y;
const REGEX = /\/(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y;
/** Words after which an operand comes: a slash there begins a regular expression, and a parser reads on one level deeper. */
const PREFIX_WORDS = new Set(
  "await case delete do else export for if in instanceof keyof new of return throw try typeof void while with yield".split(
    " ",
  ),
);

/** Reads strings, templates, comments, regular expressions and brackets; what a parser would refuse is simply passed over. */
export function lexical(code: string): Lexical {
  const open: { at: number; bracket: "(" | "[" | "{" | "${"; chained: number }[] = [];
  let chained = 0;
  let depth = 0;
  let operand = false; // Whether the last token ends an operand: a slash then divides.
  let end = 0;
  let broken = false;
  const at = (inside: Lexical["inside"], start: number): Lexical => ({ open, inside, start, depth, broken });
  const push = (offset: number, bracket: "(" | "[" | "{" | "${"): void => {
    open.push({ at: offset, bracket, chained });
    depth = Math.max(depth, open.length + chained);
  };
  const link = (): void => {
    chained++;
    depth = Math.max(depth, open.length + chained);
  };
  /** From within a template to its end or the next `${`; undefined when it does not end. */
  const template = (from: number): number | undefined => {
    for (let index = from; index < code.length; index++) {
      if (code[index] === "\\") index++;
      else if (code[index] === "`") return index + 1;
      else if (code[index] === "$" && code[index + 1] === "{") {
        push(index, "${");
        return index + 2;
      }
    }
    return undefined;
  };
  let templateStart = 0;
  let index = code.startsWith("#!") ? lineEnd(code, 0) : 0;
  while (index < code.length) {
    const char = code[index] ?? "";
    const next = code[index + 1];
    if (char === "\n" && operand) chained = open.at(-1)?.chained ?? 0;
    if (/\s/.test(char)) {
      index++;
      continue;
    }
    if (char === "/" && next === "/") {
      const close = lineEnd(code, index);
      if (close === code.length) return at("comment", index);
      index = close;
      continue;
    }
    if (char === "/" && next === "*") {
      const close = code.indexOf("*/", index + 2);
      if (close === -1) return at("comment", index);
      index = close + 2;
      continue;
    }
    const start = index;
    if (char === '"' || char === "'") {
      index = stringEnd(code, index);
      const closed = code[index] === char;
      if (index >= code.length) return at("string", start);
      if (!closed) broken = true;
      index++;
      operand = true;
    } else if (char === "`") {
      templateStart = start;
      const close = template(index + 1);
      if (close === undefined) return at("template", start);
      index = close;
      operand = code[close - 1] === "`";
    } else if (char === "}" && open.at(-1)?.bracket === "${") {
      chained = open.pop()?.chained ?? 0;
      const close = template(index + 1);
      if (close === undefined) return at("template", Math.max(start, templateStart));
      index = close;
      operand = code[close - 1] === "`";
    } else if (char === "/" && !operand) {
      REGEX.lastIndex = index;
      const close = REGEX.exec(code);
      if (close === null) {
        const stop = lineEnd(code, index);
        if (stop === code.length) return at("regex", index);
        broken = true;
        index = stop;
      } else index = REGEX.lastIndex;
      operand = true;
    } else if (char === "(" || char === "[" || char === "{") {
      push(index, char);
      index++;
      operand = false;
    } else if (CLOSERS[char] !== undefined) {
      if (open.at(-1)?.bracket === CLOSERS[char]) chained = open.pop()?.chained ?? 0;
      index++;
      operand = true;
    } else {
      WORD.lastIndex = NUMBER.lastIndex = index;
      const word = WORD.exec(code)?.[0];
      if (word !== undefined) {
        index += word.length;
        operand = !PREFIX_WORDS.has(word) || code[start - 1] === ".";
        if (!operand) link();
      } else if (NUMBER.test(code)) {
        index = NUMBER.lastIndex;
        operand = true;
      } else {
        if (char === "\\" && next !== undefined && next !== "u") broken = true;
        if (char === ";" || char === ",") chained = open.at(-1)?.chained ?? 0;
        else if (char !== "." && char !== "#" && char !== "+" && char !== "-") link();
        index += (code.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
        operand = operand && (char === "+" || char === "-") && next === char;
        if ((char === "+" || char === "-") && next === char) index++;
      }
    }
    end = index;
  }
  return at("code", end);
}

/** Of an unfinished or finished string literal: the place of its closing quote, or of the line's end that closes it. */
function stringEnd(code: string, from: number): number {
  for (let index = from + 1; index < code.length; index++) {
    const char = code[index];
    if (char === code[from] || char === "\n") return index;
    if (char === "\\") index += code[index + 1] === "\r" && code[index + 2] === "\n" ? 2 : 1;
  }
  return code.length;
}

function lineEnd(code: string, from: number): number {
  const end = code.indexOf("\n", from);
  return end === -1 ? code.length : end;
}
