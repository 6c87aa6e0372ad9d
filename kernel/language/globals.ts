/** What a cell sees beside Node's own globals, as the checker is told. The session installs the values. */
export const KERNEL_GLOBALS = `
/** How \`display\` shows a value. */
interface JupyterDisplayOptions {
  /** The value is a mime bundle already. */
  raw?: boolean;
  /** Replace the outputs that were shown with this display id instead of adding one. */
  update?: boolean;
  /** Names the output so that it can be updated later. */
  display_id?: string;
}
/** From mime type to data. */
interface JupyterMimeBundle { [mimeType: string]: unknown }
interface JupyterCommMessage { readonly data: any; readonly metadata: Record<string, unknown>; readonly buffers: readonly DataView[] }
interface JupyterComm {
  readonly id: string;
  readonly target: string;
  /** Sends data, and binary buffers beside it, to the front end's end of this comm. */
  send(data: unknown, options?: { metadata?: Record<string, unknown>; buffers?: readonly (ArrayBuffer | ArrayBufferView)[] }): void;
  close(data?: unknown): void;
  onMessage(listener: (message: JupyterCommMessage) => void): void;
  onClose(listener: (message: JupyterCommMessage) => void): void;
}
/**
 * Shows a value under the running cell. A value with a method \`[Symbol.for("Jupyter.display")]()\` shows itself.
 * @example display({ "text/markdown": "**bold**" }, { raw: true })
 */
declare const display: {
  (value: unknown, options?: JupyterDisplayOptions): any;
  /** Removes what the cell has shown so far; with \`wait\`, only when the next output comes. */
  clear(options?: { wait?: boolean }): void;
};
/** Asks the user for a line of text and holds the cell until it comes; null when there is nobody to ask. */
declare function prompt(text?: string, options?: string | { password?: boolean }): string | null;
/** Asks the user for a line of text without blocking the event loop. */
declare function input(text?: string, options?: { password?: boolean }): Promise<string>;
/** The door to the notebook's front end. */
declare const Jupyter: {
  readonly comms: {
    /** Opens a comm to a target that the front end has registered. */
    open(target: string, data?: unknown, options?: { metadata?: Record<string, unknown>; buffers?: readonly (ArrayBuffer | ArrayBufferView)[] }): JupyterComm;
    /** Is called when the front end opens a comm to this target. */
    register(target: string, listener: (comm: JupyterComm, open: JupyterCommMessage) => void): void;
  };
  [name: string]: any;
};
`;
