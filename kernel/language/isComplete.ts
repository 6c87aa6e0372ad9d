import { parseSync } from "oxc-parser";
import type { Completeness } from "./answers.js";
import { blankMagics } from "./magicLines.js";

/**
 * Says whether a cell can be run as it stands, by the parser itself: the first error decides. An error at the very end of the
 * text means that more may come, any other means that no continuation can save it.
 */
export function isComplete(source: string): Completeness {
  const code = blankMagics(source);
  if (code.trim() === "") return { status: source.trim() === "" ? "complete" : magicCompleteness(source) };
  const first = parseSync("cell.ts", code, { sourceType: "module", showSemanticErrors: true }).errors[0];
  if (first === undefined) return { status: "complete" };
  const start = first.labels[0]?.start ?? 0;
  const unfinished =
    start >= code.trimEnd().length ||
    first.message.startsWith("Unterminated multiline comment") ||
    (first.message.startsWith("Unterminated string") && isOpenString(code, start)) ||
    first.message.startsWith("Missing catch or finally clause") ||
    (/\b(const|using)\s+[\p{ID_Start}$_][\p{ID_Continue}$]*\s*$/u.test(code) && start >= lastLineStart(code));
  return unfinished ? { status: "incomplete", indent: nextIndent(code) } : { status: "invalid" };
}

function magicCompleteness(source: string): "complete" | "unknown" {
  return source.trim().startsWith("%%") && !source.includes("\n") ? "unknown" : "complete";
}

/** A template literal may go on over the line's end; a quoted string only after a trailing backslash. */
function isOpenString(code: string, start: number): boolean {
  return code[start] === "`" || /\\\s*$/.test(code);
}

function lastLineStart(code: string): number {
  return code.trimEnd().lastIndexOf("\n") + 1;
}

/** The last line's own indent, one step deeper when it ends with something that opens a block or waits for an operand. */
function nextIndent(code: string): string {
  const line = code.trimEnd().split("\n").at(-1) ?? "";
  const indent = /^[ \t]*/.exec(line)?.[0] ?? "";
  const step = indent.startsWith("\t") ? "\t" : "  ";
  return /[{([]$|=>$|[^=!<>]=$|:$|\)$|\belse$|\bdo$|\btry$/.test(line) ? indent + step : indent;
}
