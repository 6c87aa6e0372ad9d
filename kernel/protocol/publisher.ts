import type { Header } from "../wire/messages.js";
import type { Outgoing } from "../wire/sockets.js";

interface Segment {
  readonly name: "stdout" | "stderr";
  readonly parent: Header | undefined;
  text: string;
}

/** What has not left yet, oldest first. */
type Waiting = Segment | { readonly outgoing: Outgoing; readonly parent: Header | undefined };

const delay = 8;
/** After a message of much text, a front end has enough to draw; many small ones would each draw everything again. */
const delayInFlood = 100;
const flood = 32 * 1024;
const largestText = 512 * 1024;
const burst = 400;
const segmentsPerSecond = 300;

/** So many bytes of text messages may leave within so many milliseconds. */
export interface Pace {
  readonly bytes: number;
  readonly window: number;
}

/**
 * What a Jupyter server passes on: 1 MB of streams a second, counted over three seconds; the rest it drops. A server tells
 * the kernels of its notebooks their notebook's name. Everybody else takes all we have.
 */
export function paceOf(env: NodeJS.ProcessEnv): Pace | undefined {
  return env.JPY_SESSION_NAME === undefined ? undefined : { bytes: 2_600_000, window: 3_200 };
}

/**
 * Everything that goes out on iopub. Jupyter servers drop what exceeds some thousand messages, so text printed within a few
 * milliseconds leaves as one message, and everything else leaves at once, after the text that was printed before it.
 * Nothing is lost: when stdout and stderr alternate faster than the messages we allow ourselves, each keeps its own order;
 * when there is more text than `pace` allows, it waits, and so does what else is said for the same request. Only a Jupyter
 * server has a pace.
 */
export class Publisher {
  #waiting: Waiting[] = [];
  #length = 0;
  #timer: NodeJS.Timeout | undefined;
  #inFlood = false;
  #budget = burst;
  #refilled = performance.now();
  /** When the pace lets the oldest text go. */
  #resume = 0;
  /** What has left within the window of the pace. */
  #left: { readonly at: number; readonly bytes: number }[] = [];
  /** The requests whose cells run. */
  readonly #running = new Map<string, Header>();

  constructor(
    private readonly send: (topic: string, outgoing: Outgoing) => void,
    private readonly pace?: Pace,
  ) {}

  /** Text for a stream; it leaves within milliseconds. */
  stream(name: "stdout" | "stderr", text: string, parent: Header | undefined): void {
    if (text === "") return;
    const last = this.#waiting.at(-1);
    const same = last && "text" in last && last.name === name && last.parent?.msg_id === parent?.msg_id;
    if (same && last.text.length < largestText) last.text += text;
    else this.#waiting.push({ name, parent, text });
    this.#length += text.length;
    if (this.#length > largestText) this.flush();
    else this.#wake(this.#inFlood ? delayInFlood : delay);
  }

  /** A message that is no stream. */
  publish(outgoing: Outgoing): void {
    this.flush();
    const { parent } = outgoing;
    if (this.#waiting.some((waiting) => waiting.parent?.msg_id === parent?.msg_id))
      this.#waiting.push({ outgoing, parent });
    else this.send(outgoing.type, outgoing);
  }

  status(state: "busy" | "idle" | "starting", parent: Header | undefined): void {
    this.publish({ type: "status", content: { execution_state: state }, parent });
    if (!this.pace) return;
    if (parent?.msg_type === "execute_request")
      if (state === "busy") this.#running.set(parent.msg_id, parent);
      else this.#running.delete(parent.msg_id);
    if (state === "idle" && this.#running.size > 0) this.restate();
  }

  /**
   * Tells a Jupyter server and its pages, which go by the last status they have heard, what the kernel does: whoever has just come
   * has missed it, JupyterLab passes over the statuses of the requests it makes when it comes, and the end of any request
   * looks like that of the cell that runs.
   */
  restate(): void {
    if (!this.pace) return;
    const parent = [...this.#running.values()].at(-1);
    this.publish({ type: "status", content: { execution_state: parent ? "busy" : "idle" }, parent });
  }

  /** Sends what was printed so far, as far as the pace allows. */
  flush(): void {
    const pause = this.#resume - performance.now();
    if (pause > 0) this.#wake(pause);
    else {
      this.#length = 0;
      this.#flush((segment) => this.#allows(segment));
    }
  }

  /** Sends everything, at any pace: nothing can be sent later. */
  drain(): void {
    this.#flush(() => true);
  }

  #flush(allowed: (segment: Segment) => boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#withinBudget(this.#waiting);
    this.#waiting = [];
    let sent = 0;
    for (const [index, item] of waiting.entries()) {
      if ("outgoing" in item) this.send(item.outgoing.type, item.outgoing);
      else if (allowed(item)) {
        const { name, text, parent } = item;
        sent += text.length;
        this.send(`stream.${name}`, { type: "stream", content: { name, text }, parent });
      } else {
        this.#waiting = waiting.slice(index);
        this.#wake(this.#resume - performance.now());
        return;
      }
    }
    this.#inFlood = sent > flood;
  }

  #wake(after: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, after);
  }

  /** Whether a text may leave now; if not, sets when to ask again. */
  #allows({ text }: Segment): boolean {
    if (!this.pace) return true;
    const { bytes: most, window } = this.pace;
    const now = performance.now();
    this.#left = this.#left.filter(({ at }) => at > now - window);
    const bytes = Buffer.byteLength(JSON.stringify(text)) + 1_000;
    let total = this.#left.reduce((sum, left) => sum + left.bytes, bytes);
    for (const { at, bytes: before } of this.#left) {
      if (total <= most) break;
      total -= before;
      this.#resume = at + window;
    }
    if (this.#resume > now) return false;
    this.#left.push({ at: now, bytes });
    return true;
  }

  #withinBudget(waiting: readonly Waiting[]): readonly Waiting[] {
    const now = performance.now();
    this.#budget = Math.min(burst, this.#budget + ((now - this.#refilled) / 1000) * segmentsPerSecond);
    this.#refilled = now;
    const within = waiting.length > this.#budget ? mergeByStream(waiting) : waiting;
    this.#budget = Math.max(0, this.#budget - within.length);
    return within;
  }
}

/** Texts that no other message parts, joined by stream. */
function mergeByStream(waiting: readonly Waiting[]): Waiting[] {
  const merged: Waiting[] = [];
  let open = new Map<string, Segment>();
  for (const item of waiting) {
    if ("outgoing" in item) {
      open = new Map();
      merged.push(item);
      continue;
    }
    const key = `${item.name} ${item.parent?.msg_id}`;
    const before = open.get(key);
    if (before && before.text.length < largestText) before.text += item.text;
    else {
      const segment = { ...item };
      open.set(key, segment);
      merged.push(segment);
    }
  }
  return merged;
}
