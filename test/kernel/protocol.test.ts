import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Dealer } from "zeromq";
import { KernelClient } from "../../kernel/wire/client.js";
import { Codec } from "../../kernel/wire/codec.js";
import { address, newConnection, writeConnection } from "../../kernel/wire/connection.js";
import type { Header, Message } from "../../kernel/wire/messages.js";
import { resultText, startKernel, streamText, type TestKernel, typesOf } from "./startKernel.js";

const timeout = 20_000;

describe("the protocol", { timeout: 180_000 }, () => {
  let kernel: TestKernel;
  let client: KernelClient;
  before(async () => {
    kernel = await startKernel();
    client = kernel.client;
  });
  after(() => kernel.stop());
  const run = (code: string, options: object = {}) => client.execute(code, { timeout, ...options });
  const ask = async (type: string, content: object = {}, channel: "shell" | "control" = "shell") =>
    (await client.request(channel, type, content, { timeout })).reply.content;

  test("a cell's messages come in order: busy, input, output, result, idle", async () => {
    const { reply, iopub } = await run("console.log('a'); console.error('b'); 1 + 1");
    assert.deepEqual(typesOf(iopub), ["status", "execute_input", "stream", "stream", "execute_result", "status"]);
    assert.equal(reply.content.status, "ok");
    assert.match(String(reply.metadata.started), /^\d{4}-/);
  });

  test("an error is broadcast and replied with the same words", async () => {
    const { reply, iopub } = await run("null.x");
    const { ename, evalue, traceback } = iopub.find(({ header }) => header.msg_type === "error")?.content ?? {};
    assert.equal(ename, "TypeError");
    const { execution_count, ...replied } = reply.content;
    assert.deepEqual(replied, { status: "error", ename, evalue, traceback });
    assert.equal(typeof execution_count, "number");
  });

  test("user expressions are evaluated after the cell, each with its own status", async () => {
    const { reply } = await run("const base = 20", { userExpressions: { sum: "base + 1", bad: "nowhere + 1" } });
    const { sum, bad } = reply.content.user_expressions as Record<string, Record<string, unknown>>;
    assert.deepEqual(sum, { status: "ok", data: { "text/plain": "21" }, metadata: {} });
    assert.equal(bad?.status, "error");
    assert.equal(bad?.ename, "ReferenceError");
  });

  test("cells that wait behind a failed one are aborted, unless it says otherwise", async () => {
    const slowFailure = "await new Promise((r) => setTimeout(r, 30)); throw new Error('x')";
    const aborted = await Promise.all([run(slowFailure), run("1"), run("2")]);
    assert.deepEqual(
      aborted.map(({ reply }) => reply.content.status),
      ["error", "aborted", "aborted"],
    );
    const kept = await Promise.all([run(slowFailure, { stopOnError: false }), run("1"), run("2")]);
    assert.deepEqual(
      kept.map(({ reply }) => reply.content.status),
      ["error", "ok", "ok"],
    );
    assert.equal((await run("3")).reply.content.status, "ok", "a cell sent afterwards runs");
    const quiet = await Promise.all([run(slowFailure, { silent: true }), run("4")]);
    assert.deepEqual(
      quiet.map(({ reply }) => reply.content.status),
      ["error", "ok"],
      "a silent failure is nobody's business",
    );
  });

  test("control, shell questions and the heartbeat are answered while a cell loops; interrupt stops it and keeps state", async () => {
    await run("let kept = 41");
    const looping = run("for (;;) {}");
    await sleep(100);
    assert.equal((await ask("kernel_info_request", {}, "control")).status, "ok");
    assert.equal((await ask("kernel_info_request")).status, "ok");
    assert.equal(
      (await ask("history_request", { hist_access_type: "tail", n: 1, output: false, raw: true })).status,
      "ok",
    );
    assert.equal((await ask("is_complete_request", { code: "f(" })).status, "incomplete");
    assert.ok((await client.ping()) < 1_000);
    const waiting = run("1");
    await client.interrupt();
    const { reply } = await looping;
    assert.equal(reply.content.ename, "KeyboardInterrupt");
    assert.equal((await waiting).reply.content.status, "aborted");
    assert.equal(resultText((await run("kept + 1")).iopub), "42");
  });

  test("a cell sent after the answer to an interrupt runs", async () => {
    for (let round = 0; round < 5; round++) {
      const waiting = run("await new Promise(() => {})");
      await sleep(30);
      await client.interrupt();
      assert.equal(resultText((await run("1 + 1")).iopub), "2");
      assert.equal((await waiting).reply.content.ename, "KeyboardInterrupt");
    }
  });

  test("what waits is aborted when a cell is interrupted, what comes while it ends is not", {
    skip: process.platform === "win32" && "no signals on Windows",
  }, async () => {
    const stubborn = run("require('child_process').execSync('trap \"\" INT; sleep 0.5; true')");
    const before = run("'before'");
    await sleep(150);
    client.send("control", "interrupt_request", {});
    await sleep(50);
    assert.equal(resultText((await run("'meanwhile'")).iopub), "'meanwhile'");
    assert.equal((await stubborn).reply.content.status, "error");
    assert.equal((await before).reply.content.status, "aborted");
  });

  test("cells on control run beside a cell of the shell that awaits, one after the other", async () => {
    const waiting = run("await new Promise((resolve) => { globalThis.letGo = resolve })");
    const slow = ask(
      "execute_request",
      { code: "await new Promise((r) => setTimeout(r, 60)); var order = [1]" },
      "control",
    );
    const quick = ask("execute_request", { code: "order.push(2); letGo(order.join())" }, "control");
    assert.deepEqual([(await slow).status, (await quick).status], ["ok", "ok"]);
    assert.equal(resultText((await waiting).iopub), "'1,2'");
  });

  test("two requests of one id may run at once", async () => {
    const { subshell_id } = await ask("create_subshell_request", {}, "control");
    const code = "await new Promise((r) => setTimeout(r, 50))";
    const header = { msg_id: "twice", msg_type: "execute_request" };
    const answers = [{}, { subshell_id: String(subshell_id) }].map(async (where) => {
      const socket = new Dealer({ linger: 0 });
      const { content } = await askThrough(socket, { ...header, ...where }, { code });
      socket.close();
      return content.status;
    });
    assert.deepEqual(await Promise.all(answers), ["ok", "ok"]);
    await ask("delete_subshell_request", { subshell_id }, "control");
  });

  test("SIGINT interrupts as the message does", {
    skip: process.platform === "win32" && "no SIGINT on Windows",
  }, async () => {
    const waiting = run("await new Promise(() => {})");
    await sleep(150);
    client.process?.kill("SIGINT");
    assert.equal((await waiting).reply.content.ename, "KeyboardInterrupt");
    assert.equal(resultText((await run("kept")).iopub), "41");
  });

  test("several clients: all hear broadcasts, each gets its own replies, cells take turns", async () => {
    const other = await kernel.another();
    const heard: string[] = [];
    other.listen((channel, message) => {
      if (channel === "iopub" && message.header.msg_type === "stream") heard.push(String(message.content.text));
    });
    const [mine, theirs] = await Promise.all([
      run("console.log('mine'); await new Promise((r) => setTimeout(r, 50)); 'm'"),
      other.execute("console.log('theirs'); 't'", { timeout }),
    ]);
    assert.match(resultText(mine.iopub) ?? "", /m/);
    assert.match(resultText(theirs.iopub) ?? "", /t/);
    assert.deepEqual(streamText(mine.iopub), "mine\n");
    assert.deepEqual(heard.join(""), "mine\ntheirs\n");
  });

  test("late output belongs to the cell that started it", async () => {
    const late = new Promise<Message>((resolve) => {
      void run("setTimeout(() => console.log('late'), 150)", {
        onIopub: (message: Message) => message.header.msg_type === "stream" && resolve(message),
      });
    });
    await run("1");
    assert.equal((await late).content.text, "late\n");
  });

  test("comm messages keep buffers, and status has their parent", async () => {
    await run(
      "Jupyter.comms.register('sum', (comm) => comm.onMessage(({ buffers }) => { const v = buffers[0]; const f = new Float32Array(v.buffer, v.byteOffset, v.byteLength / 4); comm.send({ sum: f.reduce((a, b) => a + b) }, { buffers: [new Uint8Array([7, 8])] }) }))",
    );
    const comm = client.openComm("sum");
    const messages: Message[] = [];
    await new Promise<void>((resolve) => {
      client.sendComm(
        comm,
        {},
        {
          buffers: [new Uint8Array(new Float32Array([1, 2, 3.5]).buffer)],
          onIopub: (message) => {
            messages.push(message);
            if (message.content.execution_state === "idle") resolve();
          },
        },
      );
    });
    assert.deepEqual(typesOf(messages), ["status", "comm_msg", "status"]);
    assert.deepEqual(messages[1]?.content.data, { sum: 6.5 });
    assert.deepEqual([...(messages[1]?.buffers[0] ?? [])], [7, 8]);
    assert.deepEqual(await ask("comm_info_request", { target_name: "sum" }), {
      status: "ok",
      comms: { [comm]: { target_name: "sum" } },
    });
    assert.deepEqual(await ask("comm_info_request", { target_name: "other" }), { status: "ok", comms: {} });
    client.closeComm(comm);
    await sleep(50);
    assert.deepEqual(await ask("comm_info_request"), { status: "ok", comms: {} });
  });

  test("a comm for a target that a waiting cell will register waits for that cell", async () => {
    const first = run("await new Promise((r) => setTimeout(r, 80))");
    const second = run("Jupyter.comms.register('soon', (comm) => comm.send({ here: true }))");
    const opened = new Promise<Message>((resolve) => {
      client.openComm("soon", {}, { onIopub: (m) => m.header.msg_type.startsWith("comm_") && resolve(m) });
    });
    await Promise.all([first, second]);
    const { header, content } = await opened;
    assert.equal(header.msg_type, "comm_msg");
    assert.deepEqual(content.data, { here: true });
  });

  test("questions sent behind a short cell are answered after it; a long cell does not hold them up", async () => {
    const order: string[] = [];
    const told = async (name: string, answer: Promise<{ reply: Message }>) => {
      const { reply } = await answer;
      order.push(`${name} ${reply.content.status}`);
      return reply;
    };
    const shell = (type: string, content: object = {}) => client.request("shell", type, content, { timeout });
    const [, , , , inspected] = await Promise.all([
      told("cell", run("await new Promise((r) => setTimeout(r, 100)); var madeJustNow = 5; throw new Error('fails')")),
      told("aborted", run("1")),
      told("info", shell("kernel_info_request")),
      told("comms", shell("comm_info_request")),
      told("inspect", shell("inspect_request", { code: "madeJustNow", cursor_pos: 4 })),
    ]);
    assert.deepEqual(order, ["cell error", "aborted aborted", "info ok", "comms ok", "inspect ok"]);
    assert.equal(inspected?.content.found, true);
    const long = run("await new Promise((r) => (globalThis.finish = r))");
    await shell("kernel_info_request");
    const subshell = await client.request("control", "create_subshell_request", {}, { timeout });
    const header = { subshell_id: subshell.reply.content.subshell_id };
    await run("finish()", { header });
    assert.equal((await long).reply.content.status, "ok");
    await client.request("control", "delete_subshell_request", header, { timeout });
  });

  test("subshells: made, listed, used side by side, deleted", async () => {
    const create = async () => String((await ask("create_subshell_request", {}, "control")).subshell_id);
    const [one, two] = [await create(), await create()];
    assert.deepEqual((await ask("list_subshell_request", {}, "control")).subshell_id, [one, two]);
    const wait = "await new Promise((r) => setTimeout(r, 200)); ";
    await run("globalThis.arrived = 0");
    const meet = "arrived++; while (arrived < 3) await new Promise((r) => setTimeout(r, 5)); ";
    const results = await Promise.all([
      run(`${meet}'main'`),
      run(`${meet}'one'`, { header: { subshell_id: one } }),
      run(`${meet}'two'`, { header: { subshell_id: two } }),
    ]);
    assert.deepEqual(
      results.map(({ iopub }) => resultText(iopub)),
      ["'main'", "'one'", "'two'"],
    );
    const counts = results.map(({ reply }) => reply.content.execution_count);
    assert.equal(new Set(counts).size, 3);
    const [failed, beside] = await Promise.all([
      run(`${wait}throw new Error('only here')`, { header: { subshell_id: one } }),
      run(`${wait}1`),
    ]);
    assert.equal(failed.reply.content.status, "error");
    assert.equal(beside.reply.content.status, "ok", "an error aborts its own subshell only");
    for (const subshell_id of [one, two])
      assert.equal((await ask("delete_subshell_request", { subshell_id }, "control")).status, "ok");
    assert.deepEqual((await ask("list_subshell_request", {}, "control")).subshell_id, []);
    assert.equal((await ask("delete_subshell_request", { subshell_id: one }, "control")).status, "error");
    assert.equal((await run("1", { header: { subshell_id: one } })).reply.content.status, "error");
    const elsewhere = { timeout, header: { subshell_id: one } };
    const { reply } = await client.request("shell", "kernel_info_request", {}, elsewhere);
    assert.equal(reply.header.msg_type, "kernel_info_reply");
    assert.match(String(reply.content.evalue), /subshell_id is/);
  });

  test("password questions say so, and an answer that nobody asked for is ignored", async () => {
    client.send("stdin", "input_reply", { value: "too early" });
    const asked: [string, boolean][] = [];
    const { iopub } = await run("[await input('a? '), await input('b? ', { password: true })].join('+')", {
      onInput: (prompt: string, password: boolean) => {
        asked.push([prompt, password]);
        return prompt.slice(0, 1);
      },
    });
    assert.deepEqual(asked, [
      ["a? ", false],
      ["b? ", true],
    ]);
    assert.equal(resultText(iopub), "'a+b'");
  });

  test("a second answer to one question is not taken for the answer to the next", async () => {
    const questions: Header[] = [];
    const stop = client.listen((channel, { header }) => {
      if (channel !== "stdin") return;
      questions.push(header);
      if (questions.length === 2) client.send("stdin", "input_reply", { value: "late" }, {}, questions[0]);
    });
    const { iopub } = await run("[prompt('a'), prompt('b')].join()", {
      onInput: (prompt: string) => sleep(prompt === "b" ? 100 : 0, prompt),
    });
    stop();
    assert.equal(resultText(iopub), "'a,b'");
  });

  test("a request that says nothing of stdin is not asked", async () => {
    for (const code of ["await input('anybody?')", "prompt('anybody?')"])
      assert.equal((await ask("execute_request", { code })).ename, "StdinNotImplementedError");
  });

  test("a header may hold its id and its type only, and is echoed as it came", async () => {
    const header = { msg_id: "few-fields", msg_type: "kernel_info_request" };
    const socket = new Dealer({ linger: 0 });
    assert.deepEqual((await askThrough(socket, header)).parent, header);
    socket.close();
  });

  test("a client that comes again under its old identity is answered", async () => {
    const sockets = [1, 2, 3].map(() => new Dealer({ linger: 0, routingId: "the same" }));
    for (const [index, socket] of sockets.entries())
      await askThrough(socket, { msg_id: `again ${index}`, msg_type: "kernel_info_request" });
    for (const socket of sockets) socket.close();
  });

  test("a cell that asks a client without a stdin channel fails and says so", async () => {
    const socket = new Dealer({ linger: 0 });
    const header = { msg_id: "deaf", msg_type: "execute_request" };
    const { content } = await askThrough(socket, header, { code: "prompt('anybody?')", allow_stdin: true });
    assert.match(String(content.evalue), /does not listen on the stdin channel/);
    socket.close();
  });

  test("frames behind a client's identity come back with the reply, and an answer may bring others", async () => {
    const identity = { linger: 0, routingId: "with hops" };
    const [shell, stdin] = [new Dealer(identity), new Dealer(identity)];
    const hops = (...names: string[]) => names.map((name) => Buffer.from(name));
    stdin.connect(address(client.connection, "stdin_port"));
    const header = { msg_id: "hops", msg_type: "execute_request" };
    const asking = askThrough(shell, header, { code: "prompt('q')", allow_stdin: true }, hops("first", "second"));
    const [hop] = await stdin.receive();
    assert.equal(String(hop), "first");
    const reply = { msg_id: "answer", msg_type: "input_reply" };
    await stdin.send([...hops("other"), ...encoded(reply, { value: "a" })]);
    const { identities, content } = await asking;
    assert.deepEqual([identities.map(String), content.status], [["first", "second"], "ok"]);
    for (const socket of [shell, stdin]) socket.close();
  });

  test("answers that name no question go to the questions in the order they were asked", async () => {
    const identity = { linger: 0, routingId: "names nothing" };
    const [shell, stdin] = [new Dealer(identity), new Dealer(identity)];
    stdin.connect(address(client.connection, "stdin_port"));
    const header = { msg_id: "two questions", msg_type: "execute_request" };
    const code = "(await Promise.all([input('a'), input('b')])).join()";
    const asking = askThrough(shell, header, { code: "", user_expressions: { code }, allow_stdin: true });
    await stdin.receive();
    await stdin.receive();
    for (const value of ["first", "second"])
      await stdin.send(encoded({ msg_id: value, msg_type: "input_reply" }, { value }));
    assert.match(JSON.stringify((await asking).content), /'first,second'/);
    for (const socket of [shell, stdin]) socket.close();
  });

  function encoded(header: Header, content: object, identities: Buffer[] = []): Buffer[] {
    const { key, signature_scheme } = client.connection;
    const message = { identities, header, parent: undefined, metadata: {}, content, buffers: [] };
    return new Codec(key, signature_scheme).encode(message) as Buffer[];
  }

  /** Sends a request with little in its header, and returns the reply. */
  async function askThrough(socket: Dealer, header: Header, content = {}, hops: Buffer[] = []): Promise<Message> {
    const { key, signature_scheme } = client.connection;
    socket.connect(address(client.connection, "shell_port"));
    socket.receiveTimeout = timeout;
    await socket.send(encoded(header, content, hops));
    return new Codec(key, signature_scheme).decode(await socket.receive());
  }

  test("50 MB of output arrive whole", async () => {
    const { iopub } = await run("for (let i = 0; i < 50; i++) process.stdout.write(String(i % 10).repeat(1_000_000))", {
      timeout: 60_000,
    });
    const text = streamText(iopub);
    assert.equal(text.length, 50_000_000);
    for (let i = 0; i < 50; i++) assert.equal(text[i * 1_000_000 + 500_000], String(i % 10));
  });

  test("stdout and stderr in alternation: all arrives, each in order, in few messages", async () => {
    const lines = 5_000;
    const started = performance.now();
    const { iopub } = await run(`for (let i = 0; i < ${lines}; i++) { console.log("o" + i); console.error("e" + i); }`);
    const expected = (letter: string) => Array.from({ length: lines }, (_, i) => `${letter}${i}\n`).join("");
    assert.equal(streamText(iopub, "stdout"), expected("o"));
    assert.equal(streamText(iopub, "stderr"), expected("e"));
    const seconds = (performance.now() - started) / 1000;
    assert.ok(iopub.length < 500 + 400 * seconds, `${iopub.length} messages in ${seconds} s`);
  });

  test("connection and usage are told to those who ask", async () => {
    assert.equal((await ask("connect_request")).shell_port, client.connection.shell_port);
    await ask("usage_request", {}, "control");
    await run("for (const end = Date.now() + 300; Date.now() < end; );");
    const { status, kernel_memory, kernel_cpu } = await ask("usage_request", {}, "control");
    assert.equal(status, "ok");
    assert.ok(Number(kernel_memory) > 10_000_000);
    assert.ok(Number(kernel_cpu) > 15, `a cell that worked took ${kernel_cpu} % of a processor`);
  });

  test("a broadcast's topic names the kernel and the type; a stream's, the stream", async () => {
    const topics = new Set<string>();
    const stop = client.listen((channel, { identities }) => {
      if (channel === "iopub") topics.add(String(identities[0]));
    });
    const { reply } = await run("console.log(1); 2");
    stop();
    const types = ["status", "execute_input", "execute_result"];
    const named = types.map((type) => `kernel.${reply.header.session}.${type}`);
    assert.deepEqual([...topics].sort(), [...named, "stream.stdout"].sort());
  });

  test("a shutdown request that is not understood shuts nothing down", async () => {
    assert.equal((await ask("shutdown_request", { restart: "perhaps" }, "control")).status, "error");
    await sleep(100);
    assert.equal(resultText((await run("2 + 2")).iopub), "4");
  });

  test("an unknown type of message is logged, and the kernel goes on", async () => {
    client.send("shell", "make_coffee_request", {});
    assert.equal((await ask("kernel_info_request")).status, "ok");
    assert.match(kernel.log(), /make_coffee_request/);
  });

  test("a session that dies between cells is reported under the latest cell", async () => {
    const told = new Promise<Message>((resolve) => {
      void run("setTimeout(() => process.exit(5), 50)", {
        onIopub: (message: Message) => message.header.msg_type === "stream" && resolve(message),
      });
    });
    assert.match(String((await told).content.text), /session ended.*process\.exit\(5\)/);
    assert.equal(resultText((await run("1 + 1")).iopub), "2");
  });

  test("a cell that ends the process is explained; the session starts anew and P goes on", async () => {
    const pid = client.process?.pid;
    const { reply, iopub } = await run("let gone = 1; process.exit(3)");
    assert.equal(reply.content.status, "error");
    assert.match(`${reply.content.evalue}`, /process\.exit\(3\)/);
    assert.ok(typesOf(iopub).includes("error"));
    const after = await run("typeof gone");
    assert.equal(resultText(after.iopub), "'undefined'");
    assert.equal(client.process?.pid, pid);
    assert.ok(Number(after.reply.content.execution_count) > Number(reply.content.execution_count));
  });

  test("?name in a cell opens the pager with what the language service knows, once it has started", async () => {
    await kernel.client.execute("/** Doubles. */ function doubling(x: number, by = 2): number { return x * by }");
    let page = "";
    for (let tries = 0; tries < 60 && !page.includes("Doubles."); tries++) {
      if (tries > 0) await sleep(250);
      const { reply } = await kernel.client.execute("doubling?");
      page = JSON.stringify(reply.content.payload);
    }
    assert.match(page, /"source":"page".*function doubling\(x: number, by\?: number\): number.*Doubles\./);
  });
});

describe("the kernel's life", { timeout: 60_000 }, () => {
  test("history is kept across restarts of the kernel", async () => {
    const folder = mkdtempSync(join(tmpdir(), "history-"));
    const env = { POLICYSCOPE_HISTORY: folder };
    {
      await using kernel = await startKernel({ env });
      await kernel.client.execute("const remembered = 1", { timeout });
      await kernel.client.execute("6 * 7", { timeout });
      await kernel.client.execute("'not this'", { timeout, storeHistory: false });
    }
    {
      await using kernel = await startKernel({ env });
      const ask = async (content: object) =>
        (await kernel.client.request("shell", "history_request", { raw: true, output: false, ...content }, { timeout }))
          .reply.content.history;
      assert.deepEqual(await ask({ hist_access_type: "tail", n: 5 }), [
        [1, 1, "const remembered = 1"],
        [1, 2, "6 * 7"],
      ]);
      assert.deepEqual(await ask({ hist_access_type: "range", session: -1, start: 2, stop: 3, output: true }), [
        [1, 2, ["6 * 7", "42"]],
      ]);
      assert.deepEqual(await ask({ hist_access_type: "search", pattern: "*remembered*", n: 1 }), [
        [1, 1, "const remembered = 1"],
      ]);
    }
    rmSync(folder, { recursive: true });
  });

  test("a cell whose reply was sent is in the history, though the kernel is killed at once", async () => {
    const folder = mkdtempSync(join(tmpdir(), "history-"));
    const env = { POLICYSCOPE_HISTORY: folder };
    const killed = await startKernel({ env });
    await killed.client.execute("'kept'", { timeout });
    killed.client.kill();
    killed.client.close();
    await using kernel = await startKernel({ env });
    const tail = { raw: true, output: true, hist_access_type: "tail", n: 1 };
    const { reply } = await kernel.client.request("shell", "history_request", tail, { timeout });
    assert.deepEqual(reply.content.history, [[1, 1, ["'kept'", "'kept'"]]]);
    rmSync(folder, { recursive: true });
  });

  test("what a client asks before the kernel listens is answered and heard whole; what it asks before shutdown, too", async () => {
    const folder = mkdtempSync(join(tmpdir(), "early-"));
    const file = join(folder, "connection.json");
    writeConnection(file, await newConnection());
    const early = await KernelClient.connect(file);
    const heard: Message[] = [];
    early.listen((channel, message) => {
      if (channel === "iopub") heard.push(message);
    });
    const silent = early.execute("", { timeout, silent: true });
    const first = early.execute("console.log('early'); 1", { timeout });
    const env = { ...process.env, POLICYSCOPE_HISTORY: "off" };
    const child = spawn(process.execPath, ["dist/kernel/main.js", file], { stdio: "ignore", env });
    const ended = once(child, "exit");
    assert.equal((await silent).reply.content.execution_count, 0, "nothing was counted yet");
    const { reply, iopub } = await first;
    assert.equal(reply.content.execution_count, 1);
    assert.deepEqual(typesOf(iopub), ["status", "execute_input", "stream", "execute_result", "status"]);
    const states = heard.flatMap(({ content }) => content.execution_state ?? []);
    assert.deepEqual(states, ["starting", "busy", "idle", "busy", "idle"]);
    const subshell = await early.request("control", "create_subshell_request", {}, { timeout });
    const header = { subshell_id: subshell.reply.content.subshell_id };
    const endless = early.execute("await new Promise(() => {})", { timeout, header });
    const waiting = early.execute("'never'", { timeout, header });
    const last = early.execute("await new Promise((r) => setTimeout(r, 50)); console.log('last')", { timeout });
    const shutdown = early.request("shell", "shutdown_request", { restart: false }, { timeout });
    assert.equal(streamText((await last).iopub), "last\n", "on shell, shutdown waits its turn");
    assert.equal((await shutdown).reply.content.status, "ok");
    assert.equal((await endless).reply.content.ename, "SessionEnded");
    assert.equal((await waiting).reply.content.status, "aborted");
    await ended;
    early.close();
    rmSync(folder, { recursive: true });
  });

  test("it ends when the process that started it is killed", {
    skip: process.platform === "win32" && "POSIX only",
  }, async () => {
    const file = join(mkdtempSync(join(tmpdir(), "orphan-")), "connection.json");
    writeConnection(file, await newConnection());
    const code = `
      const { spawn } = require("node:child_process");
      const child = spawn(process.execPath, ["dist/kernel/main.js", ${JSON.stringify(file)}], { stdio: ["ignore", "inherit", "inherit"] });
      console.log(child.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "pipe"] });
    const [line] = await once(parent.stdout.setEncoding("utf8"), "data");
    const pid = Number(line);
    const client = await KernelClient.connect(file);
    await client.ready(30_000);
    client.close();
    parent.kill("SIGKILL");
    parent.stdout.destroy();
    parent.stderr.destroy();
    const alive = () => {
      try {
        return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
      } catch {
        try {
          return process.platform !== "linux" && process.kill(pid, 0);
        } catch {
          return false;
        }
      }
    };
    for (let tries = 0; alive() && tries < 80; tries++) await sleep(100);
    assert.equal(alive(), false);
  });

  test("it ends with the process that Jupyter names, though another one started it; a process id nobody knows is none", async () => {
    const named = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    const start = async (pid: number | undefined) => {
      const file = join(mkdtempSync(join(tmpdir(), "named-")), "connection.json");
      writeConnection(file, await newConnection());
      const env = { ...process.env, JPY_PARENT_PID: String(pid), POLICYSCOPE_HISTORY: "off" };
      const child = spawn(process.execPath, ["dist/kernel/main.js", file], { stdio: "ignore", env });
      const connected = await KernelClient.connect(file);
      await connected.ready(timeout);
      return { child, connected };
    };
    const [ours, unknown] = await Promise.all([start(named.pid), start(4_194_303)]);
    const ended = once(ours.child, "exit");
    named.kill();
    assert.deepEqual(await ended, [0, null]);
    await unknown.connected.ping();
    await unknown.connected.shutdown();
    ours.connected.close();
  });

  test("ipc sockets serve as tcp ones do", {
    skip: process.platform === "win32" && "no ipc sockets on Windows",
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "ipc-"));
    const file = join(folder, "connection.json");
    writeConnection(file, { ...(await newConnection()), transport: "ipc", ip: join(folder, "socket") });
    const child = spawn(process.execPath, ["dist/kernel/main.js", file], { stdio: "ignore" });
    const client = await KernelClient.connect(file);
    await client.ready(20_000);
    assert.equal(resultText((await client.execute("6 * 7", { timeout })).iopub), "42");
    const ended = once(child, "exit");
    await client.shutdown();
    await ended;
    assert.deepEqual(readdirSync(folder), ["connection.json"], "no socket is left behind");
    rmSync(folder, { recursive: true });
  });

  test("a port that is taken is named, and nothing is left running", async () => {
    await using kernel = await startKernel();
    const file = join(mkdtempSync(join(tmpdir(), "taken-")), "connection.json");
    writeConnection(file, kernel.client.connection);
    const child = spawn(process.execPath, ["dist/kernel/main.js", file], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    assert.deepEqual(await once(child, "close"), [1, null]);
    assert.match(said, /cannot listen on tcp:\/\/127\.0\.0\.1:\d+/);
  });
});
