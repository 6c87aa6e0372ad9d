/** A message on a comm, as the kernel hands it over. */
export interface CommMessage {
  readonly data: unknown;
  readonly metadata?: unknown;
  readonly buffers?: readonly (DataView | Uint8Array)[];
}

/** One side of a comm. */
export interface Comm {
  /** The comm's id on the wire: the front end's model id. */
  readonly id: string;
  send(data: object, extra?: CommExtra): void;
  close(data?: object): void;
  onMessage(listener: (message: CommMessage) => void): void;
  onClose(listener: (message: CommMessage) => void): void;
}

/** What travels beside a message's JSON. */
export interface CommExtra {
  readonly metadata?: Record<string, unknown>;
  readonly buffers?: readonly ArrayBufferView[];
}

/** What widgets need of a kernel. */
export interface Comms {
  open(target: string, data: object, extra: CommExtra): Comm;
  register(target: string, opened: (comm: Comm, open: CommMessage) => void): void;
}

/** What to show for a value: one entry per mime type. */
export type MimeBundle = Record<string, unknown>;

/** What a widget is made of. Arrays in `state` travel as binary buffers. */
export interface WidgetParts {
  /** Name of the view, for anywidget's style sheet. */
  readonly name: string;
  /** The view's module: plain ESM. */
  readonly esm: string;
  readonly css: string;
  readonly state: Readonly<Record<string, unknown>>;
  /** Keys that the view may change; a value that fails its check is dropped. */
  readonly viewKeys?: Readonly<Record<string, (value: unknown) => boolean>>;
  /** Answers a message of the view. */
  readonly onCustom?: (
    content: unknown,
    reply: (content: object, buffers?: readonly ArrayBufferView[]) => void,
  ) => void;
  readonly onClose?: () => void;
}

/** The kernel's side of one displayed widget. */
export interface WidgetModel {
  readonly id: string;
  readonly closed: boolean;
  /** Changes state here and in every view of it. */
  update(changes: Readonly<Record<string, unknown>>): void;
  close(): void;
}

const protocol = "2.1.0";
const controlProtocol = "1.0.0";

/**
 * Speaks the Jupyter widget protocol (2.1) for anywidget's generic front end: opens models, answers `request_state`,
 * echoes what a view changed, and answers the control comm, which is how a reloaded page gets its widgets back.
 */
export class WidgetHost {
  readonly #comms: Comms;
  readonly #models = new Map<string, { state: () => Record<string, unknown> }>();

  constructor(comms: Comms) {
    this.#comms = comms;
    comms.register("jupyter.widget.control", (comm) => {
      comm.onMessage(({ data }) => {
        if (methodOf(data) !== "request_states") return;
        const paths: (string | number)[][] = [];
        const buffers: ArrayBufferView[] = [];
        const states: Record<string, unknown> = {};
        for (const [id, model] of this.#models) {
          const split = splitBuffers(model.state());
          states[id] = { ...modelNames, state: split.state };
          for (const path of split.paths) paths.push([id, "state", ...path]);
          buffers.push(...split.buffers);
        }
        comm.send(
          { method: "update_states", states, buffer_paths: paths },
          { metadata: { version: controlProtocol }, buffers },
        );
      });
    });
  }

  /** Opens a model; its views can be displayed by its id from then on. */
  open(parts: WidgetParts): WidgetModel {
    const state: Record<string, unknown> = {
      _model_module: "anywidget",
      _model_name: "AnyModel",
      _model_module_version: "0",
      _view_module: "anywidget",
      _view_name: "AnyView",
      _view_module_version: "0",
      _view_count: null,
      _anywidget_id: `policyscope.${parts.name}`,
      _esm: parts.esm,
      _css: parts.css,
      ...parts.state,
    };
    const first = splitBuffers(state);
    const comm = this.#comms.open(
      "jupyter.widget",
      { state: first.state, buffer_paths: first.paths },
      { metadata: { version: protocol }, buffers: first.buffers },
    );
    let closed = false;
    const send = (method: string, changes: Record<string, unknown>) => {
      const split = splitBuffers(changes);
      comm.send(
        { method, state: split.state, buffer_paths: split.paths },
        { metadata: { version: protocol }, buffers: split.buffers },
      );
    };
    const forget = () => {
      if (closed) return;
      closed = true;
      this.#models.delete(comm.id);
      parts.onClose?.();
    };
    comm.onClose(forget);
    comm.onMessage(({ data }) => {
      switch (methodOf(data)) {
        case "request_state":
          send("update", state);
          break;
        case "update": {
          const accepted = Object.entries(stateOf(data)).filter(([key, value]) => parts.viewKeys?.[key]?.(value));
          if (accepted.length === 0) break;
          Object.assign(state, Object.fromEntries(accepted));
          send("echo_update", Object.fromEntries(accepted));
          break;
        }
        case "custom":
          parts.onCustom?.((data as { content?: unknown }).content, (content, buffers = []) =>
            comm.send({ method: "custom", content }, { metadata: { version: protocol }, buffers }),
          );
      }
    });
    this.#models.set(comm.id, { state: () => state });
    return {
      id: comm.id,
      get closed() {
        return closed;
      },
      update(changes) {
        if (closed) return;
        Object.assign(state, changes);
        send("update", { ...changes });
      },
      close() {
        if (closed) return;
        forget();
        comm.close();
      },
    };
  }
}

const hosts = new WeakMap<Comms, WidgetHost>();

/** The one host that a kernel's comms have. */
export function hostOf(comms: Comms): WidgetHost {
  const host = hosts.get(comms) ?? new WidgetHost(comms);
  hosts.set(comms, host);
  return host;
}

const modelNames = { model_name: "AnyModel", model_module: "anywidget", model_module_version: "0" } as const;

function splitBuffers(whole: Readonly<Record<string, unknown>>): {
  state: Record<string, unknown>;
  paths: string[][];
  buffers: ArrayBufferView[];
} {
  const state: Record<string, unknown> = {};
  const paths: string[][] = [];
  const buffers: ArrayBufferView[] = [];
  for (const [key, value] of Object.entries(whole)) {
    if (ArrayBuffer.isView(value)) {
      paths.push([key]);
      buffers.push(value);
    } else state[key] = value;
  }
  return { state, paths, buffers };
}

function methodOf(data: unknown): unknown {
  return typeof data === "object" && data !== null ? (data as { method?: unknown }).method : undefined;
}

function stateOf(data: unknown): Record<string, unknown> {
  const state = (data as { state?: unknown }).state;
  return typeof state === "object" && state !== null ? (state as Record<string, unknown>) : {};
}
