import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ensureJupyter, type JupyterEnv } from "../../app/jupyterEnv.js";
import { installKernelspec } from "../../kernel/install.js";

/** What a judge's test has at hand. */
export interface Court {
  readonly jupyter: JupyterEnv;
  /** A folder of this suite's own, in which programs run. */
  readonly folder: string;
  /** The environment in which Jupyter sees only our kernel and only that folder. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs a program to its end. */
  run(
    program: string,
    args: readonly string[],
    input?: string,
  ): { status: number | null; text: string; stdout: string };
  /** Writes a notebook and returns its path. */
  notebook(name: string, cells: readonly (string | { source: string; tags: string[] })[]): string;
}

/**
 * For tests with programs of others that run kernels: registers ours for the suite alone, in Jupyter's own environment.
 * Call within `describe`; the returned function makes a test, skipped with the reason where there is no Jupyter.
 */
export function judges(): (name: string, body: (court: Court) => void | Promise<void>) => void {
  const folder = mkdtempSync(join(tmpdir(), "judges-"));
  let court: Court | undefined;
  let missing = "";
  before(async () => {
    try {
      const jupyter = await ensureJupyter({ purpose: "test" });
      installKernelspec({ prefix: join(folder, "prefix") });
      court = convene(jupyter, folder);
    } catch (error) {
      missing = `no Jupyter here: ${(error as Error).message.split("\n")[0]}`;
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return (name, body) => void test(name, async (context) => (court ? body(court) : context.skip(missing)));
}

function convene(jupyter: JupyterEnv, folder: string): Court {
  const env = {
    ...process.env,
    JUPYTER_PATH: join(folder, "prefix", "share", "jupyter"),
    JUPYTER_DATA_DIR: join(folder, "data"),
    JUPYTER_CONFIG_DIR: join(folder, "config"),
    JUPYTER_RUNTIME_DIR: join(folder, "runtime"),
    IPYTHONDIR: join(folder, "ipython"),
    POLICYSCOPE_HISTORY: join(folder, "history"),
    PYTHONWARNINGS: "ignore",
    JUPYTER_PLATFORM_DIRS: "1",
    NODE_OPTIONS: "",
  };
  return {
    jupyter,
    folder,
    env,
    run(program, args, input) {
      const options = {
        cwd: folder,
        env,
        encoding: "utf8",
        timeout: 120_000,
        ...(input === undefined ? {} : { input }),
      } as const;
      const { status, stdout, stderr } = spawnSync(program, args, options);
      return { status, text: `${stdout}${stderr}`, stdout };
    },
    notebook(name, cells) {
      const path = join(folder, name);
      const content = {
        nbformat: 4,
        nbformat_minor: 5,
        metadata: { kernelspec: { name: "policyscope", display_name: "TypeScript", language: "typescript" } },
        cells: cells.map((cell, index) => ({
          cell_type: "code",
          id: `cell-${index}`,
          execution_count: null,
          outputs: [],
          metadata: typeof cell === "string" ? {} : { tags: cell.tags },
          source: typeof cell === "string" ? cell : cell.source,
        })),
      };
      writeFileSync(path, JSON.stringify(content));
      return path;
    },
  };
}
