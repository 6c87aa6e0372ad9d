/**
 * What the kernel gives every cell as globals, with types: `import { display, input } from "policyscope/kernel"`.
 * Outside a notebook the imports resolve too, and using one says that there is no front end.
 */

/** A mime bundle: one value in several representations, by mime type. */
export type MimeBundle = Readonly<Record<string, unknown>>;

/** A value that shows itself: the method returns a mime bundle. */
export interface Displayable {
  [key: symbol]: () => MimeBundle | Promise<MimeBundle>;
}

export interface DisplayOptions {
  /** The value is a mime bundle itself. */
  readonly raw?: boolean;
  /** Replace the outputs that have this `display_id`. */
  readonly update?: boolean;
  readonly display_id?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface Display {
  /** Shows a value under the cell. Resolves when it was sent. */
  (value: unknown, options?: DisplayOptions): Promise<void>;
  /** Empties the cell's output; with `wait`, when the next output comes. */
  clear(options?: { readonly wait?: boolean }): void;
}

/** What a comm carries. */
export interface CommMessage {
  readonly data: unknown;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly buffers: readonly DataView[];
}

export interface CommSendOptions {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly buffers?: readonly (ArrayBuffer | ArrayBufferView)[];
}

/** A conversation with the front end. */
export interface Comm {
  readonly id: string;
  send(data: unknown, options?: CommSendOptions): void;
  close(data?: unknown): void;
  onMessage(listener: (message: CommMessage) => void): void;
  onClose(listener: (message: CommMessage) => void): void;
}

export interface Comms {
  /** Opens a conversation with whoever registered `target` in the front end. */
  open(target: string, data?: unknown, options?: CommSendOptions): Comm;
  /** Answers conversations that the front end opens. */
  register(target: string, listener: (comm: Comm, open: CommMessage) => void): void;
}

interface Globals {
  readonly display: Display;
  readonly input: (text?: string, options?: { readonly password?: boolean }) => Promise<string>;
  readonly prompt: (text?: string, options?: { readonly password?: boolean }) => string | null;
  readonly Jupyter: { readonly comms: Comms };
}

function fromKernel<Name extends keyof Globals>(name: Name): Globals[Name] {
  const value = (globalThis as Partial<Globals>)[name];
  if (value !== undefined) return value;
  const explain = () => {
    throw new Error(`${name} needs the policyscope kernel: use it in a notebook cell`);
  };
  return new Proxy(explain, { get: explain, apply: explain }) as unknown as Globals[Name];
}

/** Shows values under the cell. */
export const display: Display = fromKernel("display");
/** Asks the person at the front end for a line, and waits without blocking. */
export const input: Globals["input"] = fromKernel("input");
/** Asks the person at the front end for a line, and blocks until it comes. */
export const prompt: Globals["prompt"] = fromKernel("prompt");
/** Conversations with the front end. */
export const Jupyter: Globals["Jupyter"] = fromKernel("Jupyter");
