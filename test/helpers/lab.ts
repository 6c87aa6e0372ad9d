import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Locator, Page } from "playwright-core";
import { ensureJupyter, JupyterUnavailable } from "../../app/jupyterEnv.js";
import { installKernelspec } from "../../kernel/install.js";
import { installLabExtension } from "../../widgets/labExtension.js";
import { type Look, launchBrowser, noBrowser } from "./browser.js";

/** A JupyterLab or Notebook 7 that sees nothing of this machine's own Jupyter, with this project's kernel, and a browser. */
export interface Lab {
  /** With a slash at the end. */
  readonly base: string;
  /** Where its notebooks are. */
  readonly folder: string;
  /** Writes a notebook of code cells. */
  write(
    name: string,
    cells: readonly string[],
    options?: {
      readonly kernel?: string;
      readonly metadata?: object;
      readonly outputs?: readonly (readonly object[])[];
    },
  ): void;
  /** A notebook as it is saved now. */
  read(name: string): SavedNotebook;
  /** Opens a notebook in a fresh page; `kernel: false` where it is to have none. */
  open(name: string, look?: Look & { readonly kernel?: boolean }): Promise<OpenNotebook>;
  /** Asks the server's REST interface. */
  api(path: string, method?: string): Promise<Response>;
  /** Ends all kernels. */
  endKernels(): Promise<void>;
  /** Takes the kernel away from Jupyter until the returned function is called. */
  withdrawKernel(): () => void;
  stop(): Promise<void>;
}

/** A notebook open in the browser. */
export interface OpenNotebook {
  readonly page: Page;
  /** What has gone wrong in the page. */
  readonly errors: string[];
  cell(index: number): Locator;
  /** Runs one of the front end's commands in the page and does not wait for what it starts. */
  start(command: string): Promise<void>;
  /** Resolves when the kernel is idle and no cell waits. */
  idle(timeout?: number): Promise<void>;
}

/** What tests look at in a saved notebook. */
export interface SavedNotebook {
  readonly metadata: { readonly widgets?: Record<string, unknown> };
  readonly cells: readonly {
    readonly outputs?: readonly {
      readonly output_type: string;
      readonly data?: Record<string, unknown>;
      readonly ename?: string;
      readonly evalue?: string;
    }[];
  }[];
}

/** Starts one; the reason in words where that cannot be. */
export async function startLab({
  program = "jupyter-lab",
  saveState = true,
  settings = {},
}: {
  program?: "jupyter-lab" | "jupyter-notebook";
  /** Whether saved notebooks carry their widgets. */
  saveState?: boolean;
  /** More of the front end's settings, by plugin. */
  settings?: Readonly<Record<string, object>>;
} = {}): Promise<Lab | string> {
  if (noBrowser) return noBrowser;
  let jupyter: Awaited<ReturnType<typeof ensureJupyter>>;
  try {
    jupyter = await ensureJupyter({ purpose: "test" });
  } catch (error) {
    if (error instanceof JupyterUnavailable) return error.message;
    throw error;
  }
  const home = mkdtempSync(join(tmpdir(), "policyscope-lab-"));
  const at = (name: string) => {
    mkdirSync(join(home, name), { recursive: true });
    return join(home, name);
  };
  const folder = at("notebooks");
  installKernelspec({ prefix: at("prefix") });
  installLabExtension(join(home, "prefix", "share", "jupyter"));
  const setting = (plugin: string, value: object) => {
    const file = join(at("settings"), `${plugin}.jupyterlab-settings`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(value));
  };
  setting("@jupyterlab/apputils-extension/notification", { fetchNews: "false", checkForUpdates: false });
  setting("@jupyterlab/notebook-extension/tracker", { windowingMode: "none", autoStartDefaultKernel: false });
  setting("@jupyter-widgets/jupyterlab-manager/plugin", { saveState });
  for (const [plugin, value] of Object.entries(settings)) setting(plugin, value);
  const runtime = at("runtime");
  const token = randomBytes(16).toString("hex");
  const child = spawn(
    jupyter.program(program),
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
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        JUPYTER_CONFIG_DIR: at("config"),
        JUPYTER_DATA_DIR: at("data"),
        JUPYTER_RUNTIME_DIR: runtime,
        JUPYTERLAB_SETTINGS_DIR: at("settings"),
        JUPYTERLAB_WORKSPACES_DIR: at("workspaces"),
        IPYTHONDIR: at("ipython"),
        JUPYTER_PATH: join(home, "prefix", "share", "jupyter"),
        JUPYTER_PLATFORM_DIRS: "1",
        POLICYSCOPE_HISTORY: at("history"),
        NODE_OPTIONS: "",
      },
    },
  );
  const browser = await launchBrowser();
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-4000);
    });
  const end = async () => {
    await browser.close();
    child.kill("SIGTERM");
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await Promise.race([ended, sleep(5000)]);
    child.kill("SIGKILL");
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  };
  const base = await ready(child, runtime, token, () => log).catch(async (error) => {
    await end();
    throw error;
  });
  const api = (path: string, method = "GET") =>
    fetch(`${base}api/${path}`, { method, headers: { Authorization: `token ${token}` } });

  const endKernels = async () => {
    const kernels = (await (await api("kernels")).json()) as { id: string }[];
    for (const { id } of kernels) await api(`kernels/${id}`, "DELETE");
  };
  const lab: Lab = {
    base,
    folder,
    write(name, cells, { kernel = "policyscope", metadata = {}, outputs = [] } = {}) {
      const notebook = {
        nbformat: 4,
        nbformat_minor: 5,
        metadata: { kernelspec: { name: kernel, display_name: kernel, language: "typescript" }, ...metadata },
        cells: cells.map((source, i) => ({
          cell_type: "code",
          id: `cell-${i}`,
          metadata: {},
          execution_count: null,
          outputs: outputs[i] ?? [],
          source,
        })),
      };
      writeFileSync(join(folder, name), JSON.stringify(notebook));
    },
    read: (name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as SavedNotebook,
    api,
    async open(name, { width = 1400, height = 1000, dark = false, kernel = true } = {}) {
      const context = await browser.newContext({
        viewport: { width, height },
        colorScheme: dark ? "dark" : "light",
        locale: "en-US",
        reducedMotion: "reduce",
      });
      const page = await context.newPage();
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.stack ?? String(error)));
      page.setDefaultTimeout(60_000);
      const path = program === "jupyter-lab" ? "lab/tree" : "notebooks";
      await page.goto(`${base}${path}/${name}?token=${token}&reset`);
      await (kernel ? kernelReady(page) : notebookReady(page));
      return {
        page,
        errors,
        cell: (index) => page.locator(".jp-Notebook .jp-Cell").nth(index),
        start: (id) =>
          page.evaluate((id) => void (globalThis as unknown as LabPage).jupyterapp?.commands.execute(id, {}), id),
        idle: async (timeout = 30_000) => {
          await page.waitForFunction(allDone, undefined, { timeout, polling: 200 });
        },
      };
    },
    endKernels,
    withdrawKernel() {
      const kernels = join(home, "prefix", "share", "jupyter", "kernels");
      renameSync(kernels, `${kernels}-away`);
      return () => renameSync(`${kernels}-away`, kernels);
    },
    async stop() {
      await endKernels().catch(() => {});
      await end();
    },
  };
  return lab;
}

/** In the page: the kernel is idle and no cell waits. */
function allDone(): boolean {
  const waiting = [...document.querySelectorAll(".jp-InputPrompt")].some((prompt) => prompt.textContent?.includes("*"));
  const panel = (globalThis as unknown as LabPage).jupyterapp?.shell?.currentWidget;
  return !waiting && panel?.sessionContext?.session?.kernel?.status === "idle";
}

/** Waits until the notebook's kernel is idle; fails at once when Lab asks something in a dialog. */
export async function kernelReady(page: Page, timeout = 60_000): Promise<void> {
  const state = await page.waitForFunction(
    () => {
      const dialog = document.querySelector(".jp-Dialog-content");
      if (dialog) return `dialog: ${dialog.textContent}`;
      const panel = (globalThis as unknown as LabPage).jupyterapp?.shell?.currentWidget;
      const ready = panel?.context?.isReady && panel.sessionContext?.isReady;
      return ready && panel.sessionContext.session?.kernel?.status === "idle" ? "ready" : undefined;
    },
    undefined,
    { timeout },
  );
  const said = String(await state.jsonValue());
  if (said !== "ready") throw new Error(`JupyterLab asks something: ${said}`);
}

/** Waits for a notebook that is to have no kernel; answers Lab's question for one with none. */
export async function notebookReady(page: Page): Promise<void> {
  await page.waitForFunction(
    () => (globalThis as unknown as LabPage).jupyterapp?.shell?.currentWidget?.context?.isReady,
    undefined,
    { timeout: 60_000 },
  );
  // Lab asks for a kernel only where its settings let it.
  const dialog = page.locator(".jp-Dialog-content");
  const asked = await dialog.waitFor({ timeout: 2500 }).then(
    () => true,
    () => false,
  );
  if (!asked) return;
  await page.locator(".jp-Dialog .jp-mod-reject").first().click();
  await dialog.waitFor({ state: "detached" });
}

/** Runs every cell; resolves when done. */
export async function runAll(page: Page): Promise<void> {
  await command(page, "notebook:run-all-cells");
}

/** Runs one of Lab's commands. */
export function command(page: Page, id: string, args: Record<string, string> = {}): Promise<unknown> {
  return page.evaluate(
    async ({ id, args }) => {
      await (globalThis as unknown as LabPage).jupyterapp?.commands.execute(id, args);
    },
    { id, args },
  );
}

interface LabPage {
  jupyterapp?: {
    commands: { execute(id: string, args: object): Promise<unknown> };
    shell: {
      currentWidget?: {
        context?: { isReady: boolean };
        sessionContext: { isReady: boolean; session?: { kernel?: { status: string } } };
      };
    };
  };
}

async function ready(child: ChildProcess, runtime: string, token: string, log: () => string): Promise<string> {
  for (let i = 0; i < 300; i++) {
    if (child.exitCode !== null) throw new Error(`jupyter-lab ended before it was ready:\n${log()}`);
    const file = readdirSync(runtime).find((name) => /^jpserver-\d+\.json$/.test(name));
    if (file) {
      try {
        const { url } = JSON.parse(readFileSync(join(runtime, file), "utf8")) as { url: string };
        if ((await fetch(`${url}api/status?token=${token}`)).ok) return url;
      } catch {
        // The file is being written, or the server is not listening yet.
      }
    }
    await sleep(100);
  }
  throw new Error(`jupyter-lab was not ready after 30 s:\n${log()}`);
}
