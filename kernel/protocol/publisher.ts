import type { Header } from "../wire/messages.js";
import type { Outgoing } from "../wire/sockets.js";

interface Segment {
  readonly name: "stdout" | "stderr";
  readonly parent: Header | undefined;
  text: string;
}

const delay = 8;
const largestText = 512 * 1024;
const burst = 400;
const segmentsPerSecond = 300;

/**
 * Everything that goes out on iopub. Jupyter servers drop what exceeds some thousand messages, so text printed within a few
 * milliseconds leaves as one message, and everything else leaves at once, after the text that was printed before it.
 * Nothing is lost: when stdout and stderr alternate faster than the messages we allow ourselves, each keeps its own order.
 */
export class Publisher {
  #segments: Segment[] = [];
  #length = 0;
  #timer: NodeJS.Timeout | undefined;
  #budget = burst;
  #refilled = performance.now();

  constructor(private readonly send: (topic: string, outgoing: Outgoing) => void) {}

  /** Text for a stream; it leaves within milliseconds. */
  stream(name: "stdout" | "stderr", text: string, parent: Header | undefined): void {
    if (text === "") return;
    const last = this.#segments.at(-1);
    if (last && last.name === name && last.parent?.msg_id === parent?.msg_id) last.text += text;
    else this.#segments.push({ name, parent, text });
    this.#length += text.length;
    if (this.#length > largestText) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), delay);
  }

  /** A message that is no stream. */
  publish(outgoing: Outgoing): void {
    this.flush();
    this.send(`kernel.${outgoing.type}`, outgoing);
  }

  status(state: "busy" | "idle" | "starting", parent: Header | undefined): void {
    this.publish({ type: "status", content: { execution_state: state }, parent });
  }

  /** Sends what was printed so far. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#segments.length === 0) return;
    const segments = this.#withinBudget(this.#segments);
    this.#segments = [];
    this.#length = 0;
    for (const { name, text, parent } of segments)
      this.send(`stream.${name}`, { type: "stream", content: { name, text }, parent });
  }

  #withinBudget(segments: Segment[]): Segment[] {
    const now = performance.now();
    this.#budget = Math.min(burst, this.#budget + ((now - this.#refilled) / 1000) * segmentsPerSecond);
    this.#refilled = now;
    const merged = segments.length > this.#budget ? mergeByStream(segments) : segments;
    this.#budget = Math.max(0, this.#budget - merged.length);
    return merged;
  }
}

function mergeByStream(segments: readonly Segment[]): Segment[] {
  const merged = new Map<string, Segment>();
  for (const segment of segments) {
    const key = `${segment.name} ${segment.parent?.msg_id}`;
    const before = merged.get(key);
    if (before) before.text += segment.text;
    else merged.set(key, { ...segment });
  }
  return [...merged.values()];
}
