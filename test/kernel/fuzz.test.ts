import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Dealer } from "zeromq";
import type { Answer } from "../../kernel/wire/client.js";
import { Codec, type Frame } from "../../kernel/wire/codec.js";
import { address } from "../../kernel/wire/connection.js";
import { resultText, startKernel } from "./startKernel.js";

/** A generator of its own, so that a failure can be had again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const count = 20_000;
const types = [
  "execute_request",
  "inspect_request",
  "complete_request",
  "history_request",
  "is_complete_request",
  "comm_info_request",
  "kernel_info_request",
  "comm_open",
  "comm_msg",
  "comm_close",
  "debug_request",
  "create_subshell_request",
  "delete_subshell_request",
  "input_reply",
  "nonsense_request",
  "__proto__",
  "constructor",
  "",
];

describe("fuzz", { timeout: 240_000 }, () => {
  test(`${count} malformed, forged, replayed and strange messages are survived; none runs code`, async (context) => {
    await using kernel = await startKernel({ env: { POLICYSCOPE_TYPES: "off" } });
    const { client } = kernel;
    await client.execute("globalThis.pwned = 0; const mark = 41", { timeout: 20_000 });
    const { connection } = client;
    const codec = new Codec(connection.key, connection.signature_scheme);
    const stranger = new Codec("another key", connection.signature_scheme);
    const next = random(20_26);
    const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(next() * items.length)] as Item;
    const strange = (depth = 0): unknown =>
      pick<() => unknown>([
        () => null,
        () => next() * 1e9,
        () => -1,
        () => true,
        () => "",
        () => "😀".repeat(Math.floor(next() * 20)),
        () => "a".repeat(Math.floor(next() * 2_000)),
        () => (depth > 3 ? [] : [strange(depth + 1), strange(depth + 1)]),
        () =>
          depth > 3 ? {} : { code: strange(depth + 1), ["__proto__"]: strange(depth + 1), data: strange(depth + 1) },
      ])();
    const sockets = await Promise.all(
      (["shell", "control", "stdin"] as const).map(async (channel) => {
        const socket = new Dealer({ linger: 0, sendHighWaterMark: 0 });
        socket.connect(address(connection, `${channel}_port`));
        return socket;
      }),
    );
    void Promise.all(
      sockets.map(async (socket) => {
        for (;;) {
          try {
            await socket.receive();
          } catch {
            return;
          }
        }
      }),
    );
    const evil = "globalThis.pwned++";
    const message = (from: Codec, type: string, content: unknown) => ({
      identities: [],
      header: from.header(type),
      parent: undefined,
      metadata: {},
      content,
      buffers: [],
    });
    const recorded = codec.encode(message(codec, "kernel_info_request", {}));
    const frames = (): Frame[] =>
      pick<() => Frame[]>([
        () => Array.from({ length: Math.floor(next() * 8) + 1 }, () => randomBytes(Math.floor(next() * 60))),
        () => [Buffer.from("<IDS|MSG>"), ...Array.from({ length: Math.floor(next() * 7) }, () => randomBytes(16))],
        () => stranger.encode(message(stranger, "execute_request", { code: evil })),
        () => {
          const signed = codec.encode(message(codec, "execute_request", { code: "1" }));
          signed[5] = Buffer.from(JSON.stringify({ code: evil }));
          return signed;
        },
        () => {
          const signed = codec.encode(message(codec, "execute_request", { code: evil }));
          return signed.slice(0, Math.floor(next() * 5) + 1);
        },
        () =>
          codec.encode(
            message(codec, pick(types), { ...(strange() as object), hist_access_type: "tail", n: next() * 10 }),
          ),
        () => {
          const type = pick(types.filter((name) => name !== "execute_request"));
          return codec.encode(
            message(codec, type, {
              code: strange(),
              cursor_pos: strange(),
              comm_id: strange(),
              target_name: strange(),
              data: strange(),
            }),
          );
        },
        () =>
          codec.encode(
            message(codec, "execute_request", { code: strange() === null ? 5 : null, user_expressions: strange() }),
          ),
        () => recorded,
        () => codec.encode(message(codec, "history_request", { hist_access_type: strange(), pattern: strange() })),
        () =>
          codec.encode({
            ...message(codec, "kernel_info_request", {}),
            header: { ...codec.header("kernel_info_request"), subshell_id: strange() as string },
          }),
      ])();
    context.after(() => {
      for (const socket of sockets) socket.close();
    });
    for (let sent = 0; sent < count; sent++) {
      const socket = sent % 5 === 0 ? pick(sockets) : sockets[0];
      await socket?.send(frames() as Buffer[]);
      if (sent % 500 === 0) await sleep(0);
    }
    await sockets[0]?.send(
      codec.encode({
        ...message(codec, "kernel_info_request", {}),
        buffers: [Buffer.alloc(64 * 1024 * 1024)],
      }) as Buffer[],
    );
    // Requests of clients are read in turn: cells of the other client may still wait, and their failures abort what waits behind.
    let answer: Answer;
    do answer = await client.execute("[mark + 1, pwned]", { timeout: 120_000 });
    while (answer.reply.content.status === "aborted");
    assert.equal(resultText(answer.iopub), "[ 42, 0 ]");
  });
});
