import { writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { makeFolder } from "../../kernel/makeFolder.js";
import { offlineWidgets, type WidgetState } from "../../widgets/export.js";
import { ensureJupyter, JupyterUnavailable, packageRoot } from "../jupyterEnv.js";
import { FIRST_TUTORIAL, privateFolders } from "../lab.js";
import { executeNotebook } from "./execute.js";
import { notebookToHtml } from "./html.js";
import { localRunner } from "./local.js";
import {
  type CodeCell,
  type Notebook,
  parseParameter,
  readNotebook,
  withParameters,
  writeNotebook,
} from "./notebook.js";
import { remoteRunner } from "./remote.js";

/** `policyscope run`: executes a notebook and writes what was asked for. @returns the exit code: 1 if a cell failed, 130 after Ctrl-C */
export async function runNotebook(options: {
  notebook: string;
  parameter: readonly string[];
  output: readonly string[];
  server?: string;
  kernel: string;
  allowErrors?: boolean;
  /** Seconds a cell may run. */
  timeout?: number;
  say: (line: string) => void;
}): Promise<number> {
  const { say } = options;
  const file = resolve(options.notebook);
  const book = withParameters(readNotebook(file), Object.fromEntries(options.parameter.map(parseParameter)));
  for (const output of options.output) {
    if (![".ipynb", ".html"].includes(extname(output))) {
      throw new Error(`--output ${output}: expected a file that ends in .ipynb or .html`);
    }
    // Before the cells run: they may take hours.
    makeFolder(dirname(resolve(output)));
  }
  const runner = options.server
    ? await remoteRunner(options.server, options.kernel, basename(file))
    : await localRunner({ directory: dirname(file) });
  const stop = new AbortController();
  const interrupt = () => {
    say("interrupting; press Ctrl-C again to end at once");
    stop.abort();
    process.once("SIGINT", () => process.exit(130));
  };
  process.once("SIGINT", interrupt);
  try {
    const { notebook, failure } = await executeNotebook(book, runner, {
      signal: stop.signal,
      ...(options.allowErrors ? { allowErrors: true } : {}),
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      onCell: (index, total, cell) => say(`cell ${index + 1} of ${total}: ${firstLine(cell.source)}`),
      onDone: (_, cell, seconds) => {
        if (seconds > 1) say(`  ${seconds.toFixed(1)} s`);
        if (options.output.length === 0) printOutputs(cell.outputs);
      },
    });
    for (const output of options.output) {
      if (output.endsWith(".ipynb")) writeNotebook(resolve(output), notebook);
      else await writeFile(resolve(output), pageOf(notebook, basename(file, ".ipynb")));
      say(`wrote ${resolve(output)}`);
    }
    if (!failure) return 0;
    const { cell, ename, evalue, traceback } = failure;
    // Without an output file the traceback stands above already.
    const shown = options.output.length > 0 && traceback !== "" && ename !== "Timeout";
    print(process.stderr, `\ncell ${cell + 1} of ${file} failed:\n${shown ? traceback : `${ename}: ${evalue}`}\n`);
    return stop.signal.aborted ? 130 : 1;
  } finally {
    process.off("SIGINT", interrupt);
    await runner.close();
  }
}

/** `npm start -- --headless`: sets up JupyterLab where that is possible, and runs the first tutorial either way. */
export async function runTutorial({ folder, say }: { folder: string; say: (line: string) => void }): Promise<number> {
  try {
    privateFolders(await ensureJupyter({ purpose: "lab", say }));
    say("JupyterLab is ready (npm start opens it)");
  } catch (error) {
    if (!(error instanceof JupyterUnavailable)) throw error;
    say(`JupyterLab is not available here: ${error.reason}\n  ${error.remedy}\n  Going on without it.`);
  }
  const name = basename(FIRST_TUTORIAL, ".ipynb");
  return runNotebook({
    notebook: join(packageRoot, "notebooks", FIRST_TUTORIAL),
    parameter: [],
    output: [join(folder, `${name}.ipynb`), join(folder, `${name}.html`)],
    kernel: "policyscope",
    say,
  });
}

/** The notebook as one page with its widgets live. */
export function pageOf(notebook: Notebook, title: string): string {
  return notebookToHtml(notebook, { title, widgets: offlineWidgets(savedWidgets(notebook)) });
}

function savedWidgets({ metadata }: Notebook): WidgetState | undefined {
  const widgets = metadata.widgets;
  if (typeof widgets !== "object" || widgets === null) return undefined;
  const saved = (widgets as Record<string, unknown>)["application/vnd.jupyter.widget-state+json"];
  return typeof saved === "object" && saved !== null && "state" in saved ? (saved as WidgetState) : undefined;
}

function printOutputs(outputs: CodeCell["outputs"]): void {
  for (const output of outputs) {
    if (output.output_type === "stream") print(process[output.name], output.text);
    else if (output.output_type === "error") print(process.stderr, `${output.traceback.join("\n")}\n`);
    else print(process.stdout, `${String(output.data["text/plain"] ?? "")}\n`);
  }
}

/** Colours are for terminals. */
function print(stream: NodeJS.WriteStream, text: string): void {
  stream.write(stream.isTTY ? text : stripVTControlCharacters(text));
}

function firstLine(source: string): string {
  const line = source.split("\n").find((text) => text.trim() !== "" && !text.trim().startsWith("//")) ?? "";
  return line.length > 90 ? `${line.slice(0, 89)}…` : line;
}
