/** Messages between the two processes. P trusts U's shapes: both ends are this package. */
import type {
  CellScript,
  ExecuteOutcome,
  ExecuteRequest,
  MimeBundle,
  PublishType,
  RuntimeCompletion,
} from "./handle.js";

type Json = Readonly<Record<string, unknown>>;

/** P to U. `seq` numbers requests that have a reply. */
export type ToUser =
  | ({ readonly type: "execute" } & ExecuteRequest<unknown>)
  | {
      readonly type: "comm";
      readonly seq: number;
      readonly msgType: "comm_open" | "comm_msg" | "comm_close";
      readonly content: Json;
      readonly metadata: Json;
      readonly parent: unknown;
    }
  /** `idle`: no cell runs, so only left-over work of a cell or a comm handler can be stopped. */
  | { readonly type: "interrupt"; readonly seq: number; readonly idle: boolean }
  | {
      readonly type: "input";
      readonly id: number;
      readonly sync: boolean;
      readonly value?: string;
      readonly error?: string;
    }
  | { readonly type: "complete"; readonly seq: number; readonly expression: string }
  | { readonly type: "inspect"; readonly seq: number; readonly expression: string; readonly detailLevel: 0 | 1 }
  | { readonly type: "helped"; readonly id: number; readonly bundle?: MimeBundle }
  | { readonly type: "cdp"; readonly seq: number; readonly method: string; readonly params: Json }
  /** Many cells have run: a good time to collect garbage. */
  | { readonly type: "tidy" }
  | { readonly type: "exit" };

/**
 * What a frame to U holds. A cell that finds U idle goes to the main thread directly, past the watchdog; `direct` counts those.
 * A message that was relayed may come before the cell that was sent before it, and knows by this number that it has to wait.
 */
export interface Sent {
  readonly direct: number;
  readonly message: ToUser;
}

/** U to P. */
export type FromUser =
  | { readonly type: "ready" }
  | { readonly type: "done"; readonly id: string; readonly outcome: ExecuteOutcome }
  | {
      readonly type: "publish";
      readonly msgType: PublishType;
      readonly content: Json;
      readonly metadata: Json;
      readonly parent: unknown;
    }
  | {
      readonly type: "input";
      readonly id: number;
      readonly sync: boolean;
      readonly prompt: string;
      readonly password: boolean;
      readonly parent: unknown;
    }
  | { readonly type: "cell"; readonly script: CellScript }
  | { readonly type: "interrupted"; readonly seq: number }
  | { readonly type: "comms"; readonly open: readonly (readonly [string, string])[] }
  | { readonly type: "handled"; readonly seq: number }
  | { readonly type: "completed"; readonly seq: number; readonly matches: readonly RuntimeCompletion[] }
  | { readonly type: "inspected"; readonly seq: number; readonly bundle?: MimeBundle }
  | { readonly type: "cdpResult"; readonly seq: number; readonly result?: unknown; readonly error?: string }
  | { readonly type: "cdpEvent"; readonly method: string; readonly params: Json }
  | { readonly type: "help"; readonly id: number; readonly expression: string; readonly detailLevel: 0 | 1 }
  | { readonly type: "diagnostics"; readonly mode: "off" | "warn" | "strict" }
  /** A synchronous child process begins or has ended: {@link SYNC_MARK} was written to the inherited descriptors as well. */
  | { readonly type: "sync"; readonly begins: boolean; readonly parent: unknown }
  /** SIGINT came to U itself, as by `process.kill(process.pid, "SIGINT")`: an interrupt is asked for. */
  | { readonly type: "sigint" }
  | { readonly type: "exiting"; readonly reason: string };

/** Head of a stream frame. */
export interface StreamHead {
  readonly name: "stdout" | "stderr";
  readonly parent: unknown;
}

/** What U writes to its own stdout and stderr wherever it sends `sync`: it says what of three streams came before and what after. */
export const SYNC_MARK = "\u0000\u001b_kernel sync\u001b\\";
