import type { BroadcastContents, ReplyContents } from "./schemas.js";

/** A message header of protocol 5.5. Clients leave fields out, add `subshell_id` or others of theirs; we echo what came. */
export interface Header {
  readonly msg_id: string;
  readonly msg_type: string;
  readonly session?: string;
  readonly username?: string;
  readonly date?: string;
  readonly version?: string;
  readonly subshell_id?: string | null;
  readonly [other: string]: unknown;
}

/** A JSON object whose fields have not been looked at. */
export type Json = Readonly<Record<string, unknown>>;

/** One Jupyter message as it lies between its delimiter and its buffers. */
export interface Message<Content = Json> {
  /** Routing prefixes: the sender's identity on ROUTER sockets, the topic on iopub. */
  readonly identities: readonly Buffer[];
  readonly header: Header;
  /** The header of the message this one answers; undefined where there is none (an empty object on the wire). */
  readonly parent: Header | undefined;
  readonly metadata: Json;
  readonly content: Content;
  readonly buffers: readonly Uint8Array[];
}

/** A mime bundle: one value in several representations, by mime type. */
export type MimeBundle = Readonly<Record<string, unknown>>;

/** What each request asks, after its content was checked. Offsets are code points, as on the wire. */
export interface RequestContents {
  execute_request: {
    readonly code: string;
    readonly silent: boolean;
    readonly storeHistory: boolean;
    readonly userExpressions: Readonly<Record<string, string>>;
    readonly allowStdin: boolean;
    readonly stopOnError: boolean;
  };
  inspect_request: { readonly code: string; readonly cursor: number | undefined; readonly detailLevel: 0 | 1 };
  complete_request: { readonly code: string; readonly cursor: number | undefined };
  history_request: HistoryQuery;
  is_complete_request: { readonly code: string };
  comm_info_request: { readonly targetName: string | undefined };
  kernel_info_request: Json;
  connect_request: Json;
  shutdown_request: { readonly restart: boolean };
  interrupt_request: Json;
  debug_request: Json;
  create_subshell_request: Json;
  delete_subshell_request: { readonly subshellId: string };
  list_subshell_request: Json;
  usage_request: Json;
}

/** Which entries of the history are wanted. Ranges are half open; session 0 is the present one, -1 the one before. */
export type HistoryQuery = { readonly output: boolean; readonly raw: boolean } & (
  | { readonly access: "tail"; readonly n: number }
  | { readonly access: "range"; readonly session: number; readonly start: number; readonly stop: number | undefined }
  | { readonly access: "search"; readonly n: number; readonly pattern: string; readonly unique: boolean }
);

export type RequestType = keyof RequestContents;

/** `execute_request` is answered by `execute_reply`, and so on. */
export type ReplyType<Request extends RequestType> = Request extends `${infer Stem}_request` ? `${Stem}_reply` : never;

export type Reply<Request extends RequestType> = ReplyContents[ReplyType<Request> & keyof ReplyContents];

export type { BroadcastContents, ReplyContents };

/** What a notebook keeps about an exception. */
export interface Failure {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: string[];
}

/** Where a kernel listens and how its messages are signed; the content of a connection file. */
export interface Connection {
  readonly transport: "tcp" | "ipc";
  readonly ip: string;
  readonly shell_port: number;
  readonly iopub_port: number;
  readonly stdin_port: number;
  readonly control_port: number;
  readonly hb_port: number;
  readonly key: string;
  readonly signature_scheme: string;
  readonly kernel_name?: string;
}

export type Channel = "shell" | "control" | "stdin" | "iopub";

/** The version of the messaging protocol spoken here. */
export const protocolVersion = "5.5";
