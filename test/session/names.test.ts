import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { notebook, until } from "./notebook.js";

describe("names a cell sees", () => {
  const book = notebook({ answer: async (prompt, password) => `${prompt}/${password}` });
  const { run, session } = book;
  after(() => session.dispose());

  it("prompt blocks for a line, input awaits one, both with a password form", async () => {
    assert.equal((await run("prompt('name')")).text, "'name/false'");
    assert.equal((await run("await input('name', { password: true })")).text, "'name/true'");
    assert.equal(
      (await run("const all = [prompt('a'), prompt('b'), await input('c')]; all")).text,
      "[ 'a/false', 'b/false', 'c/false' ]",
    );
  });

  it("the same names can be imported, and say outside of a notebook that there is none", async () => {
    const imported = await run(
      "import { display as show, input as ask, prompt as askNow, Jupyter as door } from 'policyscope/kernel'; show(7);\n[await ask('a'), askNow('b'), door.comms === Jupyter.comms]",
    );
    assert.equal(imported.text, "[ 'a/false', 'b/false', true ]");
    assert.ok(imported.messages.some(({ msgType }) => msgType === "display_data"));
    const outside = await import("../../kernel/index.js");
    for (const use of [() => outside.display(1), () => outside.prompt(), () => outside.Jupyter.comms])
      assert.throws(use, /needs the policyscope kernel/);
  });

  it("prompt says so when the front end takes no input", async () => {
    const { outcome } = await run("prompt('x')", { allowStdin: false });
    assert.equal(outcome.status === "error" && outcome.ename, "StdinNotImplementedError");
  });

  it("comms go both ways with buffers, while a cell awaits", async () => {
    const running = run(
      "const got: unknown[] = [];\nconst comm = Jupyter.comms.open('target', { hello: 1 }, { metadata: { m: 1 }, buffers: [new Uint8Array([1, 2])] });\nawait new Promise<void>(done => comm.onMessage(({ data, buffers, metadata }) => { got.push(data, buffers[0].getUint8(1), metadata); comm.send({ pong: 1 }, { buffers: [new Float32Array([1.5])] }); done() }));\ngot",
    );
    await until(() => book.all.some(({ msgType }) => msgType === "comm_open"), "the comm");
    const open = book.all.find(({ msgType }) => msgType === "comm_open");
    assert.deepEqual(
      [open?.content.target_name, open?.content.data, open?.metadata, [...(open?.buffers[0] ?? [])]],
      ["target", { hello: 1 }, { m: 1 }, [1, 2]],
    );
    const id = String(open?.content.comm_id);
    assert.deepEqual([...session.comms()], [[id, "target"]]);
    await session.comm({
      msgType: "comm_msg",
      content: { comm_id: id, data: { ping: 1 } },
      metadata: { f: 2 },
      buffers: [new Uint8Array([7, 8])],
      parent: { cell: 900 },
    });
    assert.equal((await running).text, "[ { ping: 1 }, 8, { f: 2 } ]");
    const sent = book.all.find(({ msgType }) => msgType === "comm_msg");
    assert.equal(sent?.parent?.cell, 900);
    assert.equal(new Float32Array(Uint8Array.from(sent?.buffers[0] ?? []).buffer)[0], 1.5);
    await session.comm({
      msgType: "comm_close",
      content: { comm_id: id },
      metadata: {},
      buffers: [],
      parent: { cell: 901 },
    });
    assert.equal(session.comms().size, 0);
  });

  it("comms that a front end opens reach their registered target; unknown ones are closed", async () => {
    await run(
      "Jupyter.comms.register('mine', (comm, open) => { console.log('opened', open.data); comm.onMessage(({ data }) => comm.send({ echo: data })); comm.onClose(() => console.log('closed')) })",
    );
    const parent = { cell: 910 };
    const send = (msgType: "comm_open" | "comm_msg" | "comm_close", content: object): Promise<void> =>
      session.comm({ msgType, content: content as Record<string, unknown>, metadata: {}, buffers: [], parent });
    await send("comm_open", { comm_id: "c1", target_name: "mine", data: { v: 1 } });
    await send("comm_msg", { comm_id: "c1", data: { v: 2 } });
    await send("comm_close", { comm_id: "c1", data: {} });
    await send("comm_open", { comm_id: "c2", target_name: "nobody", data: {} });
    await until(() => book.of(910).some(({ msgType }) => msgType === "comm_close"), "the refusal");
    assert.deepEqual(book.of(910).filter(({ msgType }) => msgType === "comm_msg")[0]?.content.data, { echo: { v: 2 } });
    await until(() => book.output(910) === "opened { v: 1 }\nclosed\n", "output of handlers");
    const refused = async (code: string) => (await run(code)).outcome;
    assert.match(JSON.stringify(await refused("Jupyter.comms.register('mine', 5)")), /is a function .*not number/);
    assert.match(JSON.stringify(await refused("Jupyter.comms.register()")), /non-empty string, not undefined/);
  });

  it("runtime completion and inspection run no getter and no proxy trap", async () => {
    await run(
      "let trapped = 0; const object = { plain: { deep: 1 }, get danger() { trapped++; return 1 }, method(x: number) { return x } }; const proxy = new Proxy({}, { get() { trapped++; return 1 }, ownKeys() { trapped++; return [] }, getPrototypeOf() { trapped++; return null } }); class Made { get [Symbol.toStringTag]() { trapped++; return 'x' } }; const made = new Made()",
    );
    const names = ((await session.runtimeComplete("object")) ?? []).map(({ name, type }) => `${name}:${type}`);
    for (const expected of ["plain:instance", "danger:property", "method:function", "toString:function"])
      assert.ok(names.includes(expected), expected);
    assert.deepEqual(await session.runtimeComplete("proxy"), []);
    assert.deepEqual(await session.runtimeComplete("object.danger"), []);
    assert.ok((await session.runtimeComplete(""))?.some(({ name }) => name === "object"));
    assert.match(String((await session.runtimeInspect("object"))?.["text/plain"]), /danger: \[Getter\]/);
    assert.equal((await session.runtimeInspect("object.plain.deep"))?.["text/plain"], "1");
    assert.deepEqual(await session.runtimeInspect("object.danger"), {});
    await session.runtimeInspect("proxy");
    await session.runtimeInspect("made", 1);
    assert.equal((await run("trapped")).text, "0");
  });

  it("an inspected value shows what a Map, a Set, a RegExp and a function's head hold", async () => {
    await run(
      "const held = new Map([['k', new Set([1])]]); const matcher = /a\\/b/gi; function headed(a = ')', { b } = {}) { return a }",
    );
    const seen = async (name: string) => (await session.runtimeInspect(name))?.["text/plain"];
    assert.equal(await seen("held"), "Map(1) { 'k' => Set(1) { 1 } }");
    await run("var rows = [{ n: 1, 'two words': { deep: {} } }]; rows.push(rows)");
    assert.equal(
      await seen("rows"),
      "Array(2) [{ n: 1, 'two words': [Object] }, Array(2) [[Object], Array(2) [[Object], [Array(2)]]]]",
    );
    assert.equal(await seen("matcher"), "/a\\/b/gi");
    assert.match(String(await seen("headed")), /^function headed\(a = ["']\)["'], \{ b \} = \{\}\)$/);
  });

  it("the DevTools protocol works while a cell is busy", async () => {
    const running = run("{ const end = Date.now() + 500; while (Date.now() < end); }");
    const started = performance.now();
    const { result } = (await session.cdp("Runtime.evaluate", { expression: "6 * 7" })) as {
      result: { value: number };
    };
    assert.equal(result.value, 42);
    assert.ok(performance.now() - started < 450);
    await running;
    await assert.rejects(session.cdp("No.such"), /wasn't found/);
  });
});
