import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { kernelSpec } from "../../kernel/install.js";
import type { KernelClient } from "../../kernel/wire/client.js";
import { Codec } from "../../kernel/wire/codec.js";
import { address } from "../../kernel/wire/connection.js";
import type { Message } from "../../kernel/wire/messages.js";
import { resultText, startKernel, streamText, type TestKernel, typesOf } from "./startKernel.js";

const timeout = 15_000;

describe("what kernels get wrong", { timeout: 120_000 }, () => {
  let kernel: TestKernel;
  let client: KernelClient;
  before(async () => {
    kernel = await startKernel();
    client = kernel.client;
  });
  after(() => kernel.stop());
  const ask = (type: string, content: object = {}, channel: "shell" | "control" = "shell") =>
    client.request(channel, type, content, { timeout });
  const states = (messages: readonly Message[]) =>
    messages.filter((m) => m.header.msg_type === "status").map((m) => m.content.execution_state);

  test("1. interrupt_mode is message", () => assert.equal(kernelSpec().interrupt_mode, "message"));

  test("2. busy and idle surround every request, with its header as parent, aborted ones too", async () => {
    const requests: [string, object, "shell" | "control"][] = [
      ["kernel_info_request", {}, "shell"],
      ["kernel_info_request", {}, "control"],
      ["execute_request", { code: "1" }, "shell"],
      ["complete_request", { code: "Arr", cursor_pos: 3 }, "shell"],
      ["inspect_request", { code: "Array", cursor_pos: 3, detail_level: 0 }, "shell"],
      ["is_complete_request", { code: "1" }, "shell"],
      ["history_request", { hist_access_type: "tail", n: 1, output: false, raw: true }, "shell"],
      ["comm_info_request", {}, "shell"],
      ["list_subshell_request", {}, "control"],
      ["interrupt_request", {}, "control"],
      ["debug_request", { type: "request", seq: 1, command: "debugInfo", arguments: {} }, "control"],
    ];
    for (const [type, content, channel] of requests) {
      const { reply, iopub } = await ask(type, content, channel);
      assert.deepEqual(states(iopub), ["busy", "idle"], type);
      assert.equal(reply.parent?.msg_type, type);
      for (const message of iopub) assert.equal(message.parent?.msg_id, reply.parent?.msg_id, type);
    }
    const [failed, waited] = await Promise.all([
      client.execute("await new Promise((r) => setTimeout(r, 50)); throw new Error('no')", { timeout }),
      client.execute("1", { timeout }),
    ]);
    assert.equal(failed.reply.content.status, "error");
    assert.equal(waited.reply.content.status, "aborted");
    assert.deepEqual(states(waited.iopub), ["busy", "idle"]);
  });

  test("3. cursor_pos counts code points", async () => {
    await client.execute("globalThis.zebraCrossing = { stripes: 1 }", { timeout });
    const code = 'const s = "😀😀"; zebraCros';
    const { reply } = await ask("complete_request", { code, cursor_pos: [...code].length });
    assert.ok((reply.content.matches as string[]).includes("zebraCrossing"));
    assert.equal(reply.content.cursor_start, [...code].length - "zebraCros".length);
    assert.equal(reply.content.cursor_end, [...code].length);
  });

  test("4. every reply has a status", async () => {
    for (const [type, content] of [
      ["complete_request", { code: 5 }],
      ["history_request", { hist_access_type: "nonsense" }],
      ["execute_request", {}],
      ["inspect_request", { code: "nothingOfThisName", cursor_pos: 4 }],
    ] as const) {
      const { reply } = await ask(type, content);
      assert.match(String(reply.content.status), /^(ok|error)$/, type);
    }
  });

  test("5. the signature covers the four JSON frames as received, never the buffers; a bad one is dropped and logged", async () => {
    const { Dealer } = await import("zeromq");
    const socket = new Dealer({ linger: 0, receiveTimeout: 500 });
    socket.connect(address(client.connection, "shell_port"));
    const codec = new Codec(client.connection.key, client.connection.signature_scheme);
    const message = () => ({
      identities: [],
      header: codec.header("kernel_info_request"),
      parent: undefined,
      metadata: {},
      content: {},
      buffers: [Buffer.from("not signed")],
    });
    await socket.send(codec.encode(message()));
    assert.equal(codec.decode(await socket.receive()).header.msg_type, "kernel_info_reply");

    const forged = codec.encode(message());
    forged[5] = Buffer.from('{"forged": true}');
    await socket.send(forged);
    await assert.rejects(socket.receive(), "no answer to a forged message");
    const unsigned = codec.encode(message());
    unsigned[1] = Buffer.from("");
    await socket.send(unsigned);
    await assert.rejects(socket.receive(), "no answer to an unsigned message");
    const replayed = codec.encode(message());
    await socket.send(replayed);
    await socket.receive();
    await socket.send(replayed);
    await assert.rejects(socket.receive(), "no answer to a message played back");
    socket.close();
    assert.match(kernel.log(), /signature/);
    assert.match(kernel.log(), /received before/);
  });

  test("5b. an empty key means an empty signature", () => {
    const codec = new Codec("", "hmac-sha256");
    const header = codec.header("kernel_info_request");
    const frames = codec.encode({ identities: [], header, parent: undefined, metadata: {}, content: {}, buffers: [] });
    assert.equal(String(frames[1]), "");
    assert.equal(codec.decode(frames.map((frame) => Buffer.from(frame))).header.msg_id, header.msg_id);
  });

  test("6. input_request goes to the client that asks only, and only if it allows", async () => {
    const other = await kernel.another();
    let strangers = 0;
    other.listen((channel) => {
      if (channel === "stdin") strangers++;
    });
    const asked = await client.execute("await input('name? ')", { timeout, onInput: (prompt) => `${prompt}Ada` });
    assert.match(String(resultText(asked.iopub)), /name\? Ada/);
    assert.equal(strangers, 0);
    const refused = await client.execute("await input('name? ')", { timeout });
    assert.equal(refused.reply.content.status, "error");
  });

  test("7. optional fields are left out, never null", async () => {
    const nulls = (value: unknown, path: string): string[] =>
      value === null
        ? [path]
        : typeof value === "object"
          ? Object.entries(value).flatMap(([key, part]) => nulls(part, `${path}.${key}`))
          : [];
    const { reply, iopub } = await client.execute("display(1); console.log(2); 3", { timeout });
    const info = await ask("kernel_info_request");
    for (const { content, header } of [reply, ...iopub, info.reply])
      assert.deepEqual(nulls(content, header.msg_type), []);
  });

  test("8. the header's session is the kernel's own, the same in all it says", async () => {
    const { reply, iopub } = await client.execute("1", { timeout });
    const sessions = new Set([reply, ...iopub].map(({ header }) => header.session));
    assert.equal(sessions.size, 1);
    assert.ok(!sessions.has(reply.parent?.session ?? ""));
  });

  test("9. an unknown comm target gets a comm_close on iopub", async () => {
    const closed = new Promise<Message>((resolve) => {
      client.openComm(
        "nobody-registered-this",
        {},
        {
          onIopub: (message) => {
            if (message.header.msg_type === "comm_close") resolve(message);
          },
        },
      );
    });
    assert.equal(typeof (await closed).content.comm_id, "string");
    const { reply } = await ask("comm_info_request");
    assert.deepEqual(reply.content.comms, {});
  });

  test("10. silent suppresses execute_input and the counter, store_history false leaves the counter", async () => {
    const count = async (options: object = {}) =>
      (await client.execute("1", { timeout, ...options })).reply.content.execution_count as number;
    const first = await count();
    const silent = await client.execute("1", { timeout, silent: true });
    assert.deepEqual(typesOf(silent.iopub), ["status", "status"]);
    assert.equal(await count({ storeHistory: false }), first);
    assert.equal(await count(), first + 1);
  });

  test("11. complete_reply carries types in its metadata", async () => {
    await client.execute("globalThis.zebraRun = () => 1", { timeout });
    const { reply } = await ask("complete_request", { code: "zebraR", cursor_pos: 6 });
    const { _jupyter_types_experimental: types } = reply.content.metadata as {
      _jupyter_types_experimental: { text: string; type: string }[];
    };
    assert.equal(types.find(({ text }) => text === "zebraRun")?.type, "function");
  });

  test("12. language_info names TypeScript the way front ends and converters look for it", async () => {
    const { reply } = await ask("kernel_info_request");
    const { version, ...info } = reply.content.language_info as Record<string, unknown>;
    assert.match(String(version), /^\d+\.\d+/);
    assert.deepEqual(info, {
      name: "typescript",
      mimetype: "application/typescript",
      file_extension: ".ts",
      pygments_lexer: "typescript",
      codemirror_mode: "typescript",
      nbconvert_exporter: "script",
    });
  });

  for (const restart of [false, true]) {
    test(`13. ${restart ? "restart" : "shutdown"} is answered, then the process ends`, async () => {
      const { client: own } = await startKernel();
      const ended = once(own.process ?? assert.fail(), "exit");
      const { reply } = await own.request("control", "shutdown_request", { restart }, { timeout });
      assert.deepEqual(reply.content, { status: "ok", restart });
      assert.deepEqual(await ended, [0, null]);
      own.close();
    });
  }

  test("14. every client is welcomed on iopub", async () => {
    for (let i = 0; i < 3; i++) {
      const other = await kernel.another();
      const heard = new Promise<Message>((resolve) => other.listen((_, message) => resolve(message)));
      await other.request("shell", "kernel_info_request", {}, { timeout });
      await heard;
    }
    const { Subscriber } = await import("zeromq");
    const socket = new Subscriber({ receiveTimeout: 5_000, linger: 0 });
    socket.connect(address(client.connection, "iopub_port"));
    socket.subscribe("stream");
    const codec = new Codec(client.connection.key, client.connection.signature_scheme);
    const welcome = codec.decode(await socket.receive());
    assert.equal(welcome.header.msg_type, "iopub_welcome");
    assert.deepEqual(welcome.content, { subscription: "stream" });
    assert.equal(welcome.parent, undefined);
    socket.close();
  });

  test("15. kernel subshells are advertised, and comms run during a busy cell", async () => {
    const info = await ask("kernel_info_request");
    assert.ok((info.reply.content.supported_features as string[]).includes("kernel subshells"));
    await client.execute(
      "Jupyter.comms.register('echo', (comm) => comm.onMessage(({ data }) => comm.send({ heard: data })))",
      { timeout },
    );
    let done = false;
    const busy = client.execute("await new Promise((r) => setTimeout(r, 700))", { timeout }).then(() => {
      done = true;
    });
    const subshell = (await ask("create_subshell_request", {}, "control")).reply.content.subshell_id as string;
    for (const header of [{}, { subshell_id: subshell }]) {
      const comm = client.openComm("echo", {}, { header });
      const answer = new Promise<Message>((resolve) => {
        client.sendComm(comm, { n: 1 }, { header, onIopub: (m) => m.header.msg_type === "comm_msg" && resolve(m) });
      });
      assert.deepEqual((await answer).content.data, { heard: { n: 1 } });
      assert.equal(done, false);
    }
    const beside = await client.execute("6 * 7", { timeout, header: { subshell_id: subshell } });
    assert.equal(resultText(beside.iopub), "42");
    assert.equal(done, false, "a cell of a subshell runs while another awaits");
    await busy;
    await ask("delete_subshell_request", { subshell_id: subshell }, "control");
  });

  test("16. a tight loop of console.log does not flood iopub, and no line is lost", async () => {
    const lines = 20_000;
    const started = performance.now();
    const { iopub } = await client.execute(`for (let i = 0; i < ${lines}; i++) console.log("line", i)`, {
      timeout: 60_000,
    });
    const text = streamText(iopub);
    assert.equal(text.split("\n").length, lines + 1);
    assert.ok(text.endsWith(`line ${lines - 1}\n`));
    const streams = iopub.filter(({ header }) => header.msg_type === "stream").length;
    const seconds = Math.max(1, (performance.now() - started) / 1000);
    assert.ok(streams / seconds < 500, `${streams} messages in ${seconds} s`);
  });

  test("17. the kernelspec's debugger flag says what kernel_info says", async () => {
    const { reply } = await ask("kernel_info_request");
    assert.equal(kernelSpec().metadata.debugger, reply.content.debugger);
  });
});
