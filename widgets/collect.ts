import type { SavedModel, WidgetState } from "./export.js";

/** A comm message as it comes over iopub. */
export interface CommTraffic {
  readonly msgType: string;
  readonly content: { readonly comm_id?: unknown; readonly target_name?: unknown; readonly data?: unknown };
  readonly buffers?: readonly (ArrayBufferView | ArrayBuffer)[];
}

/**
 * Keeps the state of every widget that a kernel opens, as a front end without widgets would have to, so that a notebook
 * that is run headless can be saved with its widgets (the same form that nbclient and JupyterLab write).
 */
export class WidgetStates {
  readonly #models = new Map<string, { state: Record<string, unknown>; buffers: Map<string, Uint8Array> }>();

  /** Takes one iopub message; others than comm messages are passed over. */
  receive({ msgType, content, buffers = [] }: CommTraffic): void {
    const id = content.comm_id;
    if (typeof id !== "string") return;
    const data = (content.data ?? {}) as { method?: unknown; state?: Record<string, unknown>; buffer_paths?: unknown };
    if (msgType === "comm_open" && content.target_name === "jupyter.widget") {
      this.#models.set(id, { state: {}, buffers: new Map() });
    } else if (msgType === "comm_close") {
      this.#models.delete(id);
      return;
    } else if (msgType !== "comm_msg" || (data.method !== "update" && data.method !== "echo_update")) return;
    const model = this.#models.get(id);
    if (!model) return;
    const paths = Array.isArray(data.buffer_paths) ? (data.buffer_paths as unknown[][]) : [];
    for (const key of Object.keys(data.state ?? {})) model.buffers.delete(JSON.stringify([key]));
    Object.assign(model.state, data.state);
    paths.forEach((path, i) => {
      const buffer = buffers[i];
      if (buffer === undefined) return;
      model.buffers.set(
        JSON.stringify(path),
        buffer instanceof ArrayBuffer
          ? new Uint8Array(buffer)
          : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).slice(),
      );
    });
  }

  /** For `metadata.widgets["application/vnd.jupyter.widget-state+json"]`; undefined when there were no widgets. */
  toNotebook(): WidgetState | undefined {
    if (this.#models.size === 0) return undefined;
    const state: Record<string, SavedModel> = {};
    for (const [id, model] of this.#models) {
      const text = (key: string) => String(model.state[key] ?? "");
      state[id] = {
        model_name: text("_model_name"),
        model_module: text("_model_module"),
        model_module_version: text("_model_module_version"),
        state: model.state,
        buffers: [...model.buffers].map(([path, data]) => ({
          encoding: "base64",
          path: JSON.parse(path) as string[],
          data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
        })),
      };
    }
    return { version_major: 2, version_minor: 0, state };
  }
}
