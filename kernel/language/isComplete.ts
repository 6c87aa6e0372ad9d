import { type Node, parse, walk } from "../session/cell/syntax.js";
import type { Completeness } from "./answers.js";
import { type Lexical, lexical } from "./lexical.js";
import { blankMagics } from "./magicLines.js";

/** Deeper than this the parser is not asked: it would leave its thread's stack, which ends the process. */
const DEEPEST = 1500;
/** Above this length only the grammar is asked, not what it takes a walk through the whole text to see. */
const LONG = 50_000;
/** So many characters are parsed to try continuations, about a quarter of a second: a clock would give a busy machine other answers. */
const PATIENCE = 2_000_000;
/** Words that are no names in strict code, though the grammar alone takes them for one while nothing follows. */
const RESERVED = /(?:^|[;{}\n])\s*(?:interface|let)[ \t]*$/;
/** What may follow on the next line. If the text is fine with one of these, it is not wrong but unfinished. */
const CONTINUATIONS = [
  "",
  "x",
  "x {}",
  "{}",
  "= x",
  ": x",
  "=> x",
  "from 'x'",
  "* as x from 'x'",
  "x from 'x'",
  "catch {}",
  "while (x)",
  "meta",
  "`",
  "class x {}",
  "x() {}",
];
/** The same without a line's end before it, which a few words do not bear (`throw`, `async`), or a blank (`x.#`). */
const SAME_LINE = [
  " x",
  " function x() {}",
  " class x {}",
  " x {}",
  " x => x",
  " => x",
  " (x) {}",
  " (x)",
  " x>()",
  " x> => x",
  "> => x",
  ">(x) => x",
  " x>(x) => x",
];
const AFTER_PUNCTUATION = ["x", "meta", "{}`"];
/** What may have to come behind the closed brackets. */
const TAILS = ["", " {}", " => x", " = x", " from 'x'", " catch {}", " x"];

/**
 * Says whether a cell can be run as it stands, by the parser itself: the first error decides. If it stands at the very end
 * of the text, or is gone or further on with some continuation, more may come; otherwise no continuation can save the text.
 */
export function isComplete(source: string): Completeness {
  const code = blankMagics(source);
  if (code.trim() === "") return magicCompleteness(source);
  const shape = lexical(code);
  const incomplete = (): Completeness => ({ status: "incomplete", indent: nextIndent(code, shape) });
  if (shape.depth > DEEPEST) return shape.open.length > 0 && !shape.broken ? incomplete() : { status: "unknown" };
  if (shape.broken || shape.inside === "regex") return { status: "invalid" };
  // A quoted string goes on after a trailing backslash only.
  if (shape.inside === "string") return /\\\r?\n?[ \t]*$/.test(code) ? incomplete() : { status: "invalid" };
  // The parser writes the whole line beside each mistake in it: of a line with thousands it makes gigabytes.
  if (code.length > LONG && code.split("\n").some((line) => line.length > LONG))
    return goesOn(code, shape) ? incomplete() : { status: "complete" };
  const wrong = firstError(code, false);
  if (wrong === undefined) {
    if (code.length <= LONG && (firstError(code, true) !== undefined || hasBadPattern(code)) && !RESERVED.test(code))
      return { status: "invalid" };
    return RESERVED.test(code) || awaitsBody(code) ? incomplete() : { status: "complete" };
  }
  if (wrong >= code.trimEnd().length || shape.inside === "template") return incomplete();
  if (shape.inside === "comment" && code.startsWith("/*", shape.start)) return incomplete();
  if (code.length > LONG) return shape.open.length > 0 ? incomplete() : { status: "invalid" };
  return continues(code, shape) ? incomplete() : { status: "invalid" };
}

/** Whether something is open at the end. */
function goesOn(code: string, { open, inside, start }: Lexical): boolean {
  return open.length > 0 || inside === "template" || (inside === "comment" && code.startsWith("/*", start));
}

/** Whether the text is fine with some continuation, once what is open has been closed. */
function continues(code: string, { open, start }: Lexical): boolean {
  const closers = open.map(({ bracket }) => ({ "(": ")", "[": "]", "{": "}", "${": "}`" })[bracket]).reverse();
  const endings = [...new Set(TAILS.flatMap((tail) => [closers.join(" ") + tail, closers.join(tail) + tail]))];
  const next = CONTINUATIONS.map((more) => `${code}\n${more} `);
  const glued = /[\p{ID_Continue}$]$/u.test(code) ? [] : AFTER_PUNCTUATION;
  const same = [...SAME_LINE, ...glued].map((more) => `${code.slice(0, start)}${more} `);
  let parsed = 0;
  for (const ending of endings)
    for (const more of [...next, ...same]) {
      if (firstError(more + ending, false) === undefined) return true;
      parsed += more.length + ending.length;
      if (parsed > PATIENCE) return false;
    }
  return false;
}

/** Where the first error stands that the parser, or with `meaning` a walk through what it read, finds. */
function firstError(code: string, meaning: boolean): number | undefined {
  const [first] = parse("cell.ts", code, { sourceType: "module", showSemanticErrors: meaning }).errors;
  return first === undefined ? undefined : (first.labels[0]?.start ?? 0);
}

/** The parser leaves what is inside a regular expression to V8. */
function hasBadPattern(code: string): boolean {
  if (!/\/[^/*]/.test(code)) return false;
  let bad = false;
  walk(parse("cell.ts", code).program, true, ({ type, regex }) => {
    if (type !== "Literal" || !regex) return !bad || undefined;
    const { pattern, flags } = regex as { readonly pattern: string; readonly flags: string };
    try {
      new RegExp(pattern, flags);
    } catch {
      bad = true;
    }
    return undefined;
  });
  return bad;
}

/** `function f(a: number)` alone is the head of an overload to the parser; in a cell its body is still to come. */
function awaitsBody(code: string): boolean {
  if (!/\bfunction\b[^{}]*$/.test(code)) return false;
  const last = (parse("cell.ts", code).program.body as Node[]).at(-1);
  return last?.type === "TSDeclareFunction" && !last.declare;
}

/** Magics alone can be run; a cell magic without a body waits for one. */
function magicCompleteness(source: string): Completeness {
  const waits = /^\s*%%[a-z]\w*[^\n]*$/i.test(source.trimEnd()) && !source.includes("\n");
  return waits ? { status: "incomplete", indent: "" } : { status: "complete" };
}

/** The last line's own indent; one step deeper where a bracket opens in it or where it waits for its other half. */
function nextIndent(code: string, { open, inside, start }: Lexical): string {
  if (inside === "template" || inside === "string" || code.startsWith("/*", start)) return indentAt(code, code.length);
  const text = inside === "code" ? code.slice(0, start) : code.slice(0, start).trimEnd();
  const indent = indentAt(code, text.length);
  const lineStart = text.lastIndexOf("\n") + 1;
  const opens = (open.at(-1)?.at ?? -1) >= lineStart;
  const waits =
    /=>$|[^=!<>]=$|(?:\bcase\b.*|\bdefault\s*):$|^\s*(?:\}\s*)?(?:else\s+)?(?:if|for|while|with|switch|catch)\b.*\)$|\b(?:else|do|try|finally)$/.test(
      text.slice(lineStart),
    );
  return opens || waits ? indent + stepOf(code) : indent;
}

function indentAt(code: string, offset: number): string {
  const lines = code.slice(0, offset).split("\n");
  return /^[ \t]*/.exec(lines.findLast((line) => line.trim() !== "") ?? "")?.[0] ?? "";
}

/** What the cell itself indents by: the first indent in it. */
function stepOf(code: string): string {
  const lines = code.split("\n").filter((line) => line.trim() !== "");
  for (const [index, line] of lines.entries()) {
    const [before, here] = [lines[index - 1] ?? line, line].map((each) => /^[ \t]*/.exec(each)?.[0] ?? "");
    if (before !== undefined && here !== undefined && here.length > before.length && here.startsWith(before))
      return here.slice(before.length);
  }
  return lines.some((line) => line.startsWith("\t")) ? "\t" : "  ";
}
