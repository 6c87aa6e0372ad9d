/**
 * Frames on the pipes between P and U: `u32 length, u8 kind, u32 headLength, head (JSON), payload`, little endian, length counted
 * after itself. Kind 0 is a message with its binary buffers in the payload (`head.lengths` cuts it), kind 1 is stream text (UTF-8 payload).
 */
import { Buffer } from "node:buffer";

/** A decoded frame. */
export interface Frame {
  readonly kind: "message" | "stream";
  readonly head: unknown;
  readonly buffers: readonly Buffer[];
}

const PREFIX = 9;
/** Taken before any cell can replace it: text is also written while a cell's own code runs. */
const { stringify } = JSON;

/** Bytes of a message frame. */
export function messageFrame(head: unknown, buffers: readonly Uint8Array[] = []): Buffer {
  const json = Buffer.from(stringify({ head, lengths: buffers.map((b) => b.byteLength) }));
  const size = buffers.reduce((sum, b) => sum + b.byteLength, 0);
  const frame = Buffer.allocUnsafe(PREFIX + json.length + size);
  writePrefix(frame, 0, json.length, json.length + size);
  json.copy(frame, PREFIX);
  let at = PREFIX + json.length;
  for (const buffer of buffers) {
    frame.set(buffer, at);
    at += buffer.byteLength;
  }
  return frame;
}

/** The start of a stream frame: prefix and head; the text follows, and `sealStream` writes the length once it is known. */
export function streamFrameStart(head: unknown): Buffer {
  const json = Buffer.from(stringify(head));
  const frame = Buffer.allocUnsafe(PREFIX + json.length);
  writePrefix(frame, 1, json.length, json.length);
  json.copy(frame, PREFIX);
  return frame;
}

/** Set the length of a stream frame of `total` bytes that lies at the start of `bytes`. */
export function sealStream(bytes: Uint8Array, total: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, total - 4, true);
}

function writePrefix(frame: Buffer, kind: number, headLength: number, rest: number): void {
  frame.writeUInt32LE(rest + 5, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt32LE(headLength, 5);
}

/** Cuts a byte stream into frames. Chunks of a large frame are joined once, when the last has come. */
export class FrameDecoder {
  #chunks: Buffer[] = [];
  #size = 0;

  /** Feed bytes; returns the frames that are complete now. */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames: Frame[] = [];
    for (;;) {
      if (this.#size < 4) return frames;
      const length = this.#peekLength();
      if (this.#size < 4 + length) return frames;
      const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? chunk) : Buffer.concat(this.#chunks, this.#size);
      frames.push(decode(all.subarray(4, 4 + length)));
      const rest = all.subarray(4 + length);
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#size = rest.length;
    }
  }

  #peekLength(): number {
    const first = this.#chunks[0];
    if (first && first.length >= 4) return first.readUInt32LE(0);
    const joined = Buffer.concat(this.#chunks, this.#size);
    this.#chunks = [joined];
    return joined.readUInt32LE(0);
  }
}

function decode(body: Buffer): Frame {
  const headLength = body.readUInt32LE(1);
  const head: unknown = JSON.parse(body.toString("utf8", 5, 5 + headLength));
  const payload = body.subarray(5 + headLength);
  if (body[0] === 1) return { kind: "stream", head, buffers: [payload] };
  const message = head as { head: unknown; lengths: number[] };
  const buffers: Buffer[] = [];
  let at = 0;
  for (const length of message.lengths) {
    buffers.push(payload.subarray(at, at + length));
    at += length;
  }
  return { kind: "message", head: message.head, buffers };
}
