/** What each magic does. `%lsmagic` prints this table. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { displayables } from "../rich/display.js";
import { declaredNames, forgetAll } from "../user/bindings.js";
import { guardBuiltins } from "../user/guards.js";
import { send, writeStream } from "../user/output.js";
import { describeValue } from "../user/runtimeValues.js";
import type { Work } from "../user/work.js";

type Result = readonly unknown[] | undefined;

/** What a magic may use. */
export interface MagicContext {
  run(code: string): Promise<Result>;
  readonly work: Work;
}

interface LineMagic {
  readonly usage: string;
  readonly help: string;
  run(rest: string, context: MagicContext): Promise<Result> | Result;
}

interface CellMagic {
  readonly usage: string;
  readonly help: string;
  run(line: string, body: string, context: MagicContext): Promise<Result> | Result;
}

/** A magic was used wrongly. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Magics of one line. */
export const lineMagics: Readonly<Record<string, LineMagic>> = {
  lsmagic: { usage: "%lsmagic", help: "list the magics, each with what it does", run: listMagics },
  time: { usage: "%time CODE", help: "run CODE once and print how long it took", run: timeOnce },
  timeit: {
    usage: "%timeit [-n LOOPS] [-r RUNS] CODE",
    help: "run CODE many times and print the mean time of one",
    run: timeMany,
  },
  who: {
    usage: "%who",
    help: "the notebook's variables",
    run: () => print(`${[...declaredNames()].join("   ") || "No variables are defined."}\n`),
  },
  whos: { usage: "%whos", help: "the notebook's variables with their types and values", run: listVariables },
  reset: { usage: "%reset [NAME ...]", help: "forget all variables, or those named", run: reset },
  env: { usage: "%env [NAME[=VALUE]]", help: "show all environment variables, show one, or set one", run: environment },
  cd: {
    usage: "%cd [FOLDER]",
    help: "change the working directory (without FOLDER: to the home folder)",
    run: changeDirectory,
  },
  pwd: { usage: "%pwd", help: "the working directory", run: () => [process.cwd()] },
  load: { usage: "%load FILE|URL", help: "put the text of FILE into the cell", run: load },
  run: {
    usage: "%run FILE",
    help: "run a TypeScript or JavaScript file as if its text stood here",
    run: (file, { run }) => run(readText(file)),
  },
  npm: {
    usage: "%npm add PACKAGE ...",
    help: "install packages next to the notebook; they can be imported at once",
    run: npm,
  },
  types: {
    usage: "%types off|warn|strict",
    help: "type errors in cells: not looked for, shown as warnings, or refused",
    run: types,
  },
};

/** Magics of a whole cell. */
export const cellMagics: Readonly<Record<string, CellMagic>> = {
  bash: { usage: "%%bash", help: "run the cell with bash", run: (_line, body) => script("bash", body) },
  sh: { usage: "%%sh", help: "run the cell with sh", run: (_line, body) => script("sh", body) },
  time: {
    usage: "%%time",
    help: "run the cell and print how long it took",
    run: (line, body, context) => timeOnce(`${line}\n${body}`.trimStart(), context),
  },
  timeit: {
    usage: "%%timeit",
    help: "run the cell many times and print the mean time of one",
    run: (line, body, context) => timeMany(`${line} ${body}`, context),
  },
  html: { usage: "%%html", help: "show the cell as HTML", run: (_line, body) => [displayables.html(body)] },
  markdown: {
    usage: "%%markdown",
    help: "show the cell as Markdown",
    run: (_line, body) => [displayables.markdown(body)],
  },
  latex: { usage: "%%latex", help: "show the cell as LaTeX", run: (_line, body) => [displayables.latex(body)] },
  svg: { usage: "%%svg", help: "show the cell as SVG", run: (_line, body) => [displayables.svg(body)] },
  writefile: { usage: "%%writefile FILE", help: "write the cell to FILE", run: writeCell },
};

function print(text: string): undefined {
  writeStream("stdout", text);
}

function listMagics(): undefined {
  const rows = [...Object.values(lineMagics), ...Object.values(cellMagics)].map(
    ({ usage, help }) => [usage, help] as const,
  );
  const others = [
    ["!COMMAND", "run COMMAND in a shell"],
    ["?NAME  NAME?", "what is known of NAME"],
    ["??NAME  NAME??", "the source of NAME"],
  ] as const;
  const all = [...rows, ...others];
  const width = Math.max(...all.map(([usage]) => usage.length));
  return print(`${all.map(([usage, help]) => `${usage.padEnd(width)}  ${help}`).join("\n")}\n`);
}

async function timeOnce(code: string, { run }: MagicContext): Promise<Result> {
  const started = performance.now();
  try {
    return await run(code);
  } finally {
    print(`Wall time: ${duration((performance.now() - started) / 1000)}\n`);
  }
}

async function timeMany(rest: string, { run }: MagicContext): Promise<Result> {
  const options = /^((?:\s*-[nr]\s*\d+)*)\s*([\s\S]*)$/.exec(rest);
  const number = (flag: string): number | undefined => {
    const value = new RegExp(`-${flag}\\s*(\\d+)`).exec(options?.[1] ?? "")?.[1];
    return value === undefined ? undefined : Math.max(1, Number(value));
  };
  const code = options?.[2]?.trim() ?? "";
  if (code === "") throw new UsageError("%timeit needs code to measure, for instance %timeit Math.sqrt(2)");
  const isAsync = /\bawait\b/.test(code);
  const made = await run(
    `(${isAsync ? "async " : ""}(__times__: number) => { for (let __i__ = 0; __i__ < __times__; __i__++) { ${code}\n } })`,
  );
  const body = made?.[0];
  if (typeof body !== "function") throw new UsageError("%timeit takes statements");
  const measure = async (times: number): Promise<number> => {
    const started = performance.now();
    await (body as (times: number) => unknown)(times);
    return (performance.now() - started) / 1000;
  };
  let loops = number("n") ?? 1;
  if (number("n") === undefined) while ((await measure(loops)) < 0.03 && loops < 1e8) loops *= 10;
  const runs: number[] = [];
  for (let index = 0; index < (number("r") ?? 7); index++) runs.push((await measure(loops)) / loops);
  const mean = runs.reduce((sum, one) => sum + one, 0) / runs.length;
  const deviation = Math.sqrt(runs.reduce((sum, one) => sum + (one - mean) ** 2, 0) / runs.length);
  return print(
    `${duration(mean)} ± ${duration(deviation)} per loop (mean ± std. dev. of ${runs.length} runs, ${loops.toLocaleString("en")} loop${loops === 1 ? "" : "s"} each)\n`,
  );
}

function duration(seconds: number): string {
  if (seconds >= 60) return `${Math.floor(seconds / 60)}min ${(seconds % 60).toFixed(0)}s`;
  if (seconds >= 1) return `${seconds.toPrecision(3)} s`;
  if (seconds >= 1e-3) return `${(seconds * 1e3).toPrecision(3)} ms`;
  if (seconds >= 1e-6) return `${(seconds * 1e6).toPrecision(3)} µs`;
  return `${(seconds * 1e9).toPrecision(3)} ns`;
}

function listVariables(): undefined {
  const rows = [...declaredNames()].map((name) => {
    const value: unknown = Object.getOwnPropertyDescriptor(globalThis, name)?.value;
    const text = describeValue(value, 1, false).replaceAll(/\s+/g, " ");
    return [name, value === null ? "null" : typeof value, text.length > 60 ? `${text.slice(0, 60)}...` : text] as const;
  });
  if (rows.length === 0) return print("No variables are defined.\n");
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return print(
    `${rows.map(([name, type, text]) => `${name.padEnd(widths[0] ?? 0)}  ${type.padEnd(widths[1] ?? 0)}  ${text}`).join("\n")}\n`,
  );
}

function reset(rest: string): undefined {
  const names = rest.split(/\s+/).filter((word) => word !== "" && !word.startsWith("-"));
  const unknown = names.filter((name) => !declaredNames().has(name));
  if (unknown.length > 0)
    throw new UsageError(`%reset: no cell has defined ${unknown.join(", ")}. %who lists what is defined`);
  const count = names.length > 0 ? forgetAll(names) : forgetAll();
  return print(`${count} variable${count === 1 ? "" : "s"} forgotten.\n`);
}

function environment(rest: string): Result {
  const match = /^([^\s=]+)(?:\s*=\s*|\s+)([\s\S]*)$/.exec(rest);
  if (match) {
    const [, name = "", value = ""] = match;
    process.env[name] = value;
    return print(`${name}=${value}\n`);
  }
  if (rest === "") return [{ ...process.env }];
  if (process.env[rest] === undefined)
    throw new UsageError(`the environment variable ${rest} is not set. To set it: %env ${rest}=VALUE`);
  return [process.env[rest]];
}

function changeDirectory(rest: string): undefined {
  const target =
    rest === "" ? homedir() : resolve(rest.replace(/^~(?=$|[\\/])/, homedir()).replace(/^(["'])(.*)\1$/, "$2"));
  if (!existsSync(target)) throw new UsageError(`%cd: there is no folder ${target}`);
  process.chdir(target);
  return print(`${target}\n`);
}

function readText(file: string): string {
  const path = resolve(file.trim());
  if (file.trim() === "" || !existsSync(path)) throw new UsageError(`there is no file ${path}`);
  return readFileSync(path, "utf8");
}

async function load(rest: string, { work }: MagicContext): Promise<undefined> {
  let text: string;
  if (/^https?:/.test(rest)) {
    const response = await fetch(rest);
    if (!response.ok) throw new UsageError(`%load: ${rest} answered ${response.status} ${response.statusText}`);
    text = await response.text();
  } else text = readText(rest);
  work.payload.push({ source: "set_next_input", text: `// %load ${rest}\n${text}`, replace: true });
}

function writeCell(line: string, body: string): undefined {
  if (line === "") throw new UsageError("%%writefile needs the name of the file to write");
  const path = resolve(line);
  const existed = existsSync(path);
  writeFileSync(path, body);
  return print(`${existed ? "Overwriting" : "Writing"} ${line}\n`);
}

function types(rest: string): undefined {
  if (rest !== "off" && rest !== "warn" && rest !== "strict")
    throw new UsageError(`%types takes off, warn or strict, not ${JSON.stringify(rest)}`);
  send({ type: "diagnostics", mode: rest });
  return print(
    `Type errors: ${{ off: "not looked for", warn: "shown as warnings", strict: "a cell that has any is not run" }[rest]}.\n`,
  );
}

async function npm(rest: string): Promise<undefined> {
  const [verb, ...packages] = rest.split(/\s+/).filter((word) => word !== "");
  const verbs: Record<string, string> = {
    add: "install",
    install: "install",
    i: "install",
    remove: "uninstall",
    uninstall: "uninstall",
    rm: "uninstall",
  };
  const command = verb === undefined ? undefined : verbs[verb];
  if (!command || packages.length === 0)
    throw new UsageError("usage: %npm add PACKAGE [PACKAGE ...], or %npm remove PACKAGE");
  const folder = process.cwd();
  print(
    `${command === "install" ? "Installing" : "Removing"} ${packages.filter((word) => !word.startsWith("-")).join(", ")} in ${folder} ...\n`,
  );
  const args = [command, "--prefix", folder, "--no-fund", "--no-audit", "--loglevel", "warn", ...packages];
  const child = spawn("npm", args, {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: folder,
    shell: process.platform === "win32",
  });
  const code = await finished(child);
  if (code !== 0) throw new UsageError(`npm ended with code ${code}: see its output above`);
}

/** Run a command line in a shell, its output going to the cell. */
export async function shell(command: string): Promise<void> {
  guardBuiltins();
  await finished(spawn(command, { shell: true, stdio: ["ignore", "pipe", "pipe"] }));
}

async function script(program: string, text: string): Promise<undefined> {
  guardBuiltins();
  const child = spawn(program, [], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(text);
  const code = await finished(child);
  if (code !== 0) throw new UsageError(`${program} ended with code ${code}`);
}

function finished(child: ChildProcess): Promise<number | null> {
  child.stdout?.setEncoding("utf8").on("data", (text: string) => writeStream("stdout", text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => writeStream("stderr", text));
  return new Promise((settle, reject) => {
    child.once("error", reject);
    child.once("close", (code) => settle(code));
  });
}
