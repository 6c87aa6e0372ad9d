import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { makeFolder } from "./makeFolder.js";
import { debuggerWorks } from "./protocol/identity.js";

/** Where a kernelspec goes, as `jupyter kernelspec install` has it. None of the three: for the current user. */
export interface InstallPlace {
  readonly user?: boolean;
  /** Below this folder: `share/jupyter/kernels`. */
  readonly prefix?: string;
  /** Into the Python environment that is active. */
  readonly sysPrefix?: boolean;
  /** The kernel's name, a folder's name. Default "policyscope". */
  readonly name?: string;
}

/** What {@link installKernelspec} writes where. */
export interface Registration extends InstallPlace {
  /** What launchers and menus call the kernel. */
  readonly displayName?: string;
}

/** What Jupyter reads of a kernel before it starts it. */
export interface KernelSpec {
  readonly argv: readonly string[];
  readonly display_name: string;
  readonly language: string;
  readonly interrupt_mode: "message";
  readonly kernel_protocol_version: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** One thing that was looked at; `remedy` says what to do where it is not well. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly remedy?: string;
}

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const defaultName = "policyscope";

/** The kernelspec: Jupyter starts this Node with this package's kernel. */
export function kernelSpec(displayName = "TypeScript (policyscope)"): KernelSpec {
  return {
    argv: [process.execPath, join(here, "main.js"), "{connection_file}"],
    display_name: displayName,
    language: "typescript",
    interrupt_mode: "message",
    kernel_protocol_version: "5.5",
    metadata: { debugger: debuggerWorks, language_version: typescriptVersion() },
  };
}

/**
 * Tells Jupyter of the kernel; an earlier registration of the same name is replaced.
 * @returns the folder that was written
 * @throws RangeError for a name Jupyter would not accept, an empty prefix or display name; Error when there is no Python for `sysPrefix`, or the folder cannot be written.
 */
export function installKernelspec({ displayName, ...place }: Registration = {}): string {
  if (displayName?.trim() === "")
    throw new RangeError("the display name is empty; launchers and menus show it: give it a word");
  const folder = specFolder(place);
  try {
    makeFolder(folder);
    writeFileSync(join(folder, "kernel.json"), `${JSON.stringify(kernelSpec(displayName), null, 2)}\n`);
    for (const logo of ["logo-svg.svg", "logo-32x32.png", "logo-64x64.png"])
      copyFileSync(join(assetsFolder(), logo), join(folder, logo));
  } catch (cause) {
    throw new Error(
      `the kernel cannot be registered in ${folder}: ${(cause as Error).message}. Choose a folder you may write to with --prefix, or --user.`,
      { cause },
    );
  }
  return folder;
}

/**
 * Takes a registration away.
 * @returns the folder that was removed
 * @throws Error when there is none at that place, or it cannot be removed.
 */
export function uninstallKernelspec(place: InstallPlace = {}): string {
  const folder = specFolder(place);
  if (!existsSync(join(folder, "kernel.json")))
    throw new Error(
      `no kernel is registered in ${folder}: give the --prefix, --sys-prefix or --name it was installed with`,
    );
  try {
    rmSync(folder, { recursive: true });
  } catch (cause) {
    throw new Error(`the registration in ${folder} cannot be removed: ${(cause as Error).message}`, { cause });
  }
  return folder;
}

/** Whether this package's kernel is registered in the folder that holds kernelspecs, under whatever name. */
export function isRegisteredIn(kernels: string): boolean {
  const names = existsSync(kernels) ? readdirSync(kernels) : [];
  return names.some((name) => {
    try {
      const { argv } = readSpec(join(kernels, name, "kernel.json"));
      return argv?.[1] === kernelSpec().argv[1];
    } catch {
      return false;
    }
  });
}

function readSpec(file: string): Partial<KernelSpec> {
  return JSON.parse(readFileSync(file, "utf8")) as Partial<KernelSpec>;
}

/** Looks at everything the kernel needs of this machine. */
export async function diagnoseKernel(): Promise<Check[]> {
  return [node(), sockets(), parser(), registration(), jupyter(), await port()];
}

function specFolder({ prefix, sysPrefix, name = defaultName }: InstallPlace): string {
  if (!/^[a-z0-9._-]+$/i.test(name))
    throw new RangeError(
      `the kernel's name is ${JSON.stringify(name)}; Jupyter takes letters, digits, ".", "_" and "-"`,
    );
  if (prefix === "")
    throw new RangeError(
      "the prefix is empty (a variable that is not set?); expected a folder: give one, or leave --prefix out",
    );
  const base =
    prefix !== undefined
      ? resolve(prefix, "share", "jupyter")
      : sysPrefix
        ? join(neededPythonPrefix(), "share", "jupyter")
        : userData();
  return join(base, "kernels", name.toLowerCase());
}

/** Jupyter's data folder of this user. */
function userData(env: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): string {
  if (env.JUPYTER_DATA_DIR) return env.JUPYTER_DATA_DIR;
  if (platform === "darwin") return join(homedir(), "Library", "Jupyter");
  if (platform === "win32") return join(env.APPDATA ?? join(homedir(), "AppData", "Roaming"), "jupyter");
  return join(env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "jupyter");
}

/** Where the active Python keeps its files. */
function pythonPrefix(): string | undefined {
  const active = process.env.VIRTUAL_ENV ?? process.env.CONDA_PREFIX;
  if (active) return active;
  for (const python of process.platform === "win32" ? ["python", "py"] : ["python3", "python"]) {
    const { status, stdout } = spawnSync(python, ["-c", "import sys; print(sys.prefix)"], { encoding: "utf8" });
    if (status === 0 && stdout.trim() !== "") return stdout.trim();
  }
  return undefined;
}

function neededPythonPrefix(): string {
  const prefix = pythonPrefix();
  if (prefix !== undefined) return prefix;
  throw new Error(
    "--sys-prefix needs a Python on the PATH, and there is none: activate an environment, or use --prefix FOLDER",
  );
}

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  const detail = `${process.versions.node} (${process.execPath})`;
  return { name: "Node", ok, detail, ...(ok ? {} : { remedy: "install Node 20.19 or newer from https://nodejs.org" }) };
}

function sockets(): Check {
  const name = "zeromq";
  const remedy = "reinstall the package: its zeromq brings a binary for Linux, macOS and Windows on x64 and arm64";
  try {
    // In a process of its own: a binary that does not fit can end the one that loads it.
    const code = `import(${JSON.stringify(new URL("./wire/sockets.js", import.meta.url).href)}).then(() => process.exit(0))`;
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
    if (status === 0) return { name, ok: true, detail: "the kernel's sockets load" };
    return {
      name,
      ok: false,
      detail:
        stderr
          .trim()
          .split("\n")
          .find((line) => line.includes("Error")) ?? `exit code ${status}`,
      remedy,
    };
  } catch (error) {
    return { name, ok: false, detail: (error as Error).message, remedy };
  }
}

function parser(): Check {
  const name = "parser";
  try {
    require.resolve("oxc-parser");
    require("oxc-parser");
    return { name, ok: true, detail: "oxc-parser loads" };
  } catch (error) {
    const remedy = "reinstall the package with optional dependencies (npm install --include=optional)";
    return { name, ok: false, detail: (error as Error).message.split("\n")[0] ?? "", remedy };
  }
}

/** Looks where Jupyter would: the user's folder, the active environment, the system. */
function registration(): Check {
  const name = "kernel registration";
  const remedy = "policyscope install";
  const prefixes = [pythonPrefix(), process.env.CONDA_PREFIX, "/usr/local", "/usr"].filter(
    (prefix) => prefix !== undefined,
  );
  const folders = [...new Set([userData(), ...prefixes.map((prefix) => join(prefix, "share", "jupyter"))])];
  const file = folders
    .map((folder) => join(folder, "kernels", defaultName, "kernel.json"))
    .find((path) => existsSync(path));
  if (file === undefined)
    return { name, ok: true, detail: "none for your own Jupyter (npm start does not need one)", remedy };
  try {
    const { argv = [] } = readSpec(file);
    const missing = argv.slice(0, 2).find((path) => !existsSync(path));
    if (argv.length < 3 || missing !== undefined)
      return { name, ok: false, detail: `${file} points at ${missing ?? "nothing"}, which is not there`, remedy };
    accessSync(argv[0] ?? "", constants.X_OK);
    return { name, ok: true, detail: file };
  } catch (error) {
    return { name, ok: false, detail: `${file}: ${(error as Error).message}`, remedy };
  }
}

function jupyter(): Check {
  const name = "Jupyter of your own";
  const { status, stdout } = spawnSync("jupyter", ["--version"], {
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (status !== 0) return { name, ok: true, detail: "none on the PATH (npm start brings its own)" };
  const lab = /jupyterlab\s*:\s*(\S+)/.exec(stdout)?.[1];
  return { name, ok: true, detail: lab && lab !== "not" ? `JupyterLab ${lab}` : "without JupyterLab" };
}

async function port(): Promise<Check> {
  const name = "local ports";
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    return { name, ok: true, detail: "127.0.0.1 can be listened on" };
  } catch (error) {
    const remedy = "allow this program to listen on 127.0.0.1 (firewall or sandbox)";
    return { name, ok: false, detail: (error as Error).message, remedy };
  } finally {
    server.close();
  }
}

function assetsFolder(): string {
  // Compiled code lies in dist/kernel, the pictures in kernel/assets beside dist.
  const beside = join(here, "assets");
  return existsSync(beside) ? beside : join(here, "..", "..", "kernel", "assets");
}

function typescriptVersion(): string {
  return (require("typescript/package.json") as { version: string }).version;
}
