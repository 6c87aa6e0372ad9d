/**
 * What the kernel gives every cell as globals: `import { display, input } from "policyscope/kernel"` where names are
 * preferred to globals. The session provides these values, and the language service tells cells their types and these
 * words about them. Outside a notebook the imports resolve too, and using one says that there is no front end.
 */

/** What only the front end, or the value itself, knows. */
// biome-ignore lint/suspicious/noExplicitAny: as `unknown`, every use in a cell would be marked as an error
type Anything = any;

/** A mime bundle: one value in several representations, by mime type. */
export type MimeBundle = Readonly<Record<string, unknown>>;

/** A value that shows itself: the method `[Symbol.for("Jupyter.display")]` returns a mime bundle. */
export interface Displayable {
  [key: symbol]: () => MimeBundle | Promise<MimeBundle>;
}

/** How `display` shows a value. */
export interface DisplayOptions {
  /** The value is a mime bundle itself. */
  readonly raw?: boolean;
  /** Replace the outputs that have this `display_id` instead of adding one. */
  readonly update?: boolean;
  /** Names the output, so that it can be updated later. */
  readonly display_id?: string;
  /** What the front end should know beside the data, by mime type. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface Display {
  /**
   * Shows a value under the running cell. A value with a method `[Symbol.for("Jupyter.display")]()` shows itself.
   * @returns a handle whose `update(value)` replaces it; a promise of one where the value takes time to describe itself.
   */
  (value: unknown, options?: DisplayOptions): Anything;
  /** Removes what the cell has shown so far; with `wait`, only when the next output comes. */
  clear(options?: { readonly wait?: boolean }): void;
}

/** How the person at the front end is asked. */
export interface InputOptions {
  /** The front end hides what is typed. */
  readonly password?: boolean;
}

/** What a comm carries. */
export interface CommMessage {
  readonly data: Anything;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly buffers: readonly DataView[];
}

/** What goes beside the data of a comm message. */
export interface CommSendOptions {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly buffers?: readonly (ArrayBuffer | ArrayBufferView)[];
}

/** A conversation with the front end. */
export interface Comm {
  readonly id: string;
  readonly target: string;
  /** Sends data, and binary buffers beside it, to the front end's end of this comm. */
  send(data?: unknown, options?: CommSendOptions): void;
  /** Closes it on both sides. */
  close(data?: unknown, options?: CommSendOptions): void;
  /** Hears what the front end sends. Returns the function that stops it. */
  onMessage(listener: (message: CommMessage) => void | Promise<void>): () => void;
  /** Hears that the front end closed it. Returns the function that stops it. */
  onClose(listener: (message: CommMessage) => void | Promise<void>): () => void;
}

export interface Comms {
  /** Opens a conversation with whoever registered `target` in the front end. */
  open(target: string, data?: unknown, options?: CommSendOptions): Comm;
  /** Answers conversations that the front end opens. Returns the function that stops it. */
  register(target: string, listener: (comm: Comm, open: CommMessage) => void | Promise<void>): () => void;
}

/** The door to the front end, and values that show themselves as what they are said to be. */
export interface JupyterGlobal {
  readonly comms: Comms;
  readonly display: Display;
  html(text: string): object;
  markdown(text: string): object;
  svg(text: string): object;
  latex(text: string): object;
  /** A JSON tree that can be folded. */
  json(value: unknown): object;
  vegaLite(spec: unknown): object;
  plotly(figure: unknown): object;
  image(bytes: Uint8Array, type?: "png" | "jpeg" | "gif" | "webp"): object;
}

/** The globals by name. */
export interface KernelGlobals {
  readonly display: Display;
  readonly input: (text?: string, options?: InputOptions) => Promise<string>;
  readonly prompt: (text?: string, options?: string | InputOptions) => string;
  readonly Jupyter: JupyterGlobal;
}

function given<Name extends keyof KernelGlobals>(name: Name): KernelGlobals[Name] {
  const value = (globalThis as Partial<KernelGlobals>)[name];
  if (value === undefined) throw new Error(`${name} needs the policyscope kernel: use it in a notebook cell`);
  return value;
}

/**
 * Shows a value under the running cell. A value with a method `[Symbol.for("Jupyter.display")]()` shows itself.
 * @example display({ "text/markdown": "**bold**" }, { raw: true })
 */
export const display: Display = Object.assign(
  (value: unknown, options?: DisplayOptions): Anything => given("display")(value, options),
  { clear: (options?: { readonly wait?: boolean }) => given("display").clear(options) },
);

/** Asks the person at the front end for a line of text, and waits without blocking. */
export function input(text?: string, options?: InputOptions): Promise<string> {
  return given("input")(text, options);
}

/** Asks the person at the front end for a line of text, and blocks until it comes. */
export function prompt(text?: string, options?: string | InputOptions): string {
  return given("prompt")(text, options);
}

/** The door to the notebook's front end. */
export const Jupyter: JupyterGlobal = new Proxy<JupyterGlobal>(Object.create(null), {
  get: (_, name) => Reflect.get(given("Jupyter"), name),
});
