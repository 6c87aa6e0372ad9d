import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { homeFolder } from "./folders.js";

/** A private Python environment with JupyterLab and anywidget, apart from any Jupyter of the user's own. */
export interface JupyterEnv {
  /** The environment's folder. */
  readonly root: string;
  /** The folder of its programs: `jupyter-lab`, `jupyter`, … */
  readonly bin: string;
  readonly python: string;
  /** Full path of one of its programs. */
  program(name: string): string;
}

/** `lab`: what a user needs. `test`: the programs that judge the kernel as well. */
export type Purpose = "lab" | "test";

/** Why there is no JupyterLab here, and what the person at the screen can do about it. */
export class JupyterUnavailable extends Error {
  override readonly name = "JupyterUnavailable";
  constructor(
    readonly reason: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(`${reason}\n${remedy}`, options);
  }
}

/** The package's own folder, also when it runs from dist/. */
export const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));

/**
 * Returns the private environment, making it first where it is not there yet (about 20 s; nothing to do the second
 * time). Safe to kill at any point and to call from several processes at once.
 * @throws {JupyterUnavailable} without a usable Python, or when packages cannot be fetched.
 */
export async function ensureJupyter({
  purpose = "lab",
  say = () => {},
}: {
  purpose?: Purpose;
  say?: (line: string) => void;
} = {}): Promise<JupyterEnv> {
  const python = findPython();
  const requirements = join(packageRoot, "app", "python", `${purpose}.txt`);
  const constraints = join(packageRoot, "app", "python", "constraints.txt");
  const lab = join(packageRoot, "app", "python", "lab.txt");
  const hash = createHash("sha256").update(python.version);
  for (const file of [requirements, constraints, lab]) hash.update(readFileSync(file));
  const root = join(homeFolder(), `python-${purpose}-${hash.digest("hex").slice(0, 12)}`);
  const env = environmentAt(root);
  const finished = join(root, "finished.json");
  if (existsSync(finished)) return env;

  mkdirSync(homeFolder(), { recursive: true });
  await whileLocked(`${root}.lock`, say, async () => {
    if (existsSync(finished)) return;
    say(`making a private Python environment (Python ${python.version}) in ${root}`);
    rmSync(root, { recursive: true, force: true });
    await command(
      python.path,
      ["-m", "venv", root],
      "Python cannot make a virtual environment",
      "Install the venv module (Debian, Ubuntu: apt install python3-venv), then run this again.",
    );
    const pins = python.minor >= 10 ? ["-c", constraints] : [];
    say("installing JupyterLab and anywidget into it (once, about half a minute)");
    let collected = 0;
    await command(
      env.python,
      [
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
        ...pins,
        "-r",
        requirements,
      ],
      "JupyterLab could not be installed",
      "Check the network (pip must reach a package index), then run this again; everything else works meanwhile.",
      (line) => {
        if (/^Collecting /.test(line) && ++collected % 25 === 0) say(`  ${collected} packages found`);
        if (/^Installing collected/.test(line)) say(`  unpacking ${collected} packages`);
      },
    );
    writeFileSync(finished, JSON.stringify({ python: python.version, at: new Date().toISOString() }));
  });
  return env;
}

/**
 * Python 3.9 or newer, from POLICYSCOPE_PYTHON or the PATH.
 * @throws {JupyterUnavailable} if there is none
 */
export function findPython(): { path: string; version: string; minor: number } {
  const candidates = process.env.POLICYSCOPE_PYTHON
    ? [process.env.POLICYSCOPE_PYTHON]
    : process.platform === "win32"
      ? ["python", "py", "python3"]
      : ["python3", "python"];
  const seen: string[] = [];
  for (const candidate of candidates) {
    const code = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])";
    const { stdout, status } = spawnSync(candidate, ["-c", code], { encoding: "utf8" });
    const [path, version] = (stdout ?? "").trim().split(/\r?\n/);
    if (status !== 0 || !path || !version) continue;
    const [major = 0, minor = 0] = version.split(".").map(Number);
    if (major === 3 && minor >= 9) return { path, version, minor };
    seen.push(`${candidate} is ${version}`);
  }
  throw new JupyterUnavailable(
    seen.length > 0
      ? `No Python 3.9 or newer was found (${seen.join(", ")}).`
      : process.env.POLICYSCOPE_PYTHON
        ? `POLICYSCOPE_PYTHON names "${process.env.POLICYSCOPE_PYTHON}", which does not run.`
        : "No Python was found.",
    "JupyterLab is a Python program: install Python 3.9 or newer, or name one in POLICYSCOPE_PYTHON. Without it, `npm start -- --headless` runs the tutorial all the same.",
  );
}

function environmentAt(root: string): JupyterEnv {
  const windows = process.platform === "win32";
  const bin = join(root, windows ? "Scripts" : "bin");
  const program = (name: string) => join(bin, windows ? `${name}.exe` : name);
  return { root, bin, python: program("python"), program };
}

async function command(
  program: string,
  args: readonly string[],
  reason: string,
  remedy: string,
  onLine: (line: string) => void = () => {},
): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split(/\r?\n/).filter(Boolean)) {
        onLine(line);
        tail.push(line);
        if (tail.length > 12) tail.shift();
      }
    });
  }
  const status = await new Promise<number | null>((resolve) => {
    child.on("error", () => resolve(null));
    child.on("close", resolve);
  });
  if (status !== 0) throw new JupyterUnavailable(`${reason}:\n  ${tail.join("\n  ")}`, remedy);
}

/** One maker at a time: a lock folder holds its maker's process id, and a dead maker's lock is taken over. */
async function whileLocked(lock: string, say: (line: string) => void, work: () => Promise<void>): Promise<void> {
  const owner = join(lock, "pid");
  for (let waited = false; ; waited = true) {
    try {
      mkdirSync(lock);
      writeFileSync(owner, String(process.pid));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (isAbandoned(lock, owner)) rmSync(lock, { recursive: true, force: true });
      else if (!waited) say("waiting for another process that is making the Python environment");
      await sleep(300);
    }
  }
  try {
    await work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function isAbandoned(lock: string, owner: string): boolean {
  try {
    const pid = Number(readFileSync(owner, "utf8"));
    process.kill(pid, 0);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPERM") return false;
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
    try {
      return Date.now() - statSync(lock).mtimeMs > 5_000;
    } catch {
      return true;
    }
  }
}

function findPackageRoot(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  if (parent === folder)
    throw new Error("policyscope's package.json was not found above its own files: reinstall the package");
  return findPackageRoot(parent);
}
