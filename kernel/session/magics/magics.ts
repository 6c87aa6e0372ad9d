/** The few line and cell magics that Jupyter people expect, where the code around them is whole statements. */
import { parse } from "../cell/syntax.js";
import { nearestName } from "../nearest.js";
import { declaredNames } from "../user/bindings.js";
import type { Work } from "../user/work.js";
import { CELL_MAGICS, isCellMagic, isLineMagic, LINE_MAGICS, magicHelp, magicsTable } from "./catalogue.js";
import { cellMagics, lineMagics, type MagicContext, shell, UsageError } from "./commands.js";
import { help } from "./help.js";

type Result = readonly unknown[] | undefined;
type Run = (code: string) => Result | Promise<Result>;

type Segment =
  | { readonly kind: "code"; readonly text: string; readonly line: number }
  | { readonly kind: "magic"; readonly name: string; readonly rest: string }
  | { readonly kind: "shell"; command: string }
  | { readonly kind: "help"; readonly name: string; readonly detailLevel: 0 | 1 };

/** Run a cell in which some line may be a magic. `run` runs TypeScript. The last segment's value is the cell's. */
export async function runWithMagics(source: string, run: Run, work: Work): Promise<Result> {
  const code = source.replaceAll("\r\n", "\n");
  const context: MagicContext = { run: async (text) => run(text), work };
  const whole = /^\s*%%(\w+)(?!\w|\?)[ \t]*([^\n]*)\n?([\s\S]*)$/.exec(code);
  if (whole) {
    const [, name = "", line = "", body = ""] = whole;
    if (!isCellMagic(name)) throw new UsageError(unknownMagic("%%", name));
    const magic = cellMagics[name];
    // Lines of the body keep their numbers.
    const skipped = code.length - code.trimStart().length;
    const above = code.slice(0, skipped).split("\n").length - 1 + 1;
    return magic(line.trim(), body, { ...context, run: async (text) => run("\n".repeat(above) + text) });
  }
  const segments = split(code);
  if (segments.every(({ kind }) => kind === "code")) return run(source);
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
      const data = segment.name.startsWith("%")
        ? { "text/plain": magicHelp(segment.name) ?? unknownMagic("", segment.name) }
        : segment.name === ""
          ? { "text/plain": magicsTable() }
          : await help(segment.name, segment.detailLevel);
      context.work.payload.push({ source: "page", data, start: 0 });
      return undefined;
    }
    case "magic": {
      if (!isLineMagic(segment.name)) throw new UsageError(unknownMagic("%", segment.name));
      return lineMagics[segment.name](segment.rest, context);
    }
  }
}

/** What people know from elsewhere. */
const FOREIGN: Readonly<Record<string, string>> = {
  pip: "%npm add",
  conda: "%npm add",
  ls: "!ls",
  chdir: "%cd",
  set_env: "%env",
  who_ls: "%who",
};

/** What to say of a magic that there is none of. */
function unknownMagic(prefix: "" | "%" | "%%", name: string): string {
  const lines = Object.keys(LINE_MAGICS).map((one) => `%${one}`);
  const cells = Object.keys(CELL_MAGICS).map((one) => `%%${one}`);
  const written = prefix + name;
  const bare = name.replace(/^%+/, "");
  const known = written.startsWith("%%") ? cells : lines;
  const foreign = FOREIGN[bare];
  const other = written.startsWith("%%") ? isLineMagic(bare) && `%${bare}` : isCellMagic(bare) && `%%${bare}`;
  const near = other || (foreign ?? nearestName(written, known));
  return `${written} is no ${written.startsWith("%%") ? "cell " : ""}magic here${near ? `; did you mean ${near}?` : "."} %lsmagic lists those that are`;
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
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? "";
    const before = pending.join("\n");
    const segment = magicLine(line, before, lines.slice(index + 1));
    if (!segment || !complete(before)) {
      pending.push(line);
      continue;
    }
    flush();
    // A command goes on behind a backslash.
    while (segment.kind === "shell" && segment.command.endsWith("\\") && index + 1 < lines.length)
      segment.command = `${segment.command}\n${lines[++index]}`;
    segments.push(segment);
    start = index + 1;
  }
  flush();
  return segments;
}

const HELP =
  /^(\?{1,2})\s*(%{0,2}[\p{ID_Start}$_][\w$.[\]"']*)$|^(%{1,2}\w+|[\p{ID_Start}$_][\w$.[\]"']*)(\?{1,2})$|^(\?)$/u;

function magicLine(line: string, before: string, after: readonly string[]): Segment | undefined {
  const text = line.trim();
  const asked = HELP.exec(text);
  if (asked) {
    // `condition\n  ? yes\n  : no`, which begins or ends its lines as questions do.
    const next = after.find((one) => one.trim() !== "")?.trim() ?? "";
    if (next.startsWith(":") || complete([before, line, ...after].join("\n"))) return undefined;
    const name = asked[2] ?? asked[3] ?? "";
    return { kind: "help", name, detailLevel: (asked[1] ?? asked[4]) === "??" ? 1 : 0 };
  }
  const magic = /^%([a-z]\w*)(?:\s+(.*))?$/i.exec(text);
  if (magic) {
    const [, name = "", rest = ""] = magic;
    // A remainder, where there is a variable by that name.
    if (before.trim() !== "" && isVariable(name, before) && complete(`${before}\n${line}`)) return undefined;
    return { kind: "magic", name, rest };
  }
  if (text.startsWith("!") && !isNegation(text, before, after)) return { kind: "shell", command: text.slice(1) };
  return undefined;
}

function isVariable(word: string, before: string): boolean {
  const mentioned = new RegExp(`(?<![\\w$.])${word.replaceAll("$", "\\$")}(?![\\w$])`).test(before);
  return mentioned || declaredNames().has(word) || word in globalThis;
}

/** `!ready` and `!(a && b)` are TypeScript; `!ls -l` is a command. What is defined decides. */
function isNegation(text: string, before: string, after: readonly string[]): boolean {
  if (/^!+[([{"'`\d!+-]/.test(text)) return true;
  // A regular expression of which something is asked; a path has no flags and no method.
  if (/^!\/(?:[^/\\[]|\\.|\[(?:[^\]\\]|\\.)*\])+\/[a-z]*\./.test(text)) return complete(text);
  const word = /^!\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(text)?.[1];
  if (!word) return false;
  if (
    ["function", "async", "new", "typeof", "this", "true", "false", "null", "undefined", "await", "void"].includes(word)
  )
    return true;
  if (!isVariable(word, before)) return false;
  return complete(text) || complete([text, ...after].join("\n"));
}

function complete(code: string): boolean {
  if (code.trim() === "") return true;
  return parse("cell.ts", code).errors.length === 0;
}
