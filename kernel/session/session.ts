/** P's side of the user process: starts it, talks to it, notices how it ends, and starts it again. */
import { type ChildProcess, spawn } from "node:child_process";
import inspector from "node:inspector";
import type { Readable, Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { fileURLToPath } from "node:url";
import { type Frame, FrameDecoder, messageFrame } from "./frames.js";
import { Garbage } from "./garbage.js";
import type {
  CellScript,
  CommMessage,
  ExecuteOutcome,
  ExecuteRequest,
  MimeBundle,
  Publish,
  RuntimeCompletion,
  Session,
  SessionOptions,
} from "./handle.js";
import { type FromUser, type Sent, type StreamHead, SYNC_MARK, type ToUser } from "./messages.js";
import { carrierFlags } from "./user/carrier.js";
import { DIRECT_BYTES } from "./user/shared.js";

const ENTRY = fileURLToPath(new URL("./user/main.js", import.meta.url));
/** An interrupt that has not stopped everything is repeated after this long. */
const INTERRUPT_AGAIN_MS = 2500;
/** How long an idle user process may take to end by itself. */
const EXIT_MS = 400;
const MAX_CELLS = 1000;
/** User processes in a row that may end before they are ready. */
const MAX_FAILED_STARTS = 3;
/** How long a question about runtime values waits for a busy U. */
const PATIENCE_MS = 500;
/** A mark that has not come on inherited output for so long will not come: the cell closed the descriptor. */
const MARK_PATIENCE_MS = 1000;

/** Start a user process. */
export function createSession<Parent>(options: SessionOptions<Parent>): Session<Parent> {
  return new UserSession(options);
}

class UserSession<Parent> implements Session<Parent> {
  readonly #options: SessionOptions<Parent>;
  readonly #listeners = new Set<(method: string, params: Readonly<Record<string, unknown>>) => void>();
  #user: UserProcess<Parent>;
  readonly #garbage = new Garbage(() => {
    const session = new inspector.Session();
    session.connect();
    return session;
  });
  #disposed = false;
  #failedStarts = 0;

  constructor(options: SessionOptions<Parent>) {
    this.#options = options;
    this.#user = this.#start();
  }

  get pid(): number | undefined {
    return this.#user.pid;
  }

  execute(request: ExecuteRequest<Parent>): Promise<ExecuteOutcome> {
    if (this.#user.ended && !this.#disposed) this.#user = this.#start();
    if (this.#garbage.isDue()) {
      void this.#garbage.collect();
      this.#user.tidy();
    }
    return this.#user.execute(request);
  }

  interrupt(): Promise<void> {
    return this.#user.interrupt();
  }

  async comm(message: CommMessage<Parent>): Promise<void> {
    const { buffers, ...rest } = message;
    await this.#user.ask((seq) => ({ type: "comm", seq, ...rest }), buffers);
  }

  comms(): ReadonlyMap<string, string> {
    return this.#user.comms;
  }

  async runtimeComplete(expression: string): Promise<readonly RuntimeCompletion[] | undefined> {
    return (await patient(this.#user.ask((seq) => ({ type: "complete", seq, expression })))) as
      | readonly RuntimeCompletion[]
      | undefined;
  }

  async runtimeInspect(expression: string, detailLevel: 0 | 1 = 0): Promise<MimeBundle | undefined> {
    return (await patient(this.#user.ask((seq) => ({ type: "inspect", seq, expression, detailLevel })))) as
      | MimeBundle
      | undefined;
  }

  cdp(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return this.#user.ask((seq) => ({ type: "cdp", seq, method, params }));
  }

  onCdp(listener: (method: string, params: Readonly<Record<string, unknown>>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  cells(): readonly CellScript[] {
    return [...this.#user.cells];
  }

  async restart(): Promise<void> {
    const old = this.#user;
    await old.end("the kernel was restarted");
    // A cell that came meanwhile has started a new one already.
    if (!this.#disposed && this.#user === old) this.#user = this.#start();
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#user.end("the kernel was shut down");
  }

  #start(): UserProcess<Parent> {
    return new UserProcess(this.#options, {
      cdpEvent: (method, params) => {
        for (const listener of this.#listeners) listener(method, params);
      },
      died: (reason, code, signal, wasReady) => {
        const willRestart = !this.#disposed;
        this.#failedStarts = wasReady ? 0 : this.#failedStarts + 1;
        // Whoever hears of the end can speak to the new process at once, before any cell does. One that cannot start is tried
        // again when there is a cell for it.
        if (willRestart && this.#failedStarts < MAX_FAILED_STARTS) this.#user = this.#start();
        this.#options.events.exit({ reason, code, signal, willRestart });
      },
    });
  }
}

async function patient(answer: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS, undefined);
  });
  try {
    return await Promise.race([answer.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

interface Owner {
  cdpEvent(method: string, params: Readonly<Record<string, unknown>>): void;
  died(reason: string, code: number | null, signal: string | null, wasReady: boolean): void;
}

interface RunningCell<Parent> {
  readonly request: ExecuteRequest<Parent>;
  readonly settle: (outcome: ExecuteOutcome) => void;
  /** The last question asked before it was sent. */
  readonly sentAfter: number;
}

interface Asked {
  readonly type: ToUser["type"];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** One user process, from its start to its end. */
class UserProcess<Parent> {
  readonly cells: CellScript[] = [];
  comms: ReadonlyMap<string, string> = new Map();
  readonly #child: ChildProcess;
  readonly #toUser: Writable;
  readonly #direct: Writable;
  readonly #running = new Map<string, RunningCell<Parent>>();
  readonly #asked = new Map<number, Asked>();
  readonly #events: SessionOptions<Parent>["events"];
  readonly #owner: Owner;
  readonly #closed: Promise<void>;
  #seq = 0;
  #sentDirectly = 0;
  /** From the debugger's first word on, cells wait for its questions: all is sent through the watchdog. */
  #debugged = false;
  #latest: Parent | undefined;
  #inheriting: { readonly parent: Parent | undefined } | undefined;
  readonly #waiting: Frame[] = [];
  readonly #inherited = { stdout: new MarkedText(SYNC_MARK), stderr: new MarkedText(SYNC_MARK) };
  /** How many marks the frames that were delivered had passed. */
  #passed = 0;
  #impatient: NodeJS.Timeout | undefined;
  #ready = false;
  readonly #onIdle = new Set<() => void>();
  #exiting: string | undefined;
  #ending: string | undefined;
  #fatal = "";

  constructor(options: SessionOptions<Parent>, owner: Owner) {
    this.#events = options.events;
    this.#owner = owner;
    this.#child = spawn(process.execPath, [...flags(), ...(options.execArgv ?? []), ENTRY], {
      cwd: options.directory ?? process.cwd(),
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe", "pipe", "pipe", "pipe"],
      // Its own process group: a SIGINT from the terminal is P's to act upon.
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    const [, stdout, stderr, fromUser, toUser, direct] = this.#child.stdio as unknown as [
      null,
      Readable,
      Readable,
      Readable,
      Writable,
      Writable,
    ];
    this.#toUser = toUser;
    this.#direct = direct;
    for (const pipe of [toUser, direct]) {
      pipe.on("error", () => this.#cutOff());
      pipe.on("close", () => this.#cutOff());
    }
    fromUser.on("close", () => this.#cutOff());
    const decoder = new FrameDecoder();
    fromUser.on("data", (chunk: Buffer) => {
      this.#waiting.push(...decoder.push(chunk));
      this.#deliver();
    });
    fromUser.on("error", () => undefined);
    this.#raw("stdout", stdout);
    this.#raw("stderr", stderr);
    this.#closed = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#gone(`it could not be started: ${error.message}`, null, null);
        resolve();
      });
      // What it leaves behind would keep its pipes open.
      this.#child.once("exit", () => this.#kill());
      this.#child.once("close", (code, signal) => {
        this.#gone(undefined, code, signal);
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether the process has ended, or is about to. */
  get ended(): boolean {
    return this.#ending !== undefined;
  }

  execute(request: ExecuteRequest<Parent>): Promise<ExecuteOutcome> {
    return new Promise((settle) => {
      const idle = this.#ready && this.#running.size === 0 && this.#asked.size === 0 && !this.#debugged;
      this.#running.set(request.id, { request, settle, sentAfter: this.#seq });
      this.#latest = request.parent;
      const message: ToUser = { type: "execute", ...request };
      if (!(idle && this.#sendDirectly(message))) this.#send(message);
    });
  }

  /** Many cells have run: U may collect its garbage. */
  tidy(): void {
    this.#send({ type: "tidy" });
  }

  async interrupt(): Promise<void> {
    const idle = this.#running.size === 0;
    if (idle && !this.#ready) return;
    const answer = this.ask((seq) => ({ type: "interrupt", seq, idle })).catch(() => undefined);
    if (idle) return void (await answer);
    // A termination may have hit U just while it answered: ask again what still runs.
    const again = setInterval(() => {
      if (this.#running.size > 0) this.ask((seq) => ({ type: "interrupt", seq, idle: false })).catch(() => undefined);
    }, INTERRUPT_AGAIN_MS);
    const stopped = new Promise<void>((resolve) => this.#onIdle.add(resolve));
    await Promise.race([answer, stopped]);
    clearInterval(again);
  }

  /** Send a request that has a reply. Rejects if U ends before. */
  ask(request: (seq: number) => ToUser, buffers: readonly Uint8Array[] = []): Promise<unknown> {
    const seq = ++this.#seq;
    return new Promise((resolve, reject) => {
      if (this.#ending !== undefined) {
        reject(new Error(`the user process has ended: ${this.#ending}`));
        return;
      }
      const message = request(seq);
      this.#asked.set(seq, { type: message.type, resolve, reject });
      this.#send(message, buffers);
    });
  }

  /** End the process; its running cells end as errors that say why. */
  async end(why: string): Promise<void> {
    this.#ending ??= why;
    if (this.#running.size === 0 && this.#ready) {
      // An idle process may run its exit handlers.
      this.#send({ type: "exit" });
      const timer = setTimeout(() => this.#kill(), EXIT_MS);
      await this.#closed;
      clearTimeout(timer);
    }
    this.#kill();
    await this.#closed;
  }

  /** A pipe between the processes is closed. A process that is about to end explains that itself; another can neither be heard nor stopped. */
  #cutOff(): void {
    setTimeout(() => {
      const { exitCode, signalCode } = this.#child;
      if (exitCode !== null || signalCode !== null || this.#ending !== undefined) return;
      this.#exiting ??= "its connection to the kernel (file descriptors 3 to 5) was closed";
      this.#kill();
    }, EXIT_MS);
  }

  /** Kill the process and, where they form a group, what its cells have started. */
  #kill(): void {
    try {
      if (this.#child.pid !== undefined && process.platform !== "win32") process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // The group is gone already.
    }
    this.#child.kill("SIGKILL");
  }

  #send(message: ToUser, buffers: readonly Uint8Array[] = []): void {
    if (message.type === "cdp") this.#debugged = true;
    this.#toUser.write(messageFrame({ direct: this.#sentDirectly, message } satisfies Sent, buffers));
  }

  /** To the main thread itself, which the watchdog's relaying would only keep waiting. Returns whether it could be done. */
  #sendDirectly(message: ToUser): boolean {
    const frame = messageFrame({ direct: this.#sentDirectly + 1, message } satisfies Sent);
    if (frame.length > DIRECT_BYTES) return false;
    this.#sentDirectly++;
    this.#direct.write(frame);
    return true;
  }

  /** Hand over frames and inherited output in order: where a synchronous child began and ended, all three streams have a mark. */
  #deliver(): void {
    const { stdout, stderr } = this.#inherited;
    for (;;) {
      for (const name of ["stdout", "stderr"] as const) {
        const text = this.#inherited[name].take(this.#passed);
        if (text !== "") this.#stream({ name, parent: (this.#inheriting ?? { parent: this.#latest }).parent }, text);
      }
      const frame = this.#waiting[0];
      if (!frame) return;
      if (frame.kind === "message" && (frame.head as FromUser).type === "sync") {
        if (Math.min(stdout.marks, stderr.marks) <= this.#passed) {
          this.#impatient ??= setTimeout(() => this.#passMark(), MARK_PATIENCE_MS);
          return;
        }
        clearTimeout(this.#impatient);
        this.#impatient = undefined;
        this.#passed++;
      }
      this.#waiting.shift();
      if (frame.kind === "stream") this.#stream(frame.head as StreamHead, frame.buffers[0]?.toString() ?? "");
      else this.#receive(frame.head as FromUser, frame.buffers);
    }
  }

  /** Go on as if the next mark had come. */
  #passMark(): void {
    this.#impatient = undefined;
    for (const text of Object.values(this.#inherited)) text.assume(this.#passed + 1);
    this.#deliver();
  }

  #receive(message: FromUser, buffers: readonly Uint8Array[]): void {
    switch (message.type) {
      case "ready":
        this.#ready = true;
        return;
      case "sync":
        this.#inheriting = message.begins ? { parent: message.parent as Parent | undefined } : undefined;
        return;
      case "publish":
        this.#events.publish({
          msgType: message.msgType,
          content: message.content,
          metadata: message.metadata,
          buffers,
          parent: (message.parent as Parent | undefined) ?? undefined,
        } satisfies Publish<Parent>);
        return;
      case "done":
        this.#done(message.id, message.outcome);
        return;
      case "input":
        this.#input(message);
        return;
      case "cell":
        this.cells.push(message.script);
        if (this.cells.length > MAX_CELLS) this.cells.shift();
        this.#events.cell?.(message.script);
        return;
      case "comms":
        this.comms = new Map(message.open);
        return;
      case "interrupted":
        this.#settleLost(message.seq);
        this.#answer(message.seq, undefined);
        return;
      case "handled":
        this.#answer(message.seq, undefined);
        return;
      case "completed":
        this.#answer(message.seq, message.matches);
        return;
      case "inspected":
        this.#answer(message.seq, message.bundle ?? {});
        return;
      case "cdpResult":
        if (message.error === undefined) this.#answer(message.seq, message.result);
        else {
          this.#asked.get(message.seq)?.reject(new Error(message.error));
          this.#asked.delete(message.seq);
        }
        return;
      case "cdpEvent":
        this.#owner.cdpEvent(message.method, message.params);
        return;
      case "help": {
        const { id, expression, detailLevel } = message;
        const answer = this.#events.help?.(expression, detailLevel) ?? Promise.resolve(undefined);
        void answer
          .catch(() => undefined)
          .then((bundle) => this.#send({ type: "helped", id, ...(bundle && { bundle }) }));
        return;
      }
      case "diagnostics":
        this.#events.diagnosticsMode?.(message.mode);
        return;
      case "sigint":
        void this.interrupt();
        return;
      case "exiting":
        this.#exiting = message.reason;
        return;
    }
  }

  #answer(seq: number, value: unknown): void {
    this.#asked.get(seq)?.resolve(value);
    this.#asked.delete(seq);
  }

  #stream(head: StreamHead, text: string): void {
    this.#events.publish({
      msgType: "stream",
      content: { name: head.name, text },
      metadata: {},
      buffers: [],
      parent: (head.parent as Parent | undefined) ?? undefined,
    });
  }

  /** What U's native code writes to inherited descriptors belongs to the latest cell; what a synchronous child writes, to the cell that waits for it. */
  #raw(name: "stdout" | "stderr", stream: Readable): void {
    const decoder = new StringDecoder("utf8");
    stream.on("data", (chunk: Buffer) => {
      const text = decoder.write(chunk);
      if (name === "stderr") this.#fatal = (this.#fatal + text).slice(-4000);
      this.#inherited[name].push(text);
      this.#deliver();
    });
    stream.on("error", () => undefined);
  }

  #done(id: string, outcome: ExecuteOutcome): void {
    const cell = this.#running.get(id);
    this.#running.delete(id);
    // A synchronous child whose wait was terminated has had no end.
    this.#inheriting = undefined;
    cell?.settle(outcome);
    this.#tellIdle();
  }

  #input(message: Extract<FromUser, { type: "input" }>): void {
    const { id, sync, prompt, password } = message;
    this.#events.input({ prompt, password, parent: message.parent as Parent }).then(
      (value) => this.#send({ type: "input", id, sync, value }),
      (error: unknown) =>
        this.#send({ type: "input", id, sync, error: error instanceof Error ? error.message : String(error) }),
    );
  }

  #gone(problem: string | undefined, code: number | null, signal: string | null): void {
    // Marks that were still to come will not come any more.
    clearTimeout(this.#impatient);
    for (const text of Object.values(this.#inherited)) text.assume(Infinity);
    this.#deliver();
    this.#passed = Infinity;
    this.#deliver();
    if (this.#ending === undefined || problem) {
      const ended = problem ?? this.#exiting ?? explain(code, signal, this.#fatal);
      const why = /^\S*Error\b.*$/m.exec(this.#fatal)?.[0];
      const reason = this.#ready ? ended : `${ended}, before it was ready${why === undefined ? "" : ` (${why})`}`;
      this.#ending = reason;
      this.#settleAll(reason);
      this.#owner.died(reason, code, signal, this.#ready);
    } else this.#settleAll(this.#ending);
  }

  /** An interrupt has ended all that was sent before it; a termination that hit the very delivery of a message has lost it. */
  #settleLost(interrupt: number): void {
    const evalue = "the cell was interrupted";
    const traceback = [`\u001b[1;31mKeyboardInterrupt\u001b[0m: ${evalue}`];
    for (const [id, { sentAfter }] of this.#running)
      if (sentAfter < interrupt)
        this.#done(id, { status: "error", ename: "KeyboardInterrupt", evalue, traceback, died: true });
    for (const [seq, { type, resolve }] of this.#asked) {
      if (type !== "comm" || seq >= interrupt) continue;
      this.#asked.delete(seq);
      resolve(undefined);
    }
  }

  #tellIdle(): void {
    if (this.#running.size > 0) return;
    for (const tell of this.#onIdle) tell();
    this.#onIdle.clear();
  }

  #settleAll(reason: string): void {
    for (const { settle } of this.#running.values()) {
      const evalue = `the session ended while the cell ran: ${reason}`;
      settle({
        status: "error",
        ename: "SessionEnded",
        evalue,
        traceback: [`\u001b[1;31mSessionEnded\u001b[0m: ${evalue}`],
        died: true,
      });
    }
    this.#running.clear();
    this.#tellIdle();
    for (const { reject } of this.#asked.values()) reject(new Error(`the user process has ended: ${reason}`));
    this.#asked.clear();
  }
}

/** Text in which marks come, cut at them. */
class MarkedText {
  /** Pieces that nobody has taken; each lies behind the given number of marks. */
  readonly #pieces: { readonly behind: number; readonly text: string }[] = [];
  #rest = "";
  #marks = 0;
  #assumed = 0;

  constructor(readonly mark: string) {}

  /** How many marks have come. */
  get marks(): number {
    return Math.max(this.#marks, this.#assumed);
  }

  push(text: string): void {
    const parts = (this.#rest + text).split(this.mark);
    const last = parts.pop() ?? "";
    for (const part of parts) this.#put(part, this.#marks++);
    // The beginning of a mark, perhaps.
    let cut = Math.max(0, last.length - this.mark.length + 1);
    while (cut < last.length && !this.mark.startsWith(last.slice(cut))) cut++;
    this.#put(last.slice(0, cut), this.#marks);
    this.#rest = last.slice(cut);
  }

  /** What came before mark number `marks`, and leave the rest. */
  take(marks: number): string {
    let text = "";
    while (this.#pieces[0] && this.#pieces[0].behind <= marks) text += this.#pieces.shift()?.text ?? "";
    return text;
  }

  /** Wait for no mark up to this number. */
  assume(marks: number): void {
    this.#assumed = Math.max(this.#assumed, marks);
    if (marks === Infinity) this.#put(this.#rest, this.#marks);
  }

  #put(text: string, behind: number): void {
    if (text !== "") this.#pieces.push({ behind, text });
  }
}

/** What the exit of a process says, with the last words of its stderr. */
function explain(code: number | null, signal: string | null, fatal: string): string {
  if (/JavaScript heap out of memory|Allocation failed|FatalProcessOutOfMemory/.test(fatal)) {
    return "out of memory: the JavaScript heap is full (give the kernel more with --max-old-space-size=MEGABYTES in NODE_OPTIONS)";
  }
  if (signal === "SIGKILL") return "it was killed (SIGKILL), perhaps by the system because memory ran out";
  if (signal === "SIGABRT") return "it aborted (SIGABRT): process.abort() or a failed check in native code";
  if (signal)
    return `it was stopped by ${signal}${signal === "SIGSEGV" || signal === "SIGBUS" || signal === "SIGILL" ? ": a fault in native code" : ""}`;
  if (code !== null && code >= 128) return `it ended with code ${code} (a signal or a failed check in native code)`;
  return `it ended with code ${code}`;
}

function flags(): string[] {
  return [...carrierFlags(), "--disable-warning=ExperimentalWarning"];
}
