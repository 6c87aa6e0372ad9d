import type { AnyModel } from "@anywidget/types";

type State = Record<string, unknown>;
type Listener = (...args: unknown[]) => void;

/** State as a notebook saves it: JSON, and binary values in base64 beside it. */
export interface SavedState {
  readonly state: Readonly<Record<string, unknown>>;
  readonly buffers?: readonly { readonly path: readonly (string | number)[]; readonly data: string }[];
}

/** Saved state as views see it: binary values are DataViews. */
export function openState({ state, buffers = [] }: SavedState): State {
  const open: State = { ...state };
  for (const { path, data } of buffers) {
    if (path[0] !== undefined) open[path[0]] = new DataView(decoded(data).buffer);
  }
  return open;
}

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

function decoded(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
