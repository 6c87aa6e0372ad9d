import type { HistoryQuery, Json, RequestContents, RequestType } from "../wire/messages.js";

/** A request whose content is not what the protocol says; it is answered with an error reply. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
}

type Reader<Type extends RequestType> = (content: Json) => RequestContents[Type];

/** Checks the content of every request once, at the edge. Fields may be missing where the protocol has a default. */
const readers: { [Type in RequestType]: Reader<Type> } = {
  execute_request: (content) => ({
    code: text(content, "code"),
    silent: flag(content, "silent", false),
    storeHistory: flag(content, "store_history", true),
    userExpressions: expressions(content.user_expressions),
    // A client that says nothing of stdin may not listen to it; a question would hold its cell for ever.
    allowStdin: flag(content, "allow_stdin", false),
    stopOnError: flag(content, "stop_on_error", true),
  }),
  inspect_request: (content) => ({
    code: text(content, "code"),
    cursor: integer(content, "cursor_pos"),
    detailLevel: integer(content, "detail_level") === 1 ? 1 : 0,
  }),
  complete_request: (content) => ({ code: text(content, "code"), cursor: integer(content, "cursor_pos") }),
  history_request: historyQuery,
  is_complete_request: (content) => ({ code: text(content, "code") }),
  comm_info_request: (content) => ({ targetName: optionalText(content, "target_name") }),
  kernel_info_request: (content) => content,
  connect_request: (content) => content,
  shutdown_request: (content) => ({ restart: flag(content, "restart", false) }),
  interrupt_request: (content) => content,
  debug_request: (content) => content,
  create_subshell_request: (content) => content,
  delete_subshell_request: (content) => ({ subshellId: text(content, "subshell_id") }),
  list_subshell_request: (content) => content,
  usage_request: (content) => content,
};

/** Whether we know what a message of this type asks. */
export function isRequestType(type: string): type is RequestType {
  return Object.hasOwn(readers, type);
}

/** @throws {BadRequest} naming the field, its value and what was expected. */
export function readRequest<Type extends RequestType>(type: Type, content: Json): RequestContents[Type] {
  return readers[type](content);
}

/** A comm message's content: its comm, its data, and for comm_open the target. */
export interface CommContent {
  readonly comm_id: string;
  readonly target_name: string;
  readonly data: Json;
}

/** @throws {BadRequest} */
export function readComm(type: string, content: Json): CommContent {
  const data = content.data ?? {};
  if (typeof data !== "object" || Array.isArray(data)) throw unfit("data", data, "an object");
  if (content.comm_id === "") throw unfit("comm_id", "", "a name");
  return {
    ...content,
    comm_id: text(content, "comm_id"),
    target_name: type === "comm_open" ? text(content, "target_name") : "",
    data: data as Json,
  };
}

function historyQuery(content: Json): HistoryQuery {
  const common = { output: flag(content, "output", false), raw: flag(content, "raw", true) };
  const access = text(content, "hist_access_type");
  switch (access) {
    case "tail":
      return { ...common, access, n: integer(content, "n") ?? 10 };
    case "range":
      return {
        ...common,
        access,
        session: integer(content, "session") ?? 0,
        start: integer(content, "start") ?? 1,
        stop: integer(content, "stop"),
      };
    case "search":
      return {
        ...common,
        access,
        n: integer(content, "n") ?? Number.MAX_SAFE_INTEGER,
        pattern: optionalText(content, "pattern") ?? "*",
        unique: flag(content, "unique", false),
      };
    default:
      throw unfit("hist_access_type", access, '"tail", "range" or "search"');
  }
}

function expressions(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw unfit("user_expressions", value, "an object");
  for (const [name, expression] of Object.entries(value))
    if (typeof expression !== "string") throw unfit(`user_expressions.${name}`, expression, "a string");
  return value as Record<string, string>;
}

function text(content: Json, name: string): string {
  const value = content[name];
  if (typeof value !== "string") throw unfit(name, value, "a string");
  return value;
}

function optionalText(content: Json, name: string): string | undefined {
  return content[name] === undefined || content[name] === null ? undefined : text(content, name);
}

function flag(content: Json, name: string, otherwise: boolean): boolean {
  const value = content[name];
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== "boolean") throw unfit(name, value, "true or false");
  return value;
}

function integer(content: Json, name: string): number | undefined {
  const value = content[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value)) throw unfit(name, value, "an integer");
  return value;
}

function unfit(name: string, value: unknown, expected: string): BadRequest {
  const shown = JSON.stringify(value)?.slice(0, 80) ?? "missing";
  return new BadRequest(`${name} is ${shown}; expected ${expected}`);
}
