import { readFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { embeddedModels, type LoadOptions } from "../models/load.js";
import { findPullable, pull, pulledFile } from "../models/pull.js";
import { nearest } from "../nearest.js";
import { parseCsv } from "./csv.js";
import { type Dataset, dataset } from "./dataset.js";

/** A snippet of a film review with the mean of people's ratings, from -4 (most negative) to 4 (most positive). */
export interface MovieSnippet {
  readonly id: string;
  readonly text: string;
  readonly rating: number;
}

/** A row of a file: its fields by name. */
export type FileRow = Readonly<Record<string, unknown>>;

const builtIn = {
  "tiny-reviews/prompts": tinyReviewsPrompts,
  "movie-snippets": movieSnippets,
  "movie-snippets/prompts": movieSnippetPrompts,
} satisfies Record<string, (options: LoadOptions) => Promise<Dataset<unknown>>>;

/**
 * Loads a dataset.
 * - `tiny-reviews/prompts`: openings of short reviews, in the words of the embedded model `tiny-reviews`
 * - `movie-snippets`: 10,605 snippets of film reviews with people's ratings (after `policyscope pull movie-snippets`)
 * - `movie-snippets/prompts`: their openings
 * - a file: .jsonl, .json (an array), .csv (with a header), .txt (one row per line that is not empty)
 *
 * A slice may follow in brackets: `movie-snippets[:500]`.
 * @param options as for `loadModel`: `pull` fetches what is not on this machine yet
 * @throws Error naming what is wrong: an unknown name, a file that is not there or cannot be read as its extension says
 */
export async function loadDataset(
  name: PromptsName | `${PromptsName}[${string}` | `${string}.txt`,
  options?: LoadOptions,
): Promise<Dataset<string>>;
export async function loadDataset(
  name: "movie-snippets" | `movie-snippets[${string}`,
  options?: LoadOptions,
): Promise<Dataset<MovieSnippet>>;
export async function loadDataset(name: string, options?: LoadOptions): Promise<Dataset<FileRow>>;
export async function loadDataset(name: string, options: LoadOptions = {}): Promise<Dataset<unknown>> {
  if (typeof name !== "string") {
    throw new TypeError(
      `loadDataset was given ${String(name)}; expected a name or path as text: one of ${Object.keys(builtIn).join(", ")}, or a file ending in ${Object.keys(parsers).join(", ")}`,
    );
  }
  const sliced = /^(.*)\[(-?\d*):(-?\d*)\]$/.exec(name);
  if (!sliced) return loadWhole(name, options);
  const [, whole = "", start = "", end = ""] = sliced;
  const rows = await loadWhole(whole, options);
  return rows.slice(start === "" ? undefined : Number(start), end === "" ? undefined : Number(end));
}

/** The datasets whose rows are openings. */
type PromptsName = "tiny-reviews/prompts" | "movie-snippets/prompts";

async function loadWhole(name: string, options: LoadOptions): Promise<Dataset<unknown>> {
  if (Object.hasOwn(builtIn, name)) return builtIn[name as keyof typeof builtIn](options);
  const parse = parsers[extname(name).toLowerCase()];
  if (!parse) {
    const suggestion = nearest(name, Object.keys(builtIn));
    throw new Error(
      `There is no dataset "${name}"${suggestion ? `: did you mean "${suggestion}"?` : "."} There are ${Object.keys(builtIn).join(", ")}, and files ending in ${Object.keys(parsers).join(", ")}.`,
    );
  }
  const text = await readFile(name, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new Error(
      cause.code === "ENOENT"
        ? `The dataset file "${name}" is not there (looked from ${process.cwd()}).`
        : `The dataset file "${name}" cannot be read: ${cause.message}`,
      { cause },
    );
  });
  return dataset(basename(name), parse(text.replace(/^\uFEFF/, ""), name));
}

/** From a file's extension to the rows in its text. */
const parsers: Readonly<Record<string, (text: string, file: string) => readonly unknown[]>> = {
  ".jsonl": (text, file) =>
    lines(text).map(({ line, number }) => {
      try {
        return JSON.parse(line);
      } catch (cause) {
        throw new Error(`${file}, line ${number}: not JSON (${(cause as Error).message})`, { cause });
      }
    }),
  ".json": (text, file) => {
    let rows: unknown;
    try {
      rows = JSON.parse(text);
    } catch (cause) {
      throw new Error(`${file}: not JSON (${(cause as Error).message})`, { cause });
    }
    if (!Array.isArray(rows))
      throw new Error(`${file}: expected a JSON array of rows, found ${rows === null ? "null" : typeof rows}`);
    return rows;
  },
  ".csv": (text, file) => parseCsv(text, file),
  ".txt": (text) => lines(text).map(({ line }) => line),
};

function lines(text: string): { line: string; number: number }[] {
  return text
    .split(/\r?\n/)
    .map((line, i) => ({ line, number: i + 1 }))
    .filter(({ line }) => line.trim() !== "");
}

async function tinyReviewsPrompts(): Promise<Dataset<string>> {
  const folder = embeddedModels().get("tiny-reviews");
  if (folder === undefined) {
    throw new Error(
      "The package's own model tiny-reviews is missing: install policyscope again, or in a clone: npm run make:tiny-reviews",
    );
  }
  const file = join(folder, "prompts.txt");
  return dataset(
    "tiny-reviews/prompts",
    lines(await readFile(file, "utf8")).map(({ line }) => line),
  );
}

async function movieSnippets(options: LoadOptions): Promise<Dataset<MovieSnippet>> {
  const name = "movie-snippets";
  const { pull: ask = false } = options;
  const there = await pulledFile(name, options.cache);
  const wanted = there === undefined && (typeof ask === "function" ? await ask(findPullable(name)) : ask);
  const file = wanted ? await pull(name, options) : there;
  if (file === undefined) {
    throw new Error(
      `The dataset "${name}" is not on this machine yet. Run: policyscope pull ${name}   or: await loadDataset("${name}", { pull: true })`,
    );
  }
  const rows = lines(await readFile(file, "utf8")).map(({ line, number }): MovieSnippet => {
    const [id, rating, text] = line.split("\t");
    if (id === undefined || text === undefined || !Number.isFinite(Number(rating))) {
      throw new Error(
        `${file}, line ${number}: expected number, rating and text with tabs between, found "${line.slice(0, 60)}"`,
      );
    }
    return Object.freeze({ id, text: text.trim(), rating: Number(rating) });
  });
  return dataset(name, rows);
}

async function movieSnippetPrompts(options: LoadOptions): Promise<Dataset<string>> {
  return dataset(
    "movie-snippets/prompts",
    snippetOpenings([...(await movieSnippets(options))].map(({ text }) => text)),
  );
}

/**
 * Openings of texts: the first four to seven words, in turn, of every text that has at least twice as many,
 * without punctuation at the end; each opening once.
 */
export function snippetOpenings(texts: readonly string[]): string[] {
  const found = new Set<string>();
  for (const [i, text] of texts.entries()) {
    const words = text.split(/\s+/);
    const count = 4 + (i % 4);
    if (words.length < 2 * count) continue;
    found.add(
      words
        .slice(0, count)
        .join(" ")
        .replace(/[\p{P}\s]+$/u, ""),
    );
  }
  return [...found];
}
