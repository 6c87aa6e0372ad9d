/** What each magic does. */

import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { displayables } from "../rich/display.js";
import { declaredNames, forgetAll, variableNamed } from "../user/bindings.js";
import { guardBuiltins } from "../user/guards.js";
import { send, writeStream } from "../user/output.js";
import { describeValue, valueAt } from "../user/runtimeValues.js";
import type { Work } from "../user/work.js";
import { type CellMagicName, type LineMagicName, magicsTable } from "./catalogue.js";

type Result = readonly unknown[] | undefined;

/** What a magic may use. */
export interface MagicContext {
  run(code: string): Promise<Result>;
  readonly work: Work;
}

type LineMagic = (rest: string, context: MagicContext) => Promise<Result> | Result;
type CellMagic = (line: string, body: string, context: MagicContext) => Promise<Result> | Result;

/** A magic was used wrongly. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Magics of one line. */
export const lineMagics: Readonly<Record<LineMagicName, LineMagic>> = {
  lsmagic: () => print(magicsTable()),
  time: timeOnce,
  timeit: timeMany,
  who: () => print(`${[...declaredNames()].join("   ") || "No variables are defined."}\n`),
  whos: listVariables,
  reset,
  env: environment,
  cd: changeDirectory,
  pwd: () => [process.cwd()],
  load,
  run: (file, { run }) => run(readText(file)),
  npm,
  types,
};

/** Magics of a whole cell. */
export const cellMagics: Readonly<Record<CellMagicName, CellMagic>> = {
  bash: (_line, body) => script("bash", body),
  sh: (_line, body) => script("sh", body),
  time: (line, body, context) => timeOnce(`${line}\n${body}`.trimStart(), context),
  timeit: (line, body, context) => timeMany(`${line} ${body}`, context),
  html: (_line, body) => [displayables.html(body)],
  markdown: (_line, body) => [displayables.markdown(body)],
  latex: (_line, body) => [displayables.latex(body)],
  svg: (_line, body) => [displayables.svg(body)],
  writefile: writeCell,
};

function print(text: string): undefined {
  writeStream("stdout", text);
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
  const short = (value: number): number => Number(value.toPrecision(3));
  if (seconds >= 1) return `${short(seconds)} s`;
  if (seconds >= 1e-3) return `${short(seconds * 1e3)} ms`;
  if (seconds >= 1e-6) return `${short(seconds * 1e6)} µs`;
  return `${short(seconds * 1e9)} ns`;
}

function listVariables(): undefined {
  const rows = [...declaredNames()].map((name) => {
    const value = variableNamed(name)?.value;
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

let folderBefore: string | undefined;

function changeDirectory(rest: string): undefined {
  if (rest === "-" && folderBefore === undefined) throw new UsageError("%cd -: there was no other folder before");
  const named = rest === "-" ? (folderBefore ?? "") : rest.replace(/^(["'])(.*)\1$/, "$2");
  const target = named === "" ? homedir() : resolve(named.replace(/^~(?=$|[\\/])/, homedir()));
  if (!statSync(target, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`%cd: there is no folder ${target}`);
  const from = process.cwd();
  process.chdir(target);
  folderBefore = from;
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
  const [, append, name = ""] = /^(-a\s+|--append\s+)?(.*)$/.exec(line) ?? [];
  const file = name.replace(/^(["'])(.*)\1$/, "$2");
  if (file === "") throw new UsageError("%%writefile needs the name of the file to write");
  const path = resolve(file.replace(/^~(?=$|[\\/])/, homedir()));
  const existed = existsSync(path);
  if (append) appendFileSync(path, body);
  else writeFileSync(path, body);
  return print(`${append ? "Appending to" : existed ? "Overwriting" : "Writing"} ${file}\n`);
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
  let complaints = "";
  child.stderr?.on("data", (text: string) => {
    complaints = (complaints + text).slice(-10_000);
  });
  const code = await finished(child);
  if (code === 0) return;
  const reason =
    /^npm (?:error|ERR!) (?:\d+ |notarget )?(.*(?:not found|could not be found|No matching version).*)$/im.exec(
      complaints,
    )?.[1];
  throw new UsageError(`npm ended with code ${code}${reason ? `: ${reason.trim()}` : ": see its output above"}`);
}

/** Run a command line in a shell, its output going to the cell. `{name}` is the value of a variable; what else has braces is the shell's. */
export async function shell(command: string): Promise<void> {
  guardBuiltins();
  const filled = command.replace(/(?<!\$)\{([\p{ID_Start}$_][\p{ID_Continue}$.]*)\}/gu, (text, path: string) => {
    if (!declaredNames().has(path.replace(/\..*$/, ""))) return text;
    const found = valueAt(path);
    return found ? String(found.value) : text;
  });
  await finished(spawn(filled, { shell: true, stdio: ["ignore", "pipe", "pipe"] }));
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
