import type { AnyModel } from "@anywidget/types";

/** What a page without a kernel carries; written by widgets/export.ts. */
export interface OfflinePage {
  /** Distinct view modules and style sheets; models refer to them by place. */
  readonly modules: readonly string[];
  readonly styles: readonly string[];
  readonly models: Readonly<Record<string, OfflineState>>;
  /** Libraries that a view may ask for by name. */
  readonly assets: Readonly<Record<string, string>>;
}

/** One model's saved state. */
export interface OfflineState {
  readonly module: number;
  readonly style: number;
  readonly state: Readonly<Record<string, unknown>>;
  readonly buffers: readonly { readonly path: readonly string[]; readonly data: string }[];
}

type State = Record<string, unknown>;
type Listener = (...args: unknown[]) => void;

/** A widget's model with no kernel behind it: what a view sets stays in the page. */
export class OfflineModel {
  readonly #state: State;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #changed = new Set<string>();

  /** `onSend` stands in for the kernel: it may answer a view's message through {@link receive}. */
  constructor(
    state: State,
    private readonly onSend: (content: unknown, model: OfflineModel) => void = () => {},
  ) {
    this.#state = state;
  }

  get(key: string): unknown {
    return this.#state[key];
  }

  set(key: string, value: unknown): void {
    this.#state[key] = value;
    this.#changed.add(key);
    this.#emit(`change:${key}`);
  }

  save_changes(): void {
    if (this.#changed.size > 0) this.#emit("saved", [...this.#changed]);
    this.#changed.clear();
  }

  on(name: string, listener: Listener): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(name, listeners);
  }

  off(name?: string | null, listener?: Listener | null): void {
    if (!name) this.#listeners.clear();
    else if (listener) this.#listeners.get(name)?.delete(listener);
    else this.#listeners.delete(name);
  }

  send(content: unknown): void {
    this.onSend(content, this);
  }

  /** Takes what a kernel would have sent: a state update or a message of its own. */
  receive(message: { state?: State; content?: unknown; buffers?: readonly DataView[] }): void {
    if (message.state) {
      Object.assign(this.#state, message.state);
      for (const key of Object.keys(message.state)) this.#emit(`change:${key}`);
    }
    if (message.content !== undefined) this.#emit("msg:custom", message.content, message.buffers ?? []);
  }

  #emit(name: string, ...args: unknown[]): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(...args);
  }
}

interface ViewModule {
  readonly default: {
    initialize?(props: object): unknown;
    render?(props: object): unknown;
  };
}

const imported = new Map<string, Promise<ViewModule>>();

/** Imports a view's module from its source, once however many models have it. */
export function importView(source: string): Promise<ViewModule> {
  let found = imported.get(source);
  if (!found) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    found = import(/* @vite-ignore */ url) as Promise<ViewModule>;
    imported.set(source, found);
  }
  return found;
}

/** Draws a model's view into an element. */
export async function renderView(
  source: string,
  model: OfflineModel,
  element: HTMLElement,
  signal: AbortSignal,
): Promise<void> {
  const { default: view } = await importView(source);
  const props = { model: model as unknown as AnyModel<State>, signal, experimental: {} };
  await view.initialize?.(props);
  await view.render?.({ ...props, el: element });
}

/**
 * Draws every saved widget of a page into the places that were left for them. A place keeps the static twin that is in
 * it until its view has been drawn, and for good if that fails.
 */
export async function mountAll(page: OfflinePage, root: ParentNode = document): Promise<void> {
  for (const style of page.styles) {
    const element = document.createElement("style");
    element.textContent = style;
    document.head.append(element);
  }
  const models = new Map<string, OfflineModel>();
  for (const place of root.querySelectorAll<HTMLElement>("[data-policyscope-view]")) {
    const id = place.dataset.policyscopeView ?? "";
    const saved = page.models[id];
    if (!saved) continue;
    let model = models.get(id);
    if (!model) {
      const state: State = { ...saved.state };
      for (const { path, data } of saved.buffers) {
        const key = path[0];
        if (key !== undefined) state[key] = new DataView(decoded(data).buffer);
      }
      model = new OfflineModel(state, (content, asked) => answer(content, asked, page));
      models.set(id, model);
    }
    const element = document.createElement("div");
    element.className = "policyscope-live";
    place.before(element);
    try {
      await renderView(page.modules[saved.module] ?? "", model, element, new AbortController().signal);
      place.remove();
    } catch (error) {
      element.remove();
      console.error("policyscope: a saved view could not be drawn; its static form stays", error);
    }
  }
}

function answer(content: unknown, model: OfflineModel, page: OfflinePage): void {
  const { type, name } = (content ?? {}) as { type?: unknown; name?: unknown };
  if (type !== "asset" || typeof name !== "string") return;
  const source = page.assets[name];
  if (source === undefined) return;
  const bytes = new TextEncoder().encode(source);
  queueMicrotask(() => model.receive({ content: { type: "asset", name }, buffers: [new DataView(bytes.buffer)] }));
}

function decoded(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const own = document.querySelector("script[data-policyscope-widgets]");
if (own?.textContent) void mountAll(JSON.parse(own.textContent) as OfflinePage);
