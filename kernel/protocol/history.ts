import { appendFileSync, openSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../makeFolder.js";
import type { HistoryQuery } from "../wire/messages.js";

/** `[session, line, input]`, or with its output where that was asked for. */
export type HistoryEntry = [session: number, line: number, entry: string | [input: string, output: string | null]];

/** What the kernel remembers of its cells. */
export interface History {
  /** Remembers a cell under its execution count. */
  input(line: number, source: string): void;
  /** Remembers the text of a cell's result. */
  output(line: number, text: string): void;
  /** Entries in the order they were run; of several matches the latest are kept. */
  query(query: HistoryQuery): HistoryEntry[];
  /** Writes what is not on disk yet; it would be within a moment. */
  flush(): void;
}

interface Cell {
  readonly session: number;
  readonly line: number;
  readonly input: string;
  output: string | null;
}

const keptSessions = 500;
/** Milliseconds within which cells are on disk, also while they run. */
const writingDelay = 50;
const name = /^(\d{6,})\.jsonl$/;

/**
 * Where histories lie: `POLICYSCOPE_HISTORY` (a folder, or `off` to keep none on disk), otherwise the state folder that
 * the platform's conventions name.
 */
export function historyFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  if (env.POLICYSCOPE_HISTORY)
    return /^(off|0|no|false)$/i.test(env.POLICYSCOPE_HISTORY) ? undefined : env.POLICYSCOPE_HISTORY;
  if (env.POLICYSCOPE_HOME) return join(env.POLICYSCOPE_HOME, "history");
  if (platform === "darwin") return join(homedir(), "Library", "Application Support", "policyscope", "history");
  if (platform === "win32")
    return join(env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "policyscope", "history");
  return join(env.XDG_STATE_HOME ?? join(homedir(), ".local", "state"), "policyscope", "history");
}

/**
 * A history of one file of JSON lines per session, readable by this user only, so that kernels running side by side
 * never write to one file. A session's number is its file's name; whoever creates the file owns the number. Nothing is
 * touched before the first cell or question; where the folder cannot be written, cells are remembered until the end only.
 * @param folder undefined keeps nothing on disk.
 */
export function openHistory(folder: string | undefined, warn: (text: string) => void = () => {}): History {
  const present: Cell[] = [];
  let session: number | undefined;
  /** Stays open: opening it for every cell would cost more than writing it. */
  let file: number | undefined;
  let unwritten = "";
  let timer: NodeJS.Timeout | undefined;

  const begin = (): number => {
    if (session !== undefined) return session;
    const own = folder === undefined ? undefined : createSession(folder, warn);
    file = own?.file;
    session = own?.session ?? 1;
    return session;
  };
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const text = unwritten;
    unwritten = "";
    if (file === undefined || text === "") return;
    try {
      appendFileSync(file, text);
    } catch (error) {
      warn(`the history file of session ${session} in ${folder} can no longer be written: ${(error as Error).message}`);
      file = undefined;
    }
  };
  const append = (record: unknown): void => {
    if (file === undefined) return;
    unwritten += `${JSON.stringify(record)}\n`;
    timer ??= setTimeout(flush, writingDelay).unref();
  };
  const earlier = function* (): Generator<Cell[]> {
    if (folder === undefined) return;
    for (const number of sessionNumbers(folder).reverse()) if (number !== session) yield readSession(folder, number);
  };
  const cellsOf = (number: number): Cell[] => {
    if (number === 0 || number === session) return present;
    if (folder === undefined) return [];
    if (number > 0) return readSession(folder, number);
    const others = sessionNumbers(folder).filter((other) => other < begin());
    const wanted = others.at(number);
    return wanted === undefined ? [] : readSession(folder, wanted);
  };

  return {
    flush,
    input(line, source) {
      const cell: Cell = { session: begin(), line, input: source, output: null };
      present.push(cell);
      append({ line, input: source });
    },
    output(line, text) {
      const cell = present.findLast((other) => other.line === line);
      if (!cell) return;
      cell.output = text;
      append({ line, output: text });
    },
    query(query) {
      begin();
      const show = (cell: Cell, number = cell.session): HistoryEntry => [
        number,
        cell.line,
        query.output ? [cell.input, cell.output] : cell.input,
      ];
      if (query.access === "range") {
        const cells = cellsOf(query.session);
        // As IPython has it, negative lines count back from the line that comes next, and 0 is no end.
        const next = (cells.at(-1)?.line ?? 0) + 1;
        const fromStart = (line: number) => (line < 0 ? line + next : line);
        const [start, stop] = [fromStart(query.start), fromStart(query.stop || next)];
        return cells
          .filter((cell) => cell.line >= start && cell.line < stop)
          .map((cell) => show(cell, query.session === 0 ? 0 : cell.session));
      }
      const wanted = query.access === "search" ? globMatcher(query.pattern) : () => true;
      const unique = query.access === "search" && query.unique;
      const seen = new Set<string>();
      const found: Cell[] = [];
      const take = (cells: readonly Cell[]) => {
        for (const cell of cells.toReversed()) {
          if (found.length >= query.n) return;
          if (!wanted(cell.input) || (unique && seen.has(cell.input))) continue;
          seen.add(cell.input);
          found.push(cell);
        }
      };
      take(present);
      for (const cells of earlier()) {
        if (found.length >= query.n) break;
        take(cells);
      }
      return found.reverse().map((cell) => show(cell));
    },
  };
}

function createSession(folder: string, warn: (text: string) => void): { session: number; file: number } | undefined {
  try {
    makeFolder(folder, 0o700);
    const numbers = sessionNumbers(folder);
    for (const old of numbers.slice(0, Math.max(0, numbers.length - keptSessions)))
      rmSync(sessionFile(folder, old), { force: true });
    for (let session = (numbers.at(-1) ?? 0) + 1; ; session++) {
      try {
        return { session, file: openSync(sessionFile(folder, session), "ax", 0o600) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
    }
  } catch (error) {
    warn(`no history is kept in ${folder}: ${(error as Error).message}`);
    return undefined;
  }
}

function sessionFile(folder: string, session: number): string {
  return join(folder, `${String(session).padStart(6, "0")}.jsonl`);
}

function sessionNumbers(folder: string): number[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .flatMap((file) => {
      const number = name.exec(file)?.[1];
      return number === undefined ? [] : [Number(number)];
    })
    .sort((a, b) => a - b);
}

/** A session's cells. A line cut short by a kill, or by a full disk, is left out. */
function readSession(folder: string, session: number): Cell[] {
  const file = sessionFile(folder, session);
  let text: string;
  try {
    if (statSync(file).size > 64 * 1024 * 1024) return [];
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  const cells = new Map<number, Cell>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      const record = JSON.parse(line) as { line: number; input?: string; output?: string };
      if (record.input !== undefined)
        cells.set(record.line, { session, line: record.line, input: record.input, output: null });
      const cell = cells.get(record.line);
      if (cell && record.output !== undefined) cell.output = record.output;
    } catch {}
  }
  return [...cells.values()];
}

type Token = { readonly star: true } | { readonly star: false; accepts(character: string): boolean };

/** A test for a shell pattern over the whole text: `*` anything, `?` one character, `[a-z]` and `[!a-z]` one of a set. */
function globMatcher(pattern: string): (text: string) => boolean {
  const tokens = [...pattern.matchAll(/\[([!^]?)(\]?[^\]]*)\]|([\s\S])/gu)].map(([, not, set, character]): Token => {
    if (set !== undefined) return { star: false, accepts: (other) => inSet(set, other) !== (not !== "") };
    if (character === "*") return { star: true };
    return { star: false, accepts: (other) => character === "?" || other === character };
  });
  return (text) => globMatches(tokens, text);
}

/** Goes back to the latest star only, so that no pattern takes longer than its length times the text's. */
function globMatches(tokens: readonly Token[], text: string): boolean {
  let [token, place, star, retry] = [0, 0, -1, 0];
  while (place < text.length) {
    const current = tokens[token];
    if (current?.star) {
      star = token++;
      retry = place;
    } else if (current && !current.star && current.accepts(text[place] ?? "")) {
      token++;
      place++;
    } else if (star >= 0) {
      token = star + 1;
      place = ++retry;
    } else return false;
  }
  return tokens.slice(token).every((rest) => rest.star);
}

function inSet(set: string, character: string): boolean {
  for (let at = 0; at < set.length; at++) {
    const [low = "", dash, high = ""] = [set[at], set[at + 1], set[at + 2]];
    if (dash === "-" && high !== "") {
      if (low <= character && character <= high) return true;
      at += 2;
    } else if (low === character) return true;
  }
  return false;
}
