import { createHmac, getHashes, randomUUID, timingSafeEqual } from "node:crypto";
import { type Header, type Json, type Message, protocolVersion } from "./messages.js";

/** Frames that are no message we may act on; `message` says why. The sender gets no answer. */
export class BadMessage extends Error {
  override readonly name = "BadMessage";
}

/** A frame to send. Text stays a string: zeromq copies it, and need not come back to this thread to let go of a buffer. */
export type Frame = Uint8Array | string;

const delimiter = Buffer.from("<IDS|MSG>");
const rememberedSignatures = 65_536;

/**
 * Turns messages into signed frames and back: `identities…, "<IDS|MSG>", signature, header, parent, metadata, content,
 * buffers…`. The signature covers the four JSON frames as they are on the wire. An empty key means unsigned messages.
 * One codec per process: it remembers signatures, so that a recorded message cannot be played back.
 */
export class Codec {
  /** The id of our side of the conversation, in every header we send. */
  readonly session = randomUUID();
  readonly #username = process.env.USER || process.env.USERNAME || "kernel";
  readonly #hash: string;
  readonly #key: string;
  readonly #seen = new Set<string>();
  #made = 0;

  /**
   * @param scheme `hmac-` and a hash that this Node knows.
   * @throws RangeError for another scheme.
   */
  constructor(key: string, scheme: string) {
    const hash = scheme.replace(/^hmac-/, "");
    if (key !== "" && (!scheme.startsWith("hmac-") || !getHashes().includes(hash)))
      throw new RangeError(
        `signature_scheme is ${JSON.stringify(scheme)}; expected "hmac-" and a hash, as in "hmac-sha256"`,
      );
    this.#hash = hash;
    this.#key = key;
  }

  /** A fresh header of ours. */
  header(type: string): Header {
    return {
      msg_id: `${this.session}_${++this.#made}`,
      session: this.session,
      username: this.#username,
      date: new Date().toISOString(),
      msg_type: type,
      version: protocolVersion,
    };
  }

  /** The frames of a message. Numbers that JSON cannot hold become null, as JSON.stringify has it. */
  encode(message: Message<unknown>): Frame[] {
    const { identities, header, parent, metadata, content, buffers } = message;
    const parts = [header, parent ?? {}, metadata, content].map((part) => JSON.stringify(part));
    // One short text is hashed in half the time of its four parts.
    const short = parts.reduce((length, part) => length + part.length, 0) < 4096;
    return [...identities, delimiter, this.#sign(short ? [parts.join("")] : parts), ...parts, ...buffers];
  }

  /** @throws {BadMessage} when the frames are malformed, unsigned, wrongly signed or played back. */
  decode(frames: readonly Buffer[]): Message {
    const at = frames.findIndex((frame) => frame.equals(delimiter));
    if (at < 0) throw new BadMessage("no <IDS|MSG> frame");
    const signature = frames[at + 1];
    const parts = frames.slice(at + 2, at + 6);
    if (!signature || parts.length < 4)
      throw new BadMessage(`${frames.length - at - 1} frames after <IDS|MSG>, expected at least 5`);
    this.#authenticate(signature, parts);
    const [header, parent, metadata, content] = parts.map(parseObject);
    if (!header || !parent || !metadata || !content) throw new BadMessage("a frame is missing");
    const checked = asHeader(header);
    if (!checked) throw new BadMessage("the header has no msg_id or no msg_type");
    return {
      identities: frames.slice(0, at),
      header: checked,
      parent: asHeader(parent),
      metadata,
      content,
      buffers: frames.slice(at + 6),
    };
  }

  #sign(parts: readonly Frame[]): string {
    if (this.#key === "") return "";
    const hmac = createHmac(this.#hash, this.#key);
    for (const part of parts) hmac.update(part);
    return hmac.digest("hex");
  }

  #authenticate(signature: Buffer, parts: readonly Buffer[]): void {
    if (this.#key === "") return;
    const expected = this.#sign(parts);
    const wanted = Buffer.from(expected);
    if (signature.length !== wanted.length || !timingSafeEqual(signature, wanted))
      throw new BadMessage("the signature does not fit the message");
    if (this.#seen.has(expected)) throw new BadMessage("the message was received before");
    this.#seen.add(expected);
    if (this.#seen.size > rememberedSignatures) {
      for (const oldest of this.#seen) {
        this.#seen.delete(oldest);
        break;
      }
    }
  }
}

function parseObject(frame: Buffer): Json {
  let value: unknown;
  try {
    value = JSON.parse(frame.toString());
  } catch (cause) {
    throw new BadMessage("a frame is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new BadMessage("a frame is not a JSON object");
  return value as Json;
}

function asHeader(value: Json): Header | undefined {
  const { msg_id, msg_type } = value;
  const whole = typeof msg_id === "string" && typeof msg_type === "string";
  return whole ? (value as Header) : undefined;
}
