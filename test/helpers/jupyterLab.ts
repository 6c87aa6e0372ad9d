import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { ensureJupyter } from "../../app/jupyterEnv.js";
import { installKernelspec } from "../../kernel/install.js";
import { launchBrowser } from "./browser.js";

/** A notebook open in a real JupyterLab in a real browser, with our kernel. */
export interface OpenNotebook {
  readonly page: Page;
  /** The folder the notebook lies in. */
  readonly folder: string;
  cell(index: number): Locator;
  /** Runs one of JupyterLab's commands in the page and does not wait for what it starts. */
  start(command: string): Promise<void>;
  /** Resolves when the kernel is idle and no cell waits. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a JupyterLab of its own, apart from any of the user's, and opens a notebook of these cells in it.
 * @throws JupyterUnavailable where there is none.
 */
export async function openInJupyterLab(cells: readonly string[]): Promise<OpenNotebook> {
  const jupyter = await ensureJupyter({ purpose: "test" });
  const root = mkdtempSync(join(tmpdir(), "jupyterlab-"));
  const place = (name: string): string => {
    const path = join(root, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const folder = place("notebooks");
  const runtime = place("runtime");
  const settings = place("settings");
  const setting = (plugin: string, value: object): void => {
    mkdirSync(join(settings, plugin, ".."), { recursive: true });
    writeFileSync(join(settings, `${plugin}.jupyterlab-settings`), JSON.stringify(value));
  };
  setting("@jupyterlab/notebook-extension/tracker", { windowingMode: "none", autoStartDefaultKernel: false });
  setting("@jupyterlab/apputils-extension/notification", { fetchNews: "false", checkForUpdates: false });
  installKernelspec({ prefix: join(root, "prefix") });
  writeFileSync(join(folder, "test.ipynb"), JSON.stringify(notebook(cells)));
  const token = "secret-of-a-test";
  const server = spawn(
    jupyter.program("jupyter-lab"),
    [
      "--no-browser",
      "--allow-root",
      "--expose-app-in-browser",
      `--ServerApp.root_dir=${folder}`,
      "--ServerApp.ip=127.0.0.1",
      "--ServerApp.port=0",
      `--IdentityProvider.token=${token}`,
      "--LabApp.news_url=None",
      "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
      "--LabApp.extension_manager=readonly",
    ],
    {
      stdio: "ignore",
      env: {
        ...process.env,
        JUPYTER_PATH: join(root, "prefix/share/jupyter"),
        JUPYTER_DATA_DIR: place("data"),
        JUPYTER_CONFIG_DIR: place("config"),
        JUPYTER_RUNTIME_DIR: runtime,
        JUPYTERLAB_SETTINGS_DIR: settings,
        JUPYTERLAB_WORKSPACES_DIR: place("workspaces"),
        IPYTHONDIR: place("ipython"),
        POLICYSCOPE_HISTORY: place("history"),
        JUPYTER_PLATFORM_DIRS: "1",
        NODE_OPTIONS: "",
      },
    },
  );
  const ended = new Promise<void>((resolve) => server.on("exit", () => resolve()));
  const browser = await launchBrowser();
  const close = async (): Promise<void> => {
    await browser.close();
    server.kill("SIGTERM");
    await ended;
    rmSync(root, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    const base = await address(runtime, token);
    const page = await (await browser.newContext({ viewport: { width: 1500, height: 1000 } })).newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(`${base}lab/tree/test.ipynb?token=${token}`);
    await page.waitForFunction(KERNEL_READY);
    const start = (command: string): Promise<void> =>
      page.evaluate(`void globalThis.jupyterapp.commands.execute(${JSON.stringify(command)})`).then(() => undefined);
    return {
      page,
      folder,
      cell: (index) => page.locator(".jp-Notebook .jp-Cell").nth(index),
      start,
      idle: () => page.waitForFunction(IDLE, undefined, { timeout: 30_000, polling: 200 }).then(() => undefined),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const KERNEL_READY = `(() => {
  const panel = globalThis.jupyterapp?.shell?.currentWidget;
  return panel?.context?.isReady && panel.sessionContext?.isReady && panel.sessionContext.session?.kernel?.status === "idle"
    && panel.sessionContext.session.kernel.name === "policyscope";
})()`;
const IDLE = `(() => {
  const panel = globalThis.jupyterapp?.shell?.currentWidget;
  const waiting = [...document.querySelectorAll(".jp-InputPrompt")].some((prompt) => prompt.textContent.includes("*"));
  return !waiting && panel?.sessionContext?.session?.kernel?.status === "idle";
})()`;

async function address(runtime: string, token: string): Promise<string> {
  for (let tries = 0; tries < 600; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    try {
      const file = readdirSync(runtime).find((name) => /^jpserver-\d+\.json$/.test(name));
      if (file === undefined) continue;
      const { url } = JSON.parse(readFileSync(join(runtime, file), "utf8")) as { url: string };
      if ((await fetch(`${url}api/status?token=${token}`)).ok) return url;
    } catch {
      // Not up yet.
    }
  }
  throw new Error("JupyterLab has not come up within a minute");
}

function notebook(cells: readonly string[]): object {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { name: "policyscope", display_name: "TypeScript", language: "typescript" },
      language_info: { name: "typescript" },
    },
    cells: cells.map((source, index) => ({
      cell_type: "code",
      id: `cell-${index}`,
      execution_count: null,
      outputs: [],
      metadata: {},
      source,
    })),
  };
}
