#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { packageRoot } from "./jupyterEnv.js";

// Each command loads only what it needs, so that `policyscope --help` answers at once.
const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };
const say = (line: string) =>
  console.error(process.stderr.isTTY ? `\u001b[2mpolicyscope\u001b[0m ${line}` : `policyscope ${line}`);

const cli = new Command("policyscope")
  .description("RLHF trainers as instruments, in Jupyter: a TypeScript kernel and step-by-step trainers")
  .version(version)
  .showHelpAfterError("(policyscope --help lists the commands)");

const where = (command: Command) =>
  command
    .addOption(new Option("--user", "for the current user (default)").conflicts(["prefix", "sysPrefix"]))
    .addOption(new Option("--prefix <folder>", "below this folder: share/jupyter/kernels").conflicts("sysPrefix"))
    .addOption(new Option("--sys-prefix", "into the Python environment that is active"))
    .option("--name <name>", "the kernel's name, a folder's name", "policyscope");

where(cli.command("install").description("register the TypeScript kernel with Jupyter"))
  .option("--display-name <name>", "what launchers and menus call it")
  .action(async (options) => {
    const { installKernelspec } = await import("../kernel/install.js");
    const { installLabExtension } = await import("../widgets/labExtension.js");
    const folder = installKernelspec(options);
    say(`kernel registered in ${folder}`);
    say(`JupyterLab shows saved widgets through ${installLabExtension(dirname(dirname(folder)))}`);
  });

where(cli.command("uninstall").description("take the kernel's registration away again")).action(async (options) => {
  const { isRegisteredIn, uninstallKernelspec } = await import("../kernel/install.js");
  const { uninstallLabExtension } = await import("../widgets/labExtension.js");
  const folder = uninstallKernelspec(options);
  // All registrations there share it.
  if (!isRegisteredIn(dirname(folder))) uninstallLabExtension(dirname(dirname(folder)));
  say(`kernel registration removed from ${folder}`);
});

cli
  .command("lab [notebook] [jupyter-arguments...]")
  .description(
    "open JupyterLab on the tutorials, or on a notebook or folder, in an environment of its own (arguments after -- go to it)",
  )
  .option("--no-browser", "do not open a browser")
  .option("--port <port>", "the port of the server", Number)
  .action(async (target: string | undefined, more: string[], options: { browser: boolean; port?: number }) => {
    const { lab } = await import("./lab.js");
    const forLab = target?.startsWith("-") ? [target, ...more] : more;
    const notebook = target === undefined || target.startsWith("-") ? {} : { target };
    process.exitCode = await lab({ ...notebook, ...options, more: forLab, say });
  });

cli
  .command("run <notebook>")
  .description("run a notebook top to bottom, without Python and without a browser")
  .option("-p, --parameter <name=value>", "set a parameter; may be repeated", collect, [])
  .option("-o, --output <file>", "write the executed .ipynb or a self-contained .html; may be repeated", collect, [])
  .option("--server <url>", "run it on a Jupyter server instead, for example http://host:8888/?token=…")
  .option("--kernel <name>", "the kernel to use on the server", "policyscope")
  .option("--allow-errors", "go on after a cell that fails")
  .option("--timeout <seconds>", "interrupt a cell that runs longer", seconds)
  .action(async (notebook: string, options) => {
    const { runNotebook } = await import("./run/command.js");
    process.exitCode = await runNotebook({ notebook, ...options, say });
  });

cli
  .command("tutorial")
  .description("run the first tutorial without a browser, into an .ipynb and an .html")
  .option("--folder <folder>", "where to write them", "tutorial-output")
  .action(async (options: { folder: string }) => {
    const { runTutorial } = await import("./run/command.js");
    process.exitCode = await runTutorial({ ...options, say });
  });

cli
  .command("train <config>")
  .description("run a trainer from a YAML or JSON file, without a notebook")
  .action(async (config: string) => {
    const { train } = await import("./train.js");
    process.exitCode = await train({ config, say });
  });

cli
  .command("pull [name]")
  .description("fetch a model or data set, with a checksum; without a name: list them")
  .action(async (name: string | undefined) => {
    const { pullCommand } = await import("./pull.js");
    process.exitCode = await pullCommand({ ...(name === undefined ? {} : { name }), say });
  });

cli
  .command("doctor")
  .description("say what works on this machine, and what to do about what does not")
  .action(async () => {
    const { doctor } = await import("./doctor.js");
    process.exitCode = await doctor();
  });

try {
  await cli.parseAsync();
} catch (error) {
  console.error(`policyscope: ${error instanceof Error ? error.message : String(error)}`);
  if (process.env.POLICYSCOPE_DEBUG && error instanceof Error) console.error(error.stack);
  process.exitCode = 1;
}

function seconds(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 2_000_000) return value;
  throw new InvalidArgumentError("expected seconds between 0 and 2000000, for example 600.");
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}
