/**
 * What the protocol side (P) sees of the user process (U): the `Session` handle and the values that cross it.
 *
 * Scripts, for the debugger. Every cell is one classic script in U's main context, named `Cell In[<execution count>]`
 * (a re-run or silent cell that reuses a count gets a suffix: `Cell In[3]#2`). `Session.onCell` tells P each script's name,
 * the source the user wrote and, where rewriting moved anything, the source map (v3, one source) from the script back to it.
 * What the kernel puts before the user's first column is compensated by a column offset, so V8 reports user columns on line 1, too.
 * Names, lines and columns in tracebacks are always those of the user's source. Local `.ts` modules run under their
 * `file://` URL (with `?v=N` after the N-th reload) and carry inline source maps.
 */

/** A mime bundle: mime type to data. Text is a string, JSON mime types hold the value itself, binary is base64. */
export type MimeBundle = Readonly<Record<string, unknown>>;

/** Types of message that a cell's work can publish on iopub. */
export type PublishType =
  | "stream"
  | "display_data"
  | "update_display_data"
  | "execute_result"
  | "error"
  | "clear_output"
  | "comm_open"
  | "comm_msg"
  | "comm_close";

/** One message for iopub. `content` follows the Jupyter protocol 5.5; optional fields are absent, never null. */
export interface Publish<Parent> {
  readonly msgType: PublishType;
  readonly content: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly buffers: readonly Uint8Array[];
  /** The header of the request whose work published this, also when it arrives late; undefined if nobody started it. */
  readonly parent: Parent | undefined;
}

/** A cell to run. */
export interface ExecuteRequest<Parent> {
  /** Unique among the running requests: the message id. */
  readonly id: string;
  readonly code: string;
  /** The number shown in the cell's prompt and in stack frames. */
  readonly executionCount: number;
  readonly silent: boolean;
  readonly storeHistory: boolean;
  readonly userExpressions: Readonly<Record<string, string>>;
  readonly allowStdin: boolean;
  /** Jupyter's `cellId` of the request's metadata, where the front end gives one. */
  readonly cellId?: string;
  /** Echoed on every publish and input request: JSON data, otherwise opaque. */
  readonly parent: Parent;
}

/** How a cell ended, in the words of an `execute_reply`. */
export type ExecuteOutcome =
  | {
      readonly status: "ok";
      readonly userExpressions: Readonly<Record<string, unknown>>;
      readonly payload: readonly Readonly<Record<string, unknown>>[];
    }
  | {
      readonly status: "error";
      readonly ename: string;
      readonly evalue: string;
      readonly traceback: readonly string[];
      /** The error has not been published: the protocol side does (when the user process died, or never began the cell). */
      readonly died: boolean;
    }
  | { readonly status: "aborted" };

/** A comm message from a front end. `content` is the message's content as received. */
export interface CommMessage<Parent> {
  readonly msgType: "comm_open" | "comm_msg" | "comm_close";
  readonly content: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly buffers: readonly Uint8Array[];
  readonly parent: Parent;
}

/** A request for a line of text from the client that sent `parent`. */
export interface InputRequest<Parent> {
  readonly prompt: string;
  readonly password: boolean;
  readonly parent: Parent;
}

/** The user process ended without being asked to. */
export interface SessionExit {
  /** What is known, for a person: "process.exit(3) was called in Cell In[4]:2:9", "out of memory", "SIGSEGV ...". */
  readonly reason: string;
  readonly code: number | null;
  readonly signal: string | null;
  /** A fresh user process is starting; every variable of the old one is gone. */
  readonly willRestart: boolean;
}

/** A completion found by looking at runtime values. */
export interface RuntimeCompletion {
  readonly name: string;
  /** Jupyter's `_jupyter_types_experimental` type: "function", "class", "instance", "module", "keyword", ... */
  readonly type: string;
}

/** A cell as it was run, for the debugger and the language service. */
export interface CellScript {
  readonly executionCount: number;
  /** The script's name in V8: what CDP's `Debugger.scriptParsed` reports as `url`. */
  readonly url: string;
  /** What the user wrote. */
  readonly code: string;
  /** The whole cell, where the script is a part of it: what stands between two magics, on the same lines. */
  readonly whole?: string;
  /** Source map v3 (JSON) from the script to `code`; absent where lines and columns are the same in both. */
  readonly sourceMap?: string;
  readonly cellId?: string;
}

/** What the session calls; all are called on P's main thread, in the order in which U's work happened. */
export interface SessionEvents<Parent> {
  publish(message: Publish<Parent>): void;
  /** Ask the requesting client for a line. Reject to make `prompt()` throw. */
  input(request: InputRequest<Parent>): Promise<string>;
  exit(exit: SessionExit): void;
  /** A cell's script is about to run (always before its first statement). */
  cell?(script: CellScript): void;
  /** `?name` (detail 0) or `??name` (detail 1) was run in a cell: what is known beyond the value. Undefined: the value alone is shown. */
  help?(expression: string, detailLevel: 0 | 1): Promise<MimeBundle | undefined>;
  /** `%types` was used in a cell. */
  diagnosticsMode?(mode: "off" | "warn" | "strict"): void;
}

/** Options of `createSession` (kernel/session/session.ts). */
export interface SessionOptions<Parent> {
  readonly events: SessionEvents<Parent>;
  /** Working directory of U: the notebook's folder. Default: P's. */
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Further flags for U's node, for instance `--max-old-space-size=8192`. */
  readonly execArgv?: readonly string[];
}

/**
 * The user process behind one object: starting, watching and restarting it is hidden.
 * Every method may be called at any time; while U starts, work is queued.
 */
export interface Session<Parent> {
  /** Run a cell. Never rejects: errors of the cell, an interrupt and the death of U are outcomes. Everything the cell published before it ended has been given to `publish` when this settles. Calls may overlap (subshells): a second cell runs while the first awaits. */
  execute(request: ExecuteRequest<Parent>): Promise<ExecuteOutcome>;
  /** Stop whatever runs: signal, a short grace, then termination. Settles when no cell runs any more. Nothing running: no effect. */
  interrupt(): Promise<void>;
  /** Deliver a comm message; settles when U has handled it (at once if U has no such comm: a `comm_close` is published). */
  comm(message: CommMessage<Parent>): Promise<void>;
  /** Open comms of U: comm id to target, for `comm_info`. */
  comms(): ReadonlyMap<string, string>;
  /** Members of a chain of names ("a.b.c" -> what may follow) or, for "", the globals. Never runs a getter, a proxy trap or a call. Undefined while U is busy. */
  runtimeComplete(expression: string): Promise<readonly RuntimeCompletion[] | undefined>;
  /** The value of a chain of names as a mime bundle; empty if there is none, undefined while U is busy. Never runs a getter. */
  runtimeInspect(expression: string, detailLevel?: 0 | 1): Promise<MimeBundle | undefined>;
  /** Chrome DevTools protocol on U's main thread, also while it is busy or paused. Rejects with CDP's error message. */
  cdp(method: string, params?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** CDP events (`Debugger.paused`, `Debugger.scriptParsed`, ...). Returns the function that stops listening. After a restart domains must be enabled again. */
  onCdp(listener: (method: string, params: Readonly<Record<string, unknown>>) => void): () => void;
  /** Cells run so far in this U, oldest first (bounded), for a debugger that attaches late. */
  cells(): readonly CellScript[];
  /** Throw U away and start a new one. Running cells end as errors. */
  restart(): Promise<void>;
  /** End U for good. */
  dispose(): Promise<void>;
  /** Process id of U, if it is up. */
  readonly pid: number | undefined;
}
