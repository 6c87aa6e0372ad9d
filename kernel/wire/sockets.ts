import { rmSync } from "node:fs";
import { Router, type Socket, XPublisher } from "zeromq";
import { BadMessage, type Codec, type Frame } from "./codec.js";
import { address, portNames } from "./connection.js";
import type { Connection, Header, Json, Message } from "./messages.js";
import { Outbox } from "./outbox.js";

/** Who hears what arrives. Callbacks are called in order of arrival and must not throw. */
export interface SocketListener {
  onMessage(channel: "shell" | "control" | "stdin", message: Message): void;
  /** Somebody has subscribed to iopub, and was greeted. */
  onSubscriber(): void;
  /** A message was dropped unread. */
  onBadMessage(channel: string, reason: string): void;
}

/** What we say; identities are filled in by {@link KernelSockets}. */
export interface Outgoing {
  readonly type: string;
  readonly content: unknown;
  readonly parent: Header | undefined;
  readonly metadata?: Json;
  readonly buffers?: readonly Uint8Array[];
}

type SocketName = "shell" | "control" | "stdin" | "heartbeat" | "iopub";

const largestFrame = 1 << 30;
/** Milliseconds until the sockets of a client that waited for us are all connected: zeromq tries again every 100 to 200. */
const audiencePatience = 250;

/**
 * The five sockets of a kernel: shell, control and stdin to talk with one client at a time, iopub to tell everybody,
 * and a heartbeat that echoes. They are bound where the connection says and nowhere else. Whoever subscribes to iopub
 * is greeted with iopub_welcome.
 */
export class KernelSockets {
  readonly #sockets = {
    shell: router(),
    control: router(),
    stdin: router(true),
    heartbeat: router(),
    iopub: new XPublisher({ sendHighWaterMark: 0, sendTimeout: 0, linger: 1000 }),
  };
  readonly #outboxes: { readonly [Name in SocketName]: Outbox };
  #closed = false;
  /**
   * What is said on iopub before anybody hears it: a client's request may arrive before its subscription. Undefined once
   * somebody does hear, or has not for a while.
   */
  #unheard: (() => readonly Frame[])[] | undefined = [];

  private constructor(
    readonly connection: Connection,
    readonly codec: Codec,
    readonly listener: SocketListener,
  ) {
    this.#sockets.iopub.verbosity = "allSubs";
    const ipv6 = connection.transport === "tcp" && connection.ip.includes(":");
    for (const socket of Object.values(this.#sockets)) socket.ipv6 = ipv6;
    const outbox = (name: SocketName) =>
      new Outbox(this.#sockets[name], (error) => listener.onBadMessage(name, `it could not be sent: ${error.message}`));
    this.#outboxes = {
      shell: outbox("shell"),
      control: outbox("control"),
      stdin: outbox("stdin"),
      heartbeat: outbox("heartbeat"),
      iopub: outbox("iopub"),
    };
  }

  /** @throws Error naming the address that could not be bound. */
  static async bind(connection: Connection, codec: Codec, listener: SocketListener): Promise<KernelSockets> {
    const sockets = new KernelSockets(connection, codec, listener);
    const bind = async (socket: Socket & { bind(at: string): Promise<void> }, port: Parameters<typeof address>[1]) => {
      const at = address(connection, port);
      try {
        await socket.bind(at);
      } catch (cause) {
        const why = (cause as Error).message;
        throw new Error(`cannot listen on ${at} (${port}): ${why}. Is another kernel using this connection file?`, {
          cause,
        });
      }
    };
    const { shell, control, stdin, heartbeat, iopub } = sockets.#sockets;
    await Promise.all([
      bind(shell, "shell_port"),
      bind(control, "control_port"),
      bind(stdin, "stdin_port"),
      bind(heartbeat, "hb_port"),
      bind(iopub, "iopub_port"),
    ]);
    for (const channel of ["shell", "control", "stdin"] as const) void sockets.#listen(channel);
    void sockets.#echo();
    void sockets.#welcome();
    setTimeout(() => sockets.#speak(), audiencePatience).unref();
    return sockets;
  }

  /** Answers one client: `identities` are those its request came with. `lost`: on stdin, that it has no such socket. */
  send(
    channel: "shell" | "control" | "stdin",
    identities: readonly Buffer[],
    outgoing: Outgoing,
    lost?: () => void,
  ): Header {
    return this.#write(channel, identities, outgoing, lost);
  }

  /** Tells every client. `topic` is what the message is about; all but streams name the kernel before it. */
  publish(topic: string, outgoing: Outgoing): Header {
    const whole = topic.startsWith("stream.") ? topic : `kernel.${this.codec.session}.${topic}`;
    return this.#write("iopub", [Buffer.from(whole)], outgoing);
  }

  /** Stops listening. What was sent before still goes out, for at most a second. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#speak();
    await Promise.all(Object.values(this.#outboxes).map((outbox) => outbox.drained()));
    for (const socket of Object.values(this.#sockets)) socket.close();
    if (this.connection.transport === "ipc")
      for (const port of portNames) rmSync(address(this.connection, port).replace("ipc://", ""), { force: true });
  }

  #write(name: SocketName, identities: readonly Buffer[], outgoing: Outgoing, lost?: () => void): Header {
    const header = this.codec.header(outgoing.type);
    if (this.#closed) return header;
    const { content, parent, metadata = {}, buffers = [] } = outgoing;
    const message = () => this.codec.encode({ identities, header, parent, metadata, content, buffers });
    if (name === "iopub" && this.#unheard) this.#unheard.push(message);
    else this.#outboxes[name].put(message, lost);
    return header;
  }

  async #listen(channel: "shell" | "control" | "stdin"): Promise<void> {
    const socket = this.#sockets[channel];
    while (!this.#closed) {
      const frames = await receive(socket);
      if (!frames) break;
      let message: Message;
      try {
        message = this.codec.decode(frames);
      } catch (error) {
        if (!(error instanceof BadMessage)) throw error;
        this.listener.onBadMessage(channel, error.message);
        continue;
      }
      this.listener.onMessage(channel, message);
    }
  }

  #speak(unheard = this.#unheard): void {
    this.#unheard = undefined;
    for (const message of unheard ?? []) this.#outboxes.iopub.put(message);
  }

  async #echo(): Promise<void> {
    for (;;) {
      const frames = await receive(this.#sockets.heartbeat);
      if (!frames) return;
      this.#outboxes.heartbeat.put(() => frames);
    }
  }

  async #welcome(): Promise<void> {
    for (;;) {
      const frames = await receive(this.#sockets.iopub);
      if (!frames) return;
      const [event] = frames;
      if (event?.[0] !== 1) continue;
      const subscription = event.subarray(1).toString();
      const unheard = this.#unheard;
      this.#unheard = undefined;
      const welcome = { type: "iopub_welcome", content: { subscription }, parent: undefined };
      this.#write("iopub", [event.subarray(1)], welcome);
      this.#speak(unheard);
      this.listener.onSubscriber();
    }
  }
}

/**
 * A client that comes again under its old identity, as one that lost its connection, takes the place of the old one.
 * @param mandatory whether it is an error that a message's client is not there; otherwise the message is dropped.
 */
function router(mandatory = false): Router {
  return new Router({
    sendHighWaterMark: 0,
    sendTimeout: 0,
    receiveHighWaterMark: 0,
    linger: 1000,
    maxMessageSize: largestFrame,
    handover: true,
    mandatory,
  });
}

/** The next message, or undefined once the socket is closed. */
async function receive(socket: Router | XPublisher): Promise<Buffer[] | undefined> {
  try {
    return await socket.receive();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (socket.closed || code === "EAGAIN") return undefined;
    throw error;
  }
}
