import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Dealer, Subscriber } from "zeromq";
import { BadMessage, Codec } from "./codec.js";
import { address, newConnection, readConnection, writeConnection } from "./connection.js";
import type { Channel, Connection, Header, Json, Message } from "./messages.js";
import { Outbox } from "./outbox.js";

/** How one request is sent and followed. */
export interface RequestOptions {
  readonly metadata?: Json;
  readonly buffers?: readonly Uint8Array[];
  /** Adds fields to the request's header, as `subshell_id`. */
  readonly header?: Json;
  /** Milliseconds after which waiting fails with {@link KernelTimeout}. Default: no limit. */
  readonly timeout?: number;
  /** Hears every iopub message whose parent is this request, also after the request is done. */
  readonly onIopub?: (message: Message) => void;
  /** Answers `prompt()` and `input()`. Without it the cell is told that there is nobody to ask. */
  readonly onInput?: (prompt: string, password: boolean) => string | Promise<string>;
}

export interface ExecuteOptions extends RequestOptions {
  readonly silent?: boolean;
  readonly storeHistory?: boolean;
  readonly stopOnError?: boolean;
  readonly userExpressions?: Readonly<Record<string, string>>;
}

/** A request's reply and everything that was broadcast for it until the kernel was idle. */
export interface Answer {
  readonly reply: Message;
  readonly iopub: readonly Message[];
}

/** A request took longer than its `timeout`. The kernel may still be at it. */
export class KernelTimeout extends Error {
  override readonly name = "KernelTimeout";
}

/** The kernel's process ended while an answer was awaited. */
export class KernelDied extends Error {
  override readonly name = "KernelDied";
}

/** How to start a kernel: the `argv` of a kernelspec, in which `{connection_file}` is replaced. */
export interface Launch {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Where the kernel's own stdout and stderr go. Default "inherit". */
  readonly stdio?: "inherit" | "ignore" | "pipe";
  /** Milliseconds to wait for its first answer. Default 60,000. */
  readonly timeout?: number;
}

/** Milliseconds between attempts to reach a kernel that is not listening yet. */
const reconnectInterval = 10;
const unlimited = { sendHighWaterMark: 0, receiveHighWaterMark: 0 };

interface Pending {
  readonly options: RequestOptions;
  readonly iopub: Message[];
  reply?: Message;
  idle: boolean;
  settle(error?: Error): void;
}

/**
 * A Jupyter client over zeromq: one per conversation, several may talk to one kernel. Messages of every kind are checked
 * for their signature; hand each to `complaint` of schemas.ts to check its content.
 */
export class KernelClient {
  readonly #codec: Codec;
  readonly #dealers: Record<"shell" | "control" | "stdin", Dealer>;
  readonly #subscriber = new Subscriber({ receiveHighWaterMark: 0, linger: 0, reconnectInterval });
  readonly #heartbeat = new Dealer({ linger: 0, reconnectInterval });
  readonly #outboxes: Record<"shell" | "control" | "stdin", Outbox>;
  readonly #pending = new Map<string, Pending>();
  readonly #listeners = new Set<(channel: Channel, message: Message) => void>();
  readonly #ended: Promise<void>;
  #onPong: (() => void) | undefined;
  #closed = false;

  private constructor(
    readonly connection: Connection,
    /** The kernel's process, where this client started it. */
    readonly process: ChildProcess | undefined,
    readonly connectionFile: string | undefined,
  ) {
    this.#codec = new Codec(connection.key, connection.signature_scheme);
    const dealer = () => new Dealer({ ...unlimited, routingId: this.#codec.session, linger: 100, reconnectInterval });
    this.#dealers = { shell: dealer(), control: dealer(), stdin: dealer() };
    const outbox = (socket: Dealer) => new Outbox(socket, () => {});
    const { shell, control, stdin } = this.#dealers;
    this.#outboxes = { shell: outbox(shell), control: outbox(control), stdin: outbox(stdin) };
    for (const channel of ["shell", "control", "stdin"] as const) {
      this.#dealers[channel].connect(address(connection, `${channel}_port`));
      void this.#receive(channel, this.#dealers[channel]);
    }
    this.#heartbeat.connect(address(connection, "hb_port"));
    this.#subscriber.connect(address(connection, "iopub_port"));
    this.#subscriber.subscribe();
    void this.#receive("iopub", this.#subscriber);
    void this.#receivePongs();
    this.#ended = new Promise((resolve) => {
      if (!process) return;
      process.once("exit", () => resolve());
      process.once("error", () => resolve());
    });
    void this.#ended.then(() => {
      for (const pending of this.#pending.values()) pending.settle(this.#lost());
    });
  }

  /** Talks to a kernel that runs already. */
  static async connect(connection: Connection | string): Promise<KernelClient> {
    const file = typeof connection === "string" ? connection : undefined;
    return new KernelClient(typeof connection === "string" ? readConnection(connection) : connection, undefined, file);
  }

  /**
   * Starts a kernel and waits until it answers and its broadcasts are heard.
   * @throws {KernelDied} when it ends at once; {@link KernelTimeout} when it stays silent.
   */
  static async spawn({ argv, cwd, env, stdio = "inherit", timeout = 60_000 }: Launch): Promise<KernelClient> {
    const [program, ...args] = argv;
    if (program === undefined)
      throw new TypeError("argv is empty: expected the program that is the kernel and its arguments");
    const folder = mkdtempSync(join(tmpdir(), "kernel-"));
    const file = join(folder, "connection.json");
    const connection = await newConnection();
    writeConnection(file, connection);
    const child = spawn(
      program,
      args.map((arg) => arg.replace("{connection_file}", file)),
      { cwd, env: { ...(env ?? process.env), JPY_PARENT_PID: String(process.pid) }, stdio: ["ignore", stdio, stdio] },
    );
    child.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    child.once("error", () => rmSync(folder, { recursive: true, force: true }));
    const client = new KernelClient(connection, child, file);
    try {
      await client.ready(timeout);
    } catch (error) {
      client.kill();
      client.close();
      throw error;
    }
    return client;
  }

  /**
   * Resolves once the kernel answers and its broadcasts are heard. What a kernel broadcasts before our subscription has
   * reached it is lost, and not every kernel greets new subscribers: so we ask until we have heard both.
   * @throws {KernelTimeout}; {@link KernelDied}
   */
  async ready(timeout = 60_000): Promise<void> {
    const deadline = performance.now() + timeout;
    let [answered, heard] = [false, false];
    const stop = this.listen((channel) => {
      if (channel === "shell") answered = true;
      if (channel === "iopub") heard = true;
    });
    try {
      for (let asked = 0; !(answered && heard); asked++) {
        const left = deadline - performance.now();
        const lost = this.#lost();
        if (lost) throw lost;
        if (left <= 0)
          throw new KernelTimeout(
            `the kernel ${answered ? "does not broadcast" : "did not answer"} within ${timeout} ms`,
          );
        if (asked === 0 || answered) this.send("shell", "kernel_info_request", {});
        const change = new Promise<void>((resolve) => {
          const hush = this.listen(() => {
            hush();
            resolve();
          });
        });
        await Promise.race([change, this.#ended, sleep(Math.min(left, 150), undefined, { ref: false })]);
      }
    } finally {
      stop();
    }
  }

  /** Hears every message from the kernel. Returns the way to stop. */
  listen(listener: (channel: Channel, message: Message) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Runs a cell. Resolves also when the cell fails: see `reply.content.status`. */
  execute(code: string, options: ExecuteOptions = {}): Promise<Answer> {
    const { silent = false, storeHistory = !silent, stopOnError = true, userExpressions = {} } = options;
    return this.request(
      "shell",
      "execute_request",
      {
        code,
        silent,
        store_history: storeHistory,
        user_expressions: userExpressions,
        allow_stdin: options.onInput !== undefined,
        stop_on_error: stopOnError,
      },
      options,
    );
  }

  /**
   * Sends a request and resolves after both its reply and the idle status that ends it.
   * @throws {KernelTimeout}; {@link KernelDied} when this client started the kernel and it ended.
   */
  request(channel: "shell" | "control", type: string, content: unknown, options: RequestOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const header = this.#header(type, options);
      const { timeout } = options;
      const timer =
        timeout === undefined
          ? undefined
          : setTimeout(() => pending.settle(new KernelTimeout(`no answer to ${type} within ${timeout} ms`)), timeout);
      const pending: Pending = {
        options,
        iopub: [],
        idle: false,
        settle: (error) => {
          clearTimeout(timer);
          if (error) this.#pending.delete(header.msg_id);
          if (error) reject(error);
          else if (pending.reply) resolve({ reply: pending.reply, iopub: [...pending.iopub] });
        },
      };
      this.#pending.set(header.msg_id, pending);
      this.#send(channel, header, content, options);
    });
  }

  /** Sends a message to which no reply comes, as comm_msg or input_reply. Returns its id. */
  send(
    channel: "shell" | "control" | "stdin",
    type: string,
    content: unknown,
    options: RequestOptions = {},
    parent?: Header,
  ): string {
    const header = this.#header(type, options);
    if (options.onIopub) this.#pending.set(header.msg_id, { options, iopub: [], idle: false, settle: () => {} });
    this.#send(channel, header, content, options, parent);
    return header.msg_id;
  }

  /** Opens a comm to a target that the kernel registered. Returns the comm's id. */
  openComm(target: string, data: Json = {}, options: RequestOptions = {}): string {
    const comm = randomUUID();
    this.send("shell", "comm_open", { comm_id: comm, target_name: target, data }, options);
    return comm;
  }

  sendComm(comm: string, data: Json, options: RequestOptions = {}): string {
    return this.send("shell", "comm_msg", { comm_id: comm, data }, options);
  }

  closeComm(comm: string, data: Json = {}, options: RequestOptions = {}): string {
    return this.send("shell", "comm_close", { comm_id: comm, data }, options);
  }

  /** Asks the kernel to stop what it is doing. */
  async interrupt(timeout = 10_000): Promise<void> {
    await this.request("control", "interrupt_request", {}, { timeout });
  }

  /** Milliseconds of one heartbeat. */
  async ping(timeout = 1_000): Promise<number> {
    const started = performance.now();
    const pong = new Promise<true>((resolve) => {
      this.#onPong = () => resolve(true);
    });
    await this.#heartbeat.send("ping");
    if (!(await Promise.race([pong, sleep(timeout, false as const, { ref: false })])))
      throw new KernelTimeout(`no heartbeat within ${timeout} ms`);
    return performance.now() - started;
  }

  /** Ends the kernel, by force when it does not end by itself within `timeout` milliseconds, and closes this client. */
  async shutdown({ timeout = 5_000 }: { timeout?: number } = {}): Promise<void> {
    await this.request("control", "shutdown_request", { restart: false }, { timeout }).catch(() => {});
    if (this.process) {
      await Promise.race([this.#ended, sleep(timeout, undefined, { ref: false })]);
      this.kill();
      await this.#ended;
    }
    this.close();
  }

  /** Ends the kernel's process, where this client started it, without a word. */
  kill(): void {
    if (this.process?.exitCode === null && this.process.signalCode === null) this.process.kill("SIGKILL");
  }

  /** Stops talking; the kernel goes on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of [...Object.values(this.#dealers), this.#subscriber, this.#heartbeat]) socket.close();
  }

  #lost(): KernelDied | undefined {
    if (!this.process) return undefined;
    const { exitCode, signalCode, pid } = this.process;
    if (pid === undefined) return new KernelDied(`${this.process.spawnfile} cannot be started`);
    if (exitCode === null && signalCode === null) return undefined;
    return new KernelDied(`the kernel's process ended (${signalCode ?? `exit code ${exitCode}`})`);
  }

  #header(type: string, options: RequestOptions): Header {
    return { ...this.#codec.header(type), ...options.header };
  }

  #send(
    channel: "shell" | "control" | "stdin",
    header: Header,
    content: unknown,
    options: RequestOptions,
    parent?: Header,
  ): void {
    const { metadata = {}, buffers = [] } = options;
    this.#outboxes[channel].put(() =>
      this.#codec.encode({ identities: [], header, parent, metadata, content, buffers }),
    );
  }

  async #receive(channel: Channel, socket: Dealer | Subscriber): Promise<void> {
    for (;;) {
      let frames: Buffer[];
      try {
        frames = await socket.receive();
      } catch (error) {
        if (socket.closed) return;
        throw error;
      }
      let message: Message;
      try {
        message = this.#codec.decode(frames);
      } catch (error) {
        if (error instanceof BadMessage) continue;
        throw error;
      }
      for (const listener of this.#listeners) listener(channel, message);
      this.#dispatch(channel, message);
    }
  }

  #dispatch(channel: Channel, message: Message): void {
    const { msg_type: type } = message.header;
    const id = message.parent?.msg_id;
    const pending = id === undefined ? undefined : this.#pending.get(id);
    if (!pending) return;
    if (channel === "stdin") return void this.#answerInput(pending, message);
    if (channel === "iopub") {
      if (type === "status" && message.content.execution_state === "idle") pending.idle = true;
      if (!pending.idle || type === "status") pending.iopub.push(message);
      pending.options.onIopub?.(message);
    } else pending.reply = message;
    if (pending.idle && pending.reply) pending.settle();
    if (pending.idle && pending.reply && !pending.options.onIopub && id !== undefined) this.#pending.delete(id);
  }

  async #answerInput({ options }: Pending, request: Message): Promise<void> {
    const { prompt, password } = request.content;
    const value = (await options.onInput?.(String(prompt), password === true)) ?? "";
    this.send("stdin", "input_reply", { value, status: "ok" }, {}, request.header);
  }

  async #receivePongs(): Promise<void> {
    for (;;) {
      try {
        await this.#heartbeat.receive();
      } catch (error) {
        if (this.#heartbeat.closed) return;
        throw error;
      }
      this.#onPong?.();
    }
  }
}
