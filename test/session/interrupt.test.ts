import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { ExecuteOutcome } from "../../kernel/session/handle.js";
import { notebook, sleep } from "./notebook.js";

describe("interrupt", () => {
  const book = notebook();
  const { run, interrupted } = book;
  const folder = mkdtempSync(join(tmpdir(), "interrupt-"));
  const busyModule = JSON.stringify(join(folder, "busy.cjs"));
  after(async () => {
    await book.session.dispose();
    rmSync(folder, { recursive: true });
  });

  const waits: Record<string, string> = {
    "a busy loop": "while (true) {}",
    "a busy loop after an await": "await null; for (;;) {}",
    "a busy loop after native work": "await (await import('node:fs/promises')).readFile('package.json'); for (;;) {}",
    "a loop that only awaits": "for (;;) await null",
    "an await that never settles": "await new Promise(() => {})",
    "a sleeping loop": "for (;;) await new Promise(r => setTimeout(r, 5))",
    "timers/promises": "import { setTimeout as pause } from 'node:timers/promises'; await pause(20_000)",
    "a busy timer": "setTimeout(() => { for (;;) {} }, 1); await new Promise(() => {})",
    "a busy I/O callback":
      "require('node:fs').readFile('package.json', () => { for (;;) {} }); await new Promise(() => {})",
    "a regular expression": "/(a+)+$/.test('a'.repeat(60) + 'b')",
    "a loop that prints": "for (;;) console.log('x')",
    "a synchronous child process": "require('node:child_process').execSync('sleep 20')",
    "a child process":
      "import { spawn } from 'node:child_process'; await new Promise(r => spawn('sleep', ['20']).on('exit', r))",
    "a loop of ticks": "process.nextTick(function again() { process.nextTick(again) }); await new Promise(() => {})",
    "a loop that piles up immediates": "for (;;) setImmediate(() => {}), await null",
    "a storm of microtasks": "(function again() { queueMicrotask(again) })(); await new Promise(() => {})",
    "a loop that catches everything": "for (;;) { try { for (;;) {} } catch {} finally { for (;;) {} } }",
    "a loop of native clones":
      "const many = Array.from({ length: 1e4 }, (_, i) => ({ i })); for (;;) structuredClone(many)",
    "a module being required": `require('node:fs').writeFileSync(${busyModule}, 'for (;;) {}'); require(${busyModule})`,
    "that module, required again": `require(${busyModule})`,
    "a display that never ends": "({ [Symbol.for('Jupyter.display')]: () => new Promise(() => {}) })",
    "an inspection that loops": "console.log({ [Symbol.for('nodejs.util.inspect.custom')]() { for (;;) {} } })",
    "a busy interval": "setInterval(() => { for (let i = 0; i < 1e8; i++); }, 1); await new Promise(() => {})",
    prompt: "prompt('never answered')",
    "prompt, asked again and again": "for (;;) { try { prompt('never answered') } catch {} }",
    input: "await input('never answered')",
    "Atomics.wait": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
  };
  for (const [what, code] of Object.entries(waits)) {
    it(`stops ${what} and keeps the state`, async () => {
      const silent = notebookFor(what);
      await silent.run("let kept = 'kept'");
      const ran = await silent.interrupted(code);
      assert.ok(ran.outcome.status === "error", JSON.stringify(ran.outcome));
      assert.equal(ran.outcome.ename, "KeyboardInterrupt", ran.traceback);
      assert.ok(ran.milliseconds < 1000, `it took ${ran.milliseconds} ms`);
      const next = await silent.run("kept");
      assert.equal(next.text, "'kept'", next.traceback);
      assert.deepEqual(silent.exits, []);
    });
  }
  const mute = notebook({ answer: () => new Promise(() => {}) });
  after(() => mute.session.dispose());
  function notebookFor(what: string): typeof book {
    return what.startsWith("prompt") || what === "input" ? mute : book;
  }

  it("may be sent by a cell to itself, unless it listens for SIGINT", async () => {
    const self = "process.kill(process.pid, 'SIGINT'); await new Promise(r => setTimeout(r, 20_000))";
    const { outcome } = await run(self);
    assert.equal(outcome.status === "error" && outcome.ename, "KeyboardInterrupt");
    const heard = "await new Promise(r => { process.once('SIGINT', r); process.kill(process.pid, 'SIGINT') })";
    assert.equal((await run(heard)).text, "'SIGINT'");
    assert.deepEqual(book.exits, []);
  });

  it("ends the loop, not just the wait for it", async () => {
    await interrupted(
      "globalThis.ticks = 0; for (;;) { await new Promise(r => setTimeout(r, 2)); (globalThis as any).ticks++ }",
    );
    const before = await run("(globalThis as any).ticks");
    await sleep(60);
    assert.equal((await run("(globalThis as any).ticks")).text, before.text);
  });

  it("stops a cell that has only just been sent, to a process that still starts", async () => {
    const fresh = notebook();
    const running = fresh.run("for (;;) {}");
    await fresh.session.interrupt();
    assert.equal((await running).outcome.status, "error");
    assert.equal((await fresh.run("1")).text, "1");
    await fresh.session.dispose();
  });

  it("may come at any moment, again and again", async () => {
    await run("var rounds = 0; const soon = () => new Promise(r => setTimeout(r, 1))");
    const cells = [
      "for (;;) {}",
      "for (;;) await soon()",
      "for (;;) { await soon(); for (let i = 0; i < 1e6; i++); }",
      "for (;;) console.log('x')",
      "for (;;) display({ a: 1 })",
      "1 + 1",
      "for (;;) JSON.stringify(Array(1e5).fill(1))",
    ];
    for (let round = 0; round < 21; round++) {
      await interrupted(cells[round % cells.length] ?? "", (round * 7) % 40);
      const { text, traceback } = await run("++rounds");
      assert.equal(text, String(round + 1), traceback);
    }
    assert.deepEqual(book.exits, []);
  });

  it("may come while the cell is still on its way, among questions and other cells", async () => {
    await run("var sent = 0");
    for (let round = 0; round < 120; round++) {
      const running = run(["for (;;) {}", "sent", "for (let i = 0; i < 3e5; i++); await null"][round % 3] ?? "");
      const asked = round % 4 === 0 ? book.session.runtimeInspect("sent") : undefined;
      if (round % 5 > 0) await sleep((round % 5) - 1);
      const second = round % 7 === 0 ? run("'second'") : undefined;
      await book.session.interrupt();
      for (const { outcome } of [await running, ...(second ? [await second] : [])])
        assert.ok(outcome.status === "ok" || (outcome.status === "error" && outcome.ename === "KeyboardInterrupt"));
      await asked;
      const { text, traceback } = await run("++sent");
      assert.equal(text, String(round + 1), traceback);
    }
    assert.deepEqual(book.exits, []);
  });

  it("that meets an immediate leaves those of others to run, once each", async () => {
    await run("globalThis.ran = 0; globalThis.last = []");
    const loops = [
      "setImmediate(() => { for (;;) {} })",
      "setImmediate(() => {}); setImmediate(() => { for (;;) {} })",
      "setImmediate(() => { queueMicrotask(() => { for (;;) {} }) }); setImmediate(() => {})",
      "require('node:timers').setImmediate(() => { for (;;) {} })",
      "import { setImmediate as start } from 'node:timers'; start(() => {}); start(() => { for (;;) {} })",
    ];
    for (let round = 0; round < 15; round++) {
      await run("var other = new Promise<void>(done => setImmediate(() => setImmediate(() => { ran++; done() })))");
      await interrupted(`${loops[round % loops.length]}; await new Promise(() => {})`, 40);
      const { text, traceback } = await run("await other; await new Promise(r => setImmediate(r)); ran");
      assert.equal(text, String(round + 1), traceback);
    }
    const idle = await run(
      "await new Promise(r => setTimeout(r, 50)); const before = process.cpuUsage(); await new Promise(r => setTimeout(r, 200)); const { user, system } = process.cpuUsage(before); (user + system) / 1000 < 100",
    );
    assert.equal(idle.text, "true");
    assert.deepEqual(book.exits, []);
  });

  it("stops what a finished cell has left behind, tells it under that cell, and keeps the state", async () => {
    const loops = [
      "setTimeout(() => { for (;;) {} }, 1)",
      "setInterval(() => { for (;;) {} }, 1)",
      "setTimeout(() => (async () => { for (;;) await null })(), 1)",
      "setTimeout(function again() { queueMicrotask(again) }, 1)",
    ];
    for (const loop of loops) {
      const { cell } = await run(`var left = 'state'; ${loop}; void 0`);
      await sleep(60);
      await book.session.interrupt();
      assert.equal((await run("left")).text, "'state'", loop);
      const told = book.of(cell).filter(({ msgType }) => msgType === "error");
      assert.deepEqual(
        told.map(({ content }) => content.ename),
        ["KeyboardInterrupt"],
        loop,
      );
    }
    assert.deepEqual(book.exits, []);
  });

  it("tells a cell that ends just then either of its end or of the interrupt, not of both", async () => {
    const codes = [
      "1",
      "for (let i = 0; i < 1e6; i++);",
      "await 0; for (let i = 0; i < 1e6; i++);",
      "'x'.repeat(1e6).length",
    ];
    const ran: { readonly cell: number; readonly outcome: ExecuteOutcome }[] = [];
    for (let round = 0; round < 200; round++) {
      const running = run(codes[round % codes.length] ?? "");
      await sleep(Math.random() * 5);
      const interrupt = book.session.interrupt();
      const { cell, outcome } = await running;
      await interrupt;
      ran.push({ cell, outcome });
    }
    await sleep(50);
    for (const { cell, outcome } of ran) {
      const errors = book.of(cell).filter(({ msgType }) => msgType === "error");
      // Of a cell that the interrupt overtook on its way the protocol side tells.
      const told = outcome.status === "error" && !outcome.died;
      assert.equal(errors.length, told ? 1 : 0);
    }
  });

  it("stops the handler of a comm, busy or waiting", async () => {
    for (const [n, handler] of ["() => { for (;;) {} }", "() => new Promise(() => {})"].entries()) {
      await run(`Jupyter.comms.register('endless', ${handler})`);
      const content = { comm_id: `endless ${n}`, target_name: "endless", data: {} };
      const parent = { cell: 700 + n };
      const handled = book.session.comm({ msgType: "comm_open", content, metadata: {}, buffers: [], parent });
      await sleep(60);
      await book.session.interrupt();
      await handled;
      const told = book.of(parent.cell).filter(({ msgType }) => msgType === "error");
      assert.deepEqual(
        told.map(({ content: { ename } }) => ename),
        ["KeyboardInterrupt"],
      );
      assert.equal((await run("1")).text, "1");
    }
  });

  it("gives work that looks at the abort signal time to stop by itself", async () => {
    const ran = await interrupted(
      "const signal = (globalThis as any)[Symbol.for('Jupyter.abortSignal')] as AbortSignal;\nawait new Promise((_, no) => signal.addEventListener('abort', () => setTimeout(() => no(new Error('stopped cleanly')), 40)))",
    );
    assert.ok(ran.outcome.status === "error" && ran.outcome.evalue === "stopped cleanly", ran.traceback);
  });

  it("is a KeyboardInterrupt also where Node says AbortError, and many inputs leave no listener on the signal", async () => {
    const code =
      "import { setTimeout as pause } from 'node:timers/promises'; await pause(20_000, 0, { signal: (globalThis as any)[Symbol.for('Jupyter.abortSignal')] })";
    const { outcome } = await interrupted(code);
    assert.equal(outcome.status === "error" && outcome.ename, "KeyboardInterrupt");
    const asked = await run("for (let i = 0; i < 12; i++) await input('x'); 'done'");
    assert.deepEqual([asked.text, asked.stderr], ["'done'", ""]);
  });

  it("waits for a critical section", async () => {
    const ran = await interrupted(
      "const whole = (globalThis as any)[Symbol.for('Jupyter.criticalSection')];\nlet halves = 0;\nfor (;;) whole(() => { halves++; const end = Date.now() + 30; while (Date.now() < end); halves++ })",
    );
    assert.ok(ran.outcome.status === "error" && ran.outcome.ename === "KeyboardInterrupt");
    assert.equal((await run("halves % 2")).text, "0");
  });

  it("is quick on a busy loop, and does nothing when nothing runs", async () => {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) times.push((await interrupted("for (;;) {}", 60)).milliseconds);
    assert.ok(Math.min(...times) < 60, `${times}`);
    for (let i = 0; i < 20; i++) {
      await book.session.interrupt();
      assert.equal((await run("2")).text, "2");
    }
  });
});
