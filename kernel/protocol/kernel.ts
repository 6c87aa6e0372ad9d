import { randomUUID } from "node:crypto";
import type { DebugAdapter } from "../debug/debugAdapter.js";
import type { ExecuteOutcome, MimeBundle, Publish, Session, SessionEvents, SessionExit } from "../session/handle.js";
import type { Connection, Failure, Header, Message, Reply, RequestContents, RequestType } from "../wire/messages.js";
import type { KernelSockets, SocketListener } from "../wire/sockets.js";
import { CommRegistry } from "./comms.js";
import type { ExecutionQueue } from "./executions.js";
import type { History } from "./history.js";
import { kernelInfo } from "./identity.js";
import { completeReply, inspectReply } from "./languageAnswers.js";
import type { LanguageHost } from "./languageHost.js";
import { Publisher, paceOf } from "./publisher.js";
import { Questions } from "./questions.js";
import { BadRequest, isRequestType, readComm, readRequest } from "./requests.js";
import { Subshells } from "./subshells.js";
import { Usage } from "./usage.js";

const interruptPatience = 1_500;
/** Milliseconds a cell runs before questions that came after it overtake it. */
const shortCell = 700;

/** A request as its handler gets it. */
export interface Request<Type extends RequestType> {
  readonly content: RequestContents[Type];
  readonly message: Message;
  readonly channel: "shell" | "control";
}

/** Answers one type of request. What it throws becomes an error reply. */
export type Handler<Type extends RequestType> = (request: Request<Type>) => Reply<Type> | Promise<Reply<Type>>;

/** What the protocol side is made of; each part can be had late, so that the first cell need not wait for it. */
export interface KernelParts {
  readonly connection: Connection;
  readonly history: History;
  readonly language: LanguageHost;
  readonly debugAdapter: () => Promise<DebugAdapter>;
  /** The user process died with all its variables. */
  readonly onSessionLost: () => void;
  /** Ends the process, after what was said has left it. */
  readonly exit: () => void;
  readonly log: (line: string) => void;
}

/**
 * The protocol side: reads requests, gives each to its handler, and tells clients what happens. Every request is
 * surrounded by busy and idle. Cells wait for one another, per subshell; everything else is answered also while a cell runs,
 * at once on control, and after short cells before it on shell. User code never runs in this process, so it answers whatever user code does.
 */
export class Kernel implements SocketListener, SessionEvents<Header> {
  readonly #parts: KernelParts;
  readonly #comms = new CommRegistry();
  readonly #subshells = new Subshells();
  readonly #usage = new Usage();
  readonly #publisher: Publisher;
  readonly #questions: Questions;
  /** Who asked for the cells that run, by message id. */
  readonly #clients = new Map<string, readonly Buffer[]>();
  #latest: Header | undefined;
  /** The running cells whose results belong to the history. */
  readonly #remembered = new Set<string>();
  #sockets: KernelSockets | undefined;
  #session: Session<Header> | undefined;
  #adapter: Promise<DebugAdapter> | undefined;
  /** The latest debug request: the parent of what the debugger tells by itself. */
  #debugging: Header | undefined;
  #executionCount = 0;
  #leaving = false;

  constructor(parts: KernelParts) {
    this.#parts = parts;
    this.#publisher = new Publisher((topic, outgoing) => this.#sockets?.publish(topic, outgoing), paceOf(process.env));
    this.#questions = new Questions((identities, outgoing, lost) =>
      this.#required("sockets").send("stdin", identities, outgoing, lost),
    );
  }

  /** Begins to answer. Messages that arrived before lie in the sockets. */
  start(sockets: KernelSockets, session: Session<Header>): void {
    this.#sockets = sockets;
    this.#session = session;
    this.#publisher.status("starting", undefined);
    this.#publisher.restate();
  }

  // ---- what clients say -------------------------------------------------------------------------------------------

  onSubscriber(): void {
    this.#publisher.restate();
  }

  onBadMessage(channel: string, reason: string): void {
    this.#parts.log(`dropped a message on ${channel}: ${reason}`);
  }

  onMessage(channel: "shell" | "control" | "stdin", message: Message): void {
    const type = message.header.msg_type;
    if (channel === "stdin") {
      if (type === "input_reply") this.#questions.answer(message);
      else this.onBadMessage(channel, `${type} does not belong there`);
    } else if (type === "comm_open" || type === "comm_msg" || type === "comm_close") this.#receiveComm(type, message);
    else if (type === "execute_request") this.#enqueue(channel, message);
    else if (type === "shutdown_request" && channel === "shell")
      // Who wants the end before the cells that wait have run says so on control.
      this.#subshells.main.add({ run: () => this.#answer(channel, message) });
    else if (channel === "shell" && type !== "interrupt_request") void this.#answerInPlace(message);
    else void this.#answer(channel, message);
  }

  /** A question about what a cell before it makes is answered after that cell, unless the cell takes its time. */
  async #answerInPlace(message: Message): Promise<void> {
    await this.#subshells.find(message.header)?.place(shortCell);
    await this.#answer("shell", message);
  }

  async #answer(channel: "shell" | "control", message: Message): Promise<void> {
    const type = message.header.msg_type;
    const parent = message.header;
    this.#publisher.status("busy", parent);
    let status: string | undefined;
    if (isRequestType(type)) {
      const content = await this.#replyTo(type, channel, message);
      status = content.status;
      this.#reply(channel, message, content);
    } else this.#parts.log(`a message of unknown type ${JSON.stringify(type)} came on ${channel}; nothing was done`);
    this.#publisher.status("idle", parent);
    if (type === "shutdown_request" && status === "ok") void this.leave();
  }

  async #replyTo<Type extends RequestType>(
    type: Type,
    channel: "shell" | "control",
    message: Message,
    alreadyRead?: RequestContents[Type],
  ): Promise<{ readonly status?: string }> {
    try {
      if (channel === "shell") this.#subshells.queueOf(message.header, channel);
      const content = alreadyRead ?? readRequest(type, message.content);
      const handler: Handler<Type> = this.#handlers[type];
      const reply: object = await handler({ content, message, channel });
      return reply;
    } catch (error) {
      if (!(error instanceof BadRequest)) this.#parts.log(`${type} failed: ${(error as Error).stack ?? error}`);
      const reply: ErrorReply = errorReply(error);
      return type === "execute_request" ? withCount(reply, this.#executionCount) : reply;
    }
  }

  #reply(channel: "shell" | "control", { header, identities }: Message, content: unknown, metadata = {}): void {
    this.#publisher.flush();
    const type = header.msg_type.replace(/_request$/, "_reply");
    this.#sockets?.send(channel, identities, { type, content, parent: header, metadata });
  }

  // ---- requests ---------------------------------------------------------------------------------------------------

  readonly #handlers: { readonly [Type in RequestType]: Handler<Type> } = {
    execute_request: (request) => this.#execute(request),
    complete_request: async ({ content }) => completeReply(content, await this.#parts.language.answers()),
    inspect_request: async ({ content }) => inspectReply(content, await this.#parts.language.answers()),
    is_complete_request: async ({ content }) => (await this.#parts.language.answers()).isComplete(content.code),
    history_request: ({ content }) => ({ status: "ok", history: this.#parts.history.query(content) }),
    comm_info_request: ({ content }) => ({ status: "ok", comms: this.#comms.info(content.targetName) }),
    kernel_info_request: () => kernelInfo(),
    connect_request: () => {
      const { shell_port, iopub_port, stdin_port, control_port, hb_port } = this.#parts.connection;
      return { status: "ok", shell_port, iopub_port, stdin_port, control_port, hb_port };
    },
    shutdown_request: ({ content, message }) => {
      const reply = { status: "ok" as const, restart: content.restart };
      this.#publisher.publish({ type: "shutdown_reply", content: reply, parent: message.header });
      return reply;
    },
    interrupt_request: async () => {
      // What cannot be stopped at once, as a native call, is still being stopped when the client hears of it.
      await Promise.race([this.interrupt(), new Promise((resolve) => setTimeout(resolve, interruptPatience))]);
      return { status: "ok" };
    },
    debug_request: async ({ content, message }) => {
      this.#debugging = message.header;
      return { ...(await (await this.#debugAdapter()).request(content)) };
    },
    create_subshell_request: () => ({ status: "ok", subshell_id: this.#subshells.create() }),
    delete_subshell_request: ({ content }) => {
      this.#subshells.delete(content.subshellId);
      return { status: "ok" };
    },
    list_subshell_request: () => ({ status: "ok", subshell_id: this.#subshells.list() }),
    usage_request: () => this.#usage.reply(this.#required("session").pid),
  };

  #debugAdapter(): Promise<DebugAdapter> {
    this.#adapter ??= this.#parts.debugAdapter().then((adapter) => {
      adapter.onEvent((event) =>
        this.#publisher.publish({ type: "debug_event", content: event, parent: this.#debugging }),
      );
      return adapter;
    });
    return this.#adapter;
  }

  /** Stops what runs, as a client's interrupt or a SIGINT asks; cells that wait are aborted as those cells ask. */
  async interrupt(): Promise<void> {
    const ended = this.#subshells.interrupted();
    await this.#session?.interrupt();
    // Whoever hears that it has been done may send the next cell at once.
    await ended;
  }

  /** Ends session and process. */
  async leave(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    const patience = new Promise((resolve) => setTimeout(resolve, 2_000));
    const gone = this.#session
      ?.dispose()
      .catch((error: Error) => this.#parts.log(`the session did not end: ${error.message}`));
    await Promise.race([Promise.all([gone, this.#subshells.end()]), patience]);
    this.#publisher.drain();
    this.#parts.history.flush();
    this.#parts.exit();
  }

  // ---- cells ------------------------------------------------------------------------------------------------------

  #enqueue(channel: "shell" | "control", message: Message): void {
    let queue: ExecutionQueue;
    let content: RequestContents["execute_request"];
    try {
      queue = this.#subshells.queueOf(message.header, channel);
      content = readRequest("execute_request", message.content);
    } catch (error) {
      this.#surrounded(message, () =>
        this.#reply(channel, message, withCount(errorReply(error), this.#executionCount)),
      );
      return;
    }
    const { silent, stop_on_error: stopOnError } = message.content;
    const metadata = (started: Date, status: string | undefined) => ({
      started: started.toISOString(),
      status,
      dependencies_met: true,
      engine: this.#required("sockets").codec.session,
    });
    const abort = () =>
      this.#surrounded(message, () =>
        this.#reply(channel, message, { status: "aborted" }, metadata(new Date(), "aborted")),
      );
    const run = async () => {
      const started = new Date();
      this.#publisher.status("busy", message.header);
      const reply = await this.#replyTo("execute_request", channel, message, content);
      const { status } = reply;
      const failed = status !== "ok" && stopOnError !== false && silent !== true;
      const abortOthers = failed ? await queue.withdraw() : undefined;
      this.#reply(channel, message, reply, metadata(started, status));
      this.#publisher.status("idle", message.header);
      abortOthers?.();
      // Whoever has the reply may kill us at once: what was run is on disk by then, and what it showed right after it was told.
      setImmediate(() => this.#parts.history.flush());
    };
    queue.add({ run, abort });
  }

  async #execute({ content, message }: Request<"execute_request">): Promise<Reply<"execute_request">> {
    const { code, silent, userExpressions, allowStdin } = content;
    const storeHistory = content.storeHistory && !silent;
    const parent = message.header;
    const executionCount = storeHistory ? ++this.#executionCount : this.#executionCount;
    if (!silent)
      this.#publisher.publish({ type: "execute_input", content: { code, execution_count: executionCount }, parent });
    if (storeHistory) {
      this.#parts.history.input(executionCount, code);
      this.#remembered.add(parent.msg_id);
    }
    const { cellId } = message.metadata;
    if (storeHistory) {
      const named = typeof cellId === "string";
      const refusal = await this.#parts.language.before({ code, executionCount, parent, named });
      if (refusal) {
        this.#publisher.publish({ type: "error", content: refusal, parent });
        return { status: "error", execution_count: executionCount, ...refusal };
      }
    }
    // Two requests of one id may run at once, in two subshells.
    const id = this.#clients.has(parent.msg_id) ? randomUUID() : parent.msg_id;
    this.#clients.set(parent.msg_id, message.identities);
    this.#latest = parent;
    const running = this.#required("session").execute({
      id,
      code,
      executionCount: Math.max(1, executionCount),
      silent,
      storeHistory,
      userExpressions,
      allowStdin,
      ...(typeof cellId === "string" ? { cellId } : {}),
      parent,
    });
    // While the cell runs: a write takes as long as a small cell.
    this.#parts.history.flush();
    const outcome = await running;
    this.#clients.delete(parent.msg_id);
    this.#remembered.delete(parent.msg_id);
    this.#questions.withdraw(parent.msg_id);
    return this.#outcomeReply(outcome, executionCount, parent, silent);
  }

  #outcomeReply(outcome: ExecuteOutcome, count: number, parent: Header, silent: boolean): Reply<"execute_request"> {
    switch (outcome.status) {
      case "ok":
        return {
          status: "ok",
          execution_count: count,
          user_expressions: outcome.userExpressions,
          payload: outcome.payload,
        } as Reply<"execute_request">;
      case "error": {
        const failure: Failure = { ename: outcome.ename, evalue: outcome.evalue, traceback: [...outcome.traceback] };
        if (outcome.died && !silent) this.#publisher.publish({ type: "error", content: failure, parent });
        return { status: "error", execution_count: count, ...failure };
      }
      case "aborted":
        return { status: "aborted" };
    }
  }

  #surrounded(message: Message, act: () => void): void {
    this.#publisher.status("busy", message.header);
    act();
    this.#publisher.status("idle", message.header);
  }

  // ---- comms ------------------------------------------------------------------------------------------------------

  /**
   * Comm messages overtake cells, so that widgets answer while a cell awaits; only those for a comm nobody knows yet wait
   * for cells that wait before them, because such a cell may be about to make it.
   */
  #receiveComm(type: "comm_open" | "comm_msg" | "comm_close", message: Message): void {
    const parent = message.header;
    const deliver = async (): Promise<void> => {
      this.#publisher.status("busy", parent);
      try {
        const content = readComm(type, message.content);
        this.#comms.note(type, content);
        const { metadata, buffers } = message;
        await this.#required("session").comm({ msgType: type, content: { ...content }, metadata, buffers, parent });
      } catch (error) {
        this.#parts.log(`${type} failed: ${(error as Error).message}`);
      }
      this.#publisher.status("idle", parent);
    };
    const known = typeof message.content.comm_id === "string" && this.#comms.has(message.content.comm_id);
    const queue = this.#subshells.main;
    if (!known && queue.waiting > 0 && !parent.subshell_id) queue.add({ run: deliver });
    else void deliver();
  }

  // ---- what the session says --------------------------------------------------------------------------------------

  publish({ msgType, content, metadata, buffers, parent }: Publish<Header>): void {
    if (msgType === "stream") {
      const { name, text } = content;
      if (metadata === undefined || Object.keys(metadata).length === 0) {
        this.#publisher.stream(name === "stderr" ? "stderr" : "stdout", String(text), parent);
        return;
      }
    }
    if (msgType === "comm_open" || msgType === "comm_close") this.#comms.note(msgType, content);
    if (msgType === "execute_result" && parent && this.#remembered.has(parent.msg_id)) this.#remember(content);
    this.#publisher.publish({ type: msgType, content, metadata, buffers, parent });
  }

  #remember({ data, execution_count: count }: Publish<Header>["content"]): void {
    const text = (data as Record<string, unknown> | undefined)?.["text/plain"];
    if (typeof text === "string" && typeof count === "number") this.#parts.history.output(count, text);
  }

  async input({ prompt, password, parent }: { prompt: string; password: boolean; parent: Header }): Promise<string> {
    const identities = this.#clients.get(parent.msg_id);
    if (!identities) throw new Error("the cell that asks has ended, so there is nobody to ask");
    this.#publisher.flush();
    return this.#questions.ask(identities, prompt, password, parent);
  }

  exit({ reason, willRestart }: SessionExit): void {
    for (const comm_id of this.#comms.clear())
      this.#publisher.publish({ type: "comm_close", content: { comm_id, data: {} }, parent: undefined });
    this.#parts.log(`the session ended: ${reason}${willRestart ? "; a new one starts" : ""}`);
    // A cell that was running is told by its own outcome; otherwise whoever ran the latest cell wants to know.
    if (willRestart && this.#clients.size === 0 && this.#latest)
      this.say(
        `The session ended: ${reason}. A new one has started; the variables of the old one are gone.\n`,
        this.#latest,
      );
    this.#parts.onSessionLost();
  }

  /** `?name` in a cell: what an inspect request with the cursor after the name answers. */
  async help(expression: string, detailLevel: 0 | 1): Promise<MimeBundle | undefined> {
    const language = await this.#parts.language.answers();
    const { found, data } = await language.inspect(expression, expression.length, detailLevel);
    return found ? data : undefined;
  }

  diagnosticsMode(mode: "off" | "warn" | "strict"): void {
    this.#parts.language.mode = mode;
  }

  /** Shows text on stderr under a cell, which may have ended. */
  say(text: string, parent: Header): void {
    this.#publisher.stream("stderr", text, parent);
  }

  #required(part: "session"): Session<Header>;
  #required(part: "sockets"): KernelSockets;
  #required(part: "session" | "sockets"): Session<Header> | KernelSockets {
    const value = part === "session" ? this.#session : this.#sockets;
    if (!value) throw new Error("the kernel has not started");
    return value;
  }
}

interface ErrorReply {
  readonly status: "error";
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: string[];
}

function errorReply(error: unknown): ErrorReply {
  const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
  return { status: "error", ename: name, evalue: message, traceback: [`${name}: ${message}`] };
}

function withCount<Content extends object>(content: Content, executionCount: number) {
  return { ...content, execution_count: executionCount };
}
