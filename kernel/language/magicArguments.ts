import { CELL_MAGICS, isCellMagic, isLineMagic, LINE_MAGICS } from "../session/magics/catalogue.js";
import type { Completion, CompletionItem } from "./answers.js";
import { filesNamed } from "./fileNames.js";
import { isMagicLine } from "./magicLines.js";

const WORDS: Readonly<Record<string, readonly string[]>> = {
  npm: ["add", "remove"],
  types: ["off", "warn", "strict"],
};
const ANY_FILE = /(?:)/;
const NO_FILE = /(?!)/;

/** What may stand behind a magic's name, in a `!command` and in a shell's cell; undefined where TypeScript is written. */
export function completeMagicArgument(code: string, offset: number, directory: string): Completion | undefined {
  const before = code.slice(0, offset);
  const shell = /^\s*%%(?:bash|sh)\b.*\n/.test(before);
  const line = before.slice(before.lastIndexOf("\n") + 1);
  const [, magic, separator] = /^[ \t]*%%?([a-z]\w*)([ \t]+)/.exec(line) ?? [];
  const typed = /[^\s"'`=;|&<>()]*$/.exec(line)?.[0] ?? "";
  const words = (proposed: readonly string[]): Completion => ({
    start: offset - typed.length,
    end: offset,
    items: proposed
      .filter((text) => text.startsWith(typed))
      .map(
        (text): CompletionItem => ({ start: offset - typed.length, end: offset, text, type: "keyword", signature: "" }),
      ),
    source: "runtime",
  });
  const files = (wanted: RegExp): Completion => {
    const items = filesNamed(typed, offset, directory, wanted) ?? [];
    return { start: items[0]?.start ?? offset, end: offset, items, source: "runtime" };
  };
  if (shell) return files(ANY_FILE);
  if (magic === undefined || separator === undefined)
    return /^[ \t]*!/.test(line) && isMagicLine(line) ? files(ANY_FILE) : undefined;
  switch (magic) {
    case "time":
    case "timeit":
      return undefined;
    case "cd":
      return files(NO_FILE);
    case "load":
    case "run":
    case "writefile":
      return files(ANY_FILE);
    case "env":
      return words(Object.keys(process.env).sort());
    default:
      return words(WORDS[magic] ?? []);
  }
}

/** How the magic whose name stands at `offset` is used. */
export function magicUsage(
  code: string,
  offset: number,
): { readonly usage: string; readonly help: string } | undefined {
  const lineStart = code.lastIndexOf("\n", offset - 1) + 1;
  const [before = "", sign, name = ""] = /^[ \t]*(%%?)([a-z]\w*)/.exec(code.slice(lineStart)) ?? [];
  if (offset > lineStart + before.length) return undefined;
  if (sign === "%%") return isCellMagic(name) ? CELL_MAGICS[name] : undefined;
  return isLineMagic(name) ? LINE_MAGICS[name] : undefined;
}
