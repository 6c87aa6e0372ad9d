import { z } from "zod";

/**
 * What every reply and broadcast of protocol 5.5 may hold. Objects are strict: a field nobody specified, or an optional
 * field sent as null, is a complaint. Only types of this file reach the running kernel; the checks run in clients and tests.
 */
const mimeBundle = z.record(z.string(), z.unknown());
const metadata = z.record(z.string(), z.unknown());
const comm = z.string().min(1);
const ok = z.literal("ok");

const failure = z.strictObject({
  status: z.literal("error"),
  ename: z.string(),
  evalue: z.string(),
  traceback: z.array(z.string()),
});
const aborted = z.strictObject({ status: z.literal("aborted") });
const reply = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.union([z.strictObject({ status: ok, ...shape }), failure, aborted]);

const expressionResult = z.union([
  z.strictObject({ status: ok, data: mimeBundle, metadata }),
  failure.extend({ status: z.literal("error") }),
]);

/** The content of each reply, by message type. */
export const replySchemas = {
  execute_reply: z.union([
    z.strictObject({
      status: ok,
      execution_count: z.number().int(),
      user_expressions: z.record(z.string(), expressionResult),
      payload: z.array(z.looseObject({ source: z.string() })),
    }),
    failure.extend({ execution_count: z.number().int() }),
    aborted,
  ]),
  inspect_reply: reply({ found: z.boolean(), data: mimeBundle, metadata }),
  complete_reply: reply({
    matches: z.array(z.string()),
    cursor_start: z.number().int().min(0),
    cursor_end: z.number().int().min(0),
    metadata: z.looseObject({
      _jupyter_types_experimental: z.array(
        z.looseObject({ text: z.string(), start: z.number().int(), end: z.number().int(), type: z.string() }),
      ),
    }),
  }),
  history_reply: reply({
    history: z.array(
      z.tuple([
        z.number().int(),
        z.number().int(),
        z.union([z.string(), z.tuple([z.string(), z.union([z.string(), z.null()])])]),
      ]),
    ),
  }),
  is_complete_reply: z.union([
    z.strictObject({ status: z.enum(["complete", "invalid", "unknown"]) }),
    z.strictObject({ status: z.literal("incomplete"), indent: z.string() }),
  ]),
  comm_info_reply: reply({ comms: z.record(z.string(), z.strictObject({ target_name: z.string() })) }),
  kernel_info_reply: reply({
    protocol_version: z.string().regex(/^5\.\d+$/),
    implementation: z.string(),
    implementation_version: z.string(),
    language_info: z.strictObject({
      name: z.string(),
      version: z.string(),
      mimetype: z.string(),
      file_extension: z.string(),
      pygments_lexer: z.string(),
      codemirror_mode: z.string(),
      nbconvert_exporter: z.string(),
    }),
    banner: z.string(),
    debugger: z.boolean(),
    help_links: z.array(z.strictObject({ text: z.string(), url: z.url() })),
    supported_features: z.array(z.string()),
  }),
  connect_reply: reply({
    shell_port: z.number().int(),
    iopub_port: z.number().int(),
    stdin_port: z.number().int(),
    control_port: z.number().int(),
    hb_port: z.number().int(),
  }),
  shutdown_reply: reply({ restart: z.boolean() }),
  interrupt_reply: reply({}),
  debug_reply: z.looseObject({ type: z.literal("response"), success: z.boolean(), command: z.string() }),
  create_subshell_reply: reply({ subshell_id: z.string() }),
  delete_subshell_reply: reply({}),
  list_subshell_reply: reply({ subshell_id: z.array(z.string()) }),
  usage_reply: z.strictObject({
    status: ok,
    hostname: z.string(),
    pid: z.number().int(),
    kernel_cpu: z.number().min(0),
    kernel_memory: z.number().int(),
    cpu_count: z.number().int(),
    host_cpu_percent: z.number().min(0).max(100),
    host_virtual_memory: z.strictObject({
      total: z.number(),
      available: z.number(),
      free: z.number(),
      used: z.number(),
      percent: z.number().min(0).max(100),
    }),
  }),
};

/** The content of each message on iopub, by message type. */
export const broadcastSchemas = {
  iopub_welcome: z.strictObject({ subscription: z.string() }),
  status: z.strictObject({ execution_state: z.enum(["busy", "idle", "starting"]) }),
  stream: z.strictObject({ name: z.enum(["stdout", "stderr"]), text: z.string() }),
  display_data: z.strictObject({
    data: mimeBundle,
    metadata,
    transient: z.strictObject({ display_id: z.string().optional() }).optional(),
  }),
  update_display_data: z.strictObject({
    data: mimeBundle,
    metadata,
    transient: z.strictObject({ display_id: z.string() }),
  }),
  execute_input: z.strictObject({ code: z.string(), execution_count: z.number().int() }),
  execute_result: z.strictObject({
    data: mimeBundle,
    metadata,
    execution_count: z.number().int(),
    transient: z.strictObject({ display_id: z.string().optional() }).optional(),
  }),
  error: z.strictObject({ ename: z.string(), evalue: z.string(), traceback: z.array(z.string()) }),
  clear_output: z.strictObject({ wait: z.boolean() }),
  debug_event: z.looseObject({ type: z.literal("event"), event: z.string() }),
  comm_open: z.strictObject({
    comm_id: comm,
    target_name: z.string(),
    target_module: z.string().optional(),
    data: z.record(z.string(), z.unknown()),
  }),
  comm_msg: z.strictObject({ comm_id: comm, data: z.record(z.string(), z.unknown()) }),
  comm_close: z.strictObject({ comm_id: comm, data: z.record(z.string(), z.unknown()) }),
  shutdown_reply: replySchemas.shutdown_reply,
};

const inputRequest = z.strictObject({ prompt: z.string(), password: z.boolean() });

/** A kernel's own message header. */
export const headerSchema = z.strictObject({
  msg_id: z.string().min(1),
  session: z.string().min(1),
  username: z.string(),
  date: z.iso.datetime({ offset: true }),
  msg_type: z.string(),
  version: z.string(),
});

export type ReplyContents = { [Type in keyof typeof replySchemas]: z.infer<(typeof replySchemas)[Type]> };
export type BroadcastContents = { [Type in keyof typeof broadcastSchemas]: z.infer<(typeof broadcastSchemas)[Type]> };

/**
 * What is wrong with a message that came from a kernel, or undefined. `channel` is where it arrived.
 */
export function complaint(
  channel: "shell" | "control" | "iopub" | "stdin",
  message: { readonly header: { readonly msg_type: string }; readonly content: unknown },
): string | undefined {
  const type = message.header.msg_type;
  const schemas: Readonly<Record<string, z.ZodType>> =
    channel === "iopub" ? broadcastSchemas : channel === "stdin" ? { input_request: inputRequest } : replySchemas;
  const schema = Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  if (!schema) return `${type} does not belong on ${channel}`;
  for (const [part, checked] of [
    ["header", headerSchema.safeParse(message.header)],
    ["content", schema.safeParse(message.content)],
  ] as const) {
    if (!checked.success) return `${type} ${part}: ${z.prettifyError(checked.error)}`;
  }
  return undefined;
}
