import type { CodeCell, MimeBundle, Notebook, Output } from "./notebook.js";

/** A message that a kernel broadcasts, as far as executing a notebook is concerned. */
export interface Broadcast {
  readonly msgType: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly buffers: readonly Uint8Array[];
}

/** A kernel that runs cells: on this machine through zeromq, or on a Jupyter server. */
export interface CellRunner {
  /** Runs one cell to its end; `onBroadcast` sees everything that its kernel said meanwhile. */
  execute(
    code: string,
    options: { cellId?: string; onBroadcast: (message: Broadcast) => void; signal?: AbortSignal },
  ): Promise<{ status: "ok" | "error" | "aborted"; executionCount: number | null }>;
  /** Language facts for the notebook's metadata. */
  readonly languageInfo: Readonly<Record<string, unknown>>;
  readonly kernelName: string;
  readonly displayName: string;
  close(): Promise<void>;
}

/** How the run of a notebook ended. */
export interface Execution {
  readonly notebook: Notebook;
  /** The first error, where one stopped the run. */
  readonly failure?: {
    readonly cell: number;
    readonly ename: string;
    readonly evalue: string;
    readonly traceback: string;
  };
}

/**
 * Runs a notebook top to bottom and returns it with its outputs and the state of its widgets; the notebook given stays
 * as it was. Stops at the first error unless `allowErrors` (or the cell is tagged `raises-exception`).
 */
export async function executeNotebook(
  book: Notebook,
  runner: CellRunner,
  options: {
    allowErrors?: boolean;
    /** Interrupts the cell that runs, and ends the run. */
    signal?: AbortSignal;
    /** Seconds after which a cell is interrupted. */
    timeout?: number;
    onCell?: (index: number, total: number, cell: CodeCell) => void;
    onDone?: (index: number, cell: CodeCell, seconds: number) => void;
  } = {},
): Promise<Execution> {
  const widgets = new WidgetStates();
  const outputs = new OutputArea();
  const cells = [...book.cells];
  const total = cells.filter((cell) => cell.cell_type === "code").length;
  let failure: Execution["failure"];
  let count = 0;
  for (const [index, cell] of cells.entries()) {
    if (cell.cell_type !== "code") continue;
    if (failure || cell.source.trim() === "") {
      cells[index] = { ...cell, outputs: [], execution_count: null };
      continue;
    }
    options.onCell?.(count++, total, cell);
    const started = performance.now();
    outputs.startCell(index);
    const late = options.timeout === undefined ? undefined : AbortSignal.timeout(options.timeout * 1000);
    const signals = [options.signal, late].filter((signal) => signal !== undefined);
    const reply = await runner.execute(cell.source, {
      ...(cell.id === undefined ? {} : { cellId: cell.id }),
      signal: AbortSignal.any(signals),
      onBroadcast: (message) => {
        widgets.see(message);
        outputs.see(message);
      },
    });
    const done: CodeCell = { ...cell, outputs: outputs.of(index), execution_count: reply.executionCount };
    cells[index] = done;
    options.onDone?.(index, done, (performance.now() - started) / 1000);
    const tags = Array.isArray(cell.metadata.tags) ? cell.metadata.tags : [];
    const mayFail = options.allowErrors === true || tags.includes("raises-exception");
    if (options.signal?.aborted || (reply.status !== "ok" && !mayFail)) {
      const error = done.outputs.find((output) => output.output_type === "error");
      const timedOut = late?.aborted && reply.status !== "ok";
      failure = {
        cell: index,
        ename: timedOut ? "Timeout" : (error?.ename ?? reply.status),
        evalue: timedOut
          ? `the cell ran longer than the ${options.timeout} s it was given`
          : (error?.evalue ?? "the cell did not finish"),
        traceback: error?.traceback.join("\n") ?? "",
      };
    }
  }
  // A later cell may have updated a display of an earlier one.
  const settled = cells.map((cell, index) =>
    cell.cell_type === "code" ? { ...cell, outputs: outputs.of(index) } : cell,
  );
  const state = widgets.saved();
  const metadata = {
    ...book.metadata,
    kernelspec: { name: runner.kernelName, display_name: runner.displayName, language: "typescript" },
    language_info: runner.languageInfo,
    ...(Object.keys(state).length === 0
      ? {}
      : {
          widgets: {
            "application/vnd.jupyter.widget-state+json": { version_major: 2, version_minor: 0, state },
          },
        }),
  };
  return { notebook: { ...book, metadata, cells: settled }, ...(failure ? { failure } : {}) };
}

/** What JupyterLab's output areas would show: streams joined, displays updated by id, clear_output honoured. */
class OutputArea {
  readonly #cells = new Map<number, { output: Output; displayId?: string }[]>();
  #current = -1;
  #clearOnNext = false;

  startCell(index: number): void {
    this.#current = index;
    this.#clearOnNext = false;
    this.#cells.set(index, []);
  }

  of(index: number): Output[] {
    return (this.#cells.get(index) ?? []).map(({ output }) =>
      output.output_type === "stream" ? { ...output, text: lastOfCarriageReturns(output.text) } : output,
    );
  }

  see({ msgType, content }: Broadcast): void {
    switch (msgType) {
      case "stream": {
        const name = content.name === "stderr" ? "stderr" : "stdout";
        const last = this.#list().at(-1)?.output;
        if (!this.#clearOnNext && last?.output_type === "stream" && last.name === name)
          last.text += String(content.text);
        else this.#add({ output_type: "stream", name, text: String(content.text) });
        return;
      }
      case "display_data":
        this.#add({ output_type: "display_data", ...bundleOf(content) }, displayIdOf(content));
        return;
      case "execute_result":
        this.#add(
          { output_type: "execute_result", ...bundleOf(content), execution_count: Number(content.execution_count) },
          displayIdOf(content),
        );
        return;
      case "update_display_data":
        this.#update(displayIdOf(content), bundleOf(content));
        return;
      case "error":
        this.#add({
          output_type: "error",
          ename: String(content.ename),
          evalue: String(content.evalue),
          traceback: Array.isArray(content.traceback) ? content.traceback.map(String) : [],
        });
        return;
      case "clear_output":
        if (content.wait === true) this.#clearOnNext = true;
        else this.#cells.set(this.#current, []);
        return;
      default:
    }
  }

  #list() {
    return this.#cells.get(this.#current) ?? [];
  }

  #add(output: Output, displayId?: string): void {
    if (this.#clearOnNext) this.#cells.set(this.#current, []);
    this.#clearOnNext = false;
    this.#list().push({ output, ...(displayId === undefined ? {} : { displayId }) });
  }

  #update(displayId: string | undefined, bundle: { data: MimeBundle; metadata: Record<string, unknown> }): void {
    if (displayId === undefined) return;
    for (const list of this.#cells.values()) {
      for (const entry of list) {
        const { output } = entry;
        if (entry.displayId !== displayId) continue;
        if (output.output_type === "display_data" || output.output_type === "execute_result") {
          entry.output = { ...output, ...bundle };
        }
      }
    }
  }
}

/** Collects the state of widgets from their comms, as front ends do, so that the saved notebook shows them again. */
class WidgetStates {
  readonly #models = new Map<string, { state: Record<string, unknown>; buffers: Map<string, Uint8Array> }>();

  see({ msgType, content, buffers }: Broadcast): void {
    const id = String(content.comm_id);
    const data = record(content.data);
    if (msgType === "comm_open" && content.target_name === "jupyter.widget") {
      this.#models.set(id, { state: {}, buffers: new Map() });
      this.#merge(id, data, buffers);
    } else if (msgType === "comm_msg" && (data.method === "update" || data.method === "echo_update")) {
      this.#merge(id, data, buffers);
    }
  }

  saved(): Record<string, unknown> {
    const saved: Record<string, unknown> = {};
    for (const [id, { state, buffers }] of this.#models) {
      const text = (name: string) => String(state[name] ?? "");
      saved[id] = {
        model_module: text("_model_module"),
        model_name: text("_model_name"),
        model_module_version: text("_model_module_version"),
        state,
        ...(buffers.size === 0
          ? {}
          : {
              buffers: [...buffers].map(([path, bytes]) => ({
                encoding: "base64",
                path: JSON.parse(path),
                data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"),
              })),
            }),
      };
    }
    return saved;
  }

  #merge(id: string, data: Record<string, unknown>, sent: readonly Uint8Array[]): void {
    const model = this.#models.get(id);
    if (!model) return;
    Object.assign(model.state, record(data.state));
    const paths = Array.isArray(data.buffer_paths) ? data.buffer_paths : [];
    for (const [index, path] of paths.entries()) {
      const bytes = sent[index];
      if (bytes && Array.isArray(path)) model.buffers.set(JSON.stringify(path), Uint8Array.from(bytes));
    }
  }
}

function bundleOf(content: Readonly<Record<string, unknown>>): { data: MimeBundle; metadata: Record<string, unknown> } {
  return { data: record(content.data), metadata: record(content.metadata) };
}

function displayIdOf(content: Readonly<Record<string, unknown>>): string | undefined {
  const id = record(content.transient).display_id;
  return typeof id === "string" ? id : undefined;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** A progress line that was drawn over itself with \r is kept as it was last. */
function lastOfCarriageReturns(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(/[^\n]*\r(?=[^\n])/g, "");
}
