import type { Json, ReplyContents } from "../wire/messages.js";

/** What the protocol asks of the debugger: DAP requests in, DAP responses and events out. */
export interface DebugAdapter {
  /** Never rejects: a failure is a response with `success: false`. */
  request(request: {
    readonly seq: number;
    readonly command: string;
    readonly arguments?: unknown;
  }): Promise<ReplyContents["debug_reply"]>;
  /** Hears every DAP event until the kernel ends. */
  onEvent(listener: (event: Json & { readonly type: "event"; readonly event: string }) => void): void;
}
