import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { installKernelspec } from "../kernel/install.js";
import { installLabExtension } from "../widgets/labExtension.js";
import { homeFolder } from "./folders.js";
import { ensureJupyter, type JupyterEnv, packageRoot } from "./jupyterEnv.js";

/** The notebook that a newcomer should see first. */
export const FIRST_TUTORIAL = "01-ppo-cell-by-cell.ipynb";

/**
 * Opens JupyterLab on a notebook or folder, in a private environment with private settings; nothing of the user's own
 * Jupyter is read or written. Resolves with the exit code when JupyterLab is closed.
 * @param target a notebook or folder; by default the first tutorial (in a clone: in place; elsewhere: copied to ./policyscope-tutorials)
 */
export async function lab({
  target,
  browser = true,
  port,
  more = [],
  say,
}: {
  target?: string;
  browser?: boolean;
  port?: number;
  /** More arguments for JupyterLab. */
  more?: readonly string[];
  say: (line: string) => void;
}): Promise<number> {
  const env = await ensureJupyter({ purpose: "lab", say });
  const folders = privateFolders(env);
  const notebook = resolve(target ?? tutorialsHere());
  if (target === undefined) trust(env, folders, dirname(notebook));
  const folder = notebook.endsWith(".ipynb") ? dirname(notebook) : notebook;
  const path = notebook.endsWith(".ipynb") ? `lab/tree/${encodeURIComponent(basename(notebook))}` : "lab";
  say(`opening JupyterLab on ${notebook} (Ctrl-C twice ends it)`);
  const child = spawn(
    env.program("jupyter-lab"),
    [
      `--ServerApp.root_dir=${folder}`,
      "--ServerApp.ip=127.0.0.1",
      ...(port === undefined ? [] : [`--ServerApp.port=${port}`]),
      `--LabApp.default_url=/${path}`,
      ...(browser ? [] : ["--no-browser"]),
      ...(process.getuid?.() === 0 ? ["--allow-root"] : []),
      "--LabApp.news_url=None",
      "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
      "--LabApp.extension_manager=readonly",
      ...more,
    ],
    { stdio: "inherit", env: { ...process.env, ...folders } },
  );
  const forward = (signal: NodeJS.Signals) => () => child.kill(signal);
  const handlers = (["SIGTERM", "SIGHUP"] as const).map((signal) => [signal, forward(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  process.on("SIGINT", ignore); // the terminal sends it to JupyterLab too, which asks before it ends
  try {
    return await new Promise<number>((done, fail) => {
      child.on("error", fail);
      child.on("exit", (code) => done(code ?? 1));
    });
  } finally {
    for (const [signal, handler] of handlers) process.off(signal, handler);
    process.off("SIGINT", ignore);
  }
}

/**
 * Registers the kernel for the private environment alone and writes its settings.
 * @returns the environment variables under which JupyterLab sees only them
 */
export function privateFolders(env: JupyterEnv, folder = join(homeFolder(), "jupyter")): Record<string, string> {
  installKernelspec({ prefix: env.root });
  installLabExtension(join(env.root, "share", "jupyter"));
  const at = (name: string) => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const settings = at("settings");
  writeSetting(settings, "@jupyterlab/apputils-extension/notification", { fetchNews: "false", checkForUpdates: false });
  // Saved notebooks carry their widgets, so that they show them again without a kernel.
  writeSetting(settings, "@jupyter-widgets/jupyterlab-manager/plugin", { saveState: true });
  const config = at("config");
  mkdirSync(join(config, "labconfig"), { recursive: true });
  writeOnce(
    join(config, "labconfig", "page_config.json"),
    JSON.stringify({
      disabledExtensions: {
        "@jupyterlab/extensionmanager-extension": true,
        "@jupyterlab/apputils-extension:announcements": true,
      },
    }),
  );
  cpSync(join(packageRoot, "app", "python", "jupyter_server_config.py"), join(config, "jupyter_server_config.py"));
  return {
    JUPYTER_CONFIG_DIR: config,
    JUPYTER_DATA_DIR: at("data"),
    JUPYTER_RUNTIME_DIR: at("runtime"),
    JUPYTERLAB_SETTINGS_DIR: settings,
    JUPYTERLAB_WORKSPACES_DIR: at("workspaces"),
    IPYTHONDIR: at("ipython"),
    JUPYTER_PREFER_ENV_PATH: "1",
    PYTHONNOUSERSITE: "1",
  };
}

/** The first tutorial: in place in a clone, otherwise in a copy that the user may change. */
function tutorialsHere(): string {
  const shipped = join(packageRoot, "notebooks");
  if (!packageRoot.split(/[\\/]/).includes("node_modules")) return join(shipped, FIRST_TUTORIAL);
  const mine = resolve("policyscope-tutorials");
  mkdirSync(mine, { recursive: true });
  for (const file of readdirSync(shipped)) {
    if (!existsSync(join(mine, file))) cpSync(join(shipped, file), join(mine, file), { recursive: true });
  }
  return join(mine, FIRST_TUTORIAL);
}

/** Lets JupyterLab show the saved outputs of our own tutorials as they are; anybody else's notebook stays untrusted. */
function trust(env: JupyterEnv, folders: Record<string, string>, folder: string): void {
  const tutorials = readdirSync(folder).filter((file) => file.endsWith(".ipynb"));
  spawnSync(env.program("jupyter-trust"), tutorials, {
    cwd: folder,
    env: { ...process.env, ...folders },
    stdio: "ignore",
  });
}

function writeSetting(settings: string, plugin: string, value: Record<string, unknown>): void {
  const slash = plugin.lastIndexOf("/");
  const folder = join(settings, plugin.slice(0, slash));
  mkdirSync(folder, { recursive: true });
  writeOnce(join(folder, `${plugin.slice(slash + 1)}.jupyterlab-settings`), JSON.stringify(value, null, 2));
}

/** Writes a file that is not there yet: what the user changed since stays. */
function writeOnce(file: string, text: string): void {
  if (!existsSync(file) || readFileSync(file, "utf8").trim() === "") writeFileSync(file, text);
}

function ignore(): void {}
