/** The few line and cell magics that Jupyter people expect, where the code around them is whole statements. */
import { parseSync } from "oxc-parser";
import { declaredNames } from "../user/bindings.js";
import type { Work } from "../user/work.js";
import { cellMagics, lineMagics, type MagicContext, shell, UsageError } from "./commands.js";
import { help } from "./help.js";

type Result = readonly unknown[] | undefined;
type Run = (code: string) => Result | Promise<Result>;

type Segment =
  | { readonly kind: "code"; readonly text: string; readonly line: number }
  | { readonly kind: "magic"; readonly name: string; readonly rest: string }
  | { readonly kind: "shell"; readonly command: string }
  | { readonly kind: "help"; readonly name: string; readonly detailLevel: 0 | 1 };

/** Run a cell in which some line may be a magic. `run` runs TypeScript. The last segment's value is the cell's. */
export async function runWithMagics(code: string, run: Run, work: Work): Promise<Result> {
  const context: MagicContext = { run: async (text) => run(text), work };
  const whole = /^\s*%%(\w+)[ \t]*([^\n]*)\n?([\s\S]*)$/.exec(code);
  if (whole) {
    const [, name = "", line = "", body = ""] = whole;
    const magic = cellMagics[name];
    if (!magic) throw new UsageError(`%%${name} is no cell magic here. %lsmagic lists those that are`);
    // Lines of the body keep their numbers.
    const skipped = code.length - code.trimStart().length;
    const above = code.slice(0, skipped).split("\n").length - 1 + 1;
    return magic.run(line.trim(), body, { ...context, run: async (text) => run("\n".repeat(above) + text) });
  }
  const segments = split(code);
  if (segments.every(({ kind }) => kind === "code")) return run(code);
  let last: Result;
  for (const segment of segments) last = await runSegment(segment, context, run);
  return last;
}

async function runSegment(segment: Segment, context: MagicContext, run: Run): Promise<Result> {
  switch (segment.kind) {
    case "code":
      return run("\n".repeat(segment.line) + segment.text);
    case "shell":
      await shell(segment.command);
      return undefined;
    case "help": {
      const data = await help(segment.name, segment.detailLevel);
      context.work.payload.push({ source: "page", data, start: 0 });
      return undefined;
    }
    case "magic": {
      const magic = lineMagics[segment.name];
      if (!magic) throw new UsageError(`%${segment.name} is no magic here. %lsmagic lists those that are`);
      return magic.run(segment.rest, context);
    }
  }
}

/** Cut a cell at its magic lines. A line counts only where the code before it is complete. */
function split(code: string): Segment[] {
  const segments: Segment[] = [];
  const lines = code.split("\n");
  let pending: string[] = [];
  let start = 0;
  const flush = (): void => {
    if (pending.some((line) => line.trim() !== ""))
      segments.push({ kind: "code", text: pending.join("\n"), line: start });
    pending = [];
  };
  for (const [index, line] of lines.entries()) {
    const before = pending.join("\n");
    const segment = magicLine(line, before);
    if (segment && complete(before)) {
      flush();
      segments.push(segment);
      start = index + 1;
    } else pending.push(line);
  }
  flush();
  return segments;
}

function magicLine(line: string, before: string): Segment | undefined {
  const text = line.trim();
  const magic = /^%([a-z]\w*)(?:\s+(.*))?$/.exec(text);
  if (magic) return { kind: "magic", name: magic[1] ?? "", rest: magic[2] ?? "" };
  if (text.startsWith("!") && !isNegation(text, before)) return { kind: "shell", command: text.slice(1) };
  const asked = /^(\?{1,2})\s*([\w$.[\]"']+)$|^([\w$.[\]"']+)(\?{1,2})$/.exec(text);
  if (asked)
    return { kind: "help", name: asked[2] ?? asked[3] ?? "", detailLevel: (asked[1] ?? asked[4]) === "??" ? 1 : 0 };
  return undefined;
}

/** `!ready` and `!(a && b)` are TypeScript; `!ls -l` is a command. What is defined decides. */
function isNegation(text: string, before: string): boolean {
  if (/^!+[([{"'`\d!+-]/.test(text)) return true;
  const word = /^!\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(text)?.[1];
  if (!word) return false;
  if (
    ["function", "async", "new", "typeof", "this", "true", "false", "null", "undefined", "await", "void"].includes(word)
  )
    return true;
  const mentioned = new RegExp(`(?<![\\w$])${word.replaceAll("$", "\\$")}(?![\\w$])`).test(before);
  if (!mentioned && !declaredNames().has(word) && !(word in globalThis)) return false;
  return complete(text);
}

function complete(code: string): boolean {
  if (code.trim() === "") return true;
  return parseSync("cell.ts", code, { lang: "ts", sourceType: "module" }).errors.length === 0;
}
