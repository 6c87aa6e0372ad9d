import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { notebook, until } from "./notebook.js";

describe("a session that ends", () => {
  const book = notebook({ execArgv: ["--max-old-space-size=60"] });
  const { run } = book;
  after(() => book.session.dispose());

  const ends: Record<string, { code: string; reason: RegExp }> = {
    "by process.exit": {
      code: "console.log('last words');\nprocess.exit(3)",
      reason: /process\.exit\(3\) was called at Cell In\[\d+\]:2:9/,
    },
    "by abort": { code: "process.abort()", reason: /SIGABRT/ },
    "by closing its connection": {
      code: "require('node:fs').closeSync(3); await new Promise(() => {})",
      reason: /descriptors 3 to 5/,
    },
    "by closing the descriptor that cells come from": {
      code: "require('node:fs').closeSync(5); await new Promise(() => {})",
      reason: /descriptors 3 to 5/,
    },
    "by a signal": { code: "process.kill(process.pid, 'SIGSEGV'); for (;;) {}", reason: /SIGSEGV.*native/ },
    "by running out of memory": {
      code: "const hog: unknown[] = []; for (;;) hog.push(new Array(1000).fill({}))",
      reason: /out of memory/,
    },
  };
  for (const [how, { code, reason }] of Object.entries(ends)) {
    it(`${how} is explained, and the next cell runs in a new one`, async () => {
      const ran = await run(code);
      assert.ok(ran.outcome.status === "error" && ran.outcome.died);
      assert.match(ran.outcome.evalue, reason);
      await until(() => book.exits.length > 0, "the exit event");
      const exit = book.exits.pop();
      assert.match(exit?.reason ?? "", reason);
      assert.equal(exit?.willRestart, true);
      if (how === "by process.exit") assert.equal(ran.stdout, "last words\n");
      assert.equal((await run("1 + 1")).text, "2");
    });
  }

  it("goes on after errors that nobody catches, also when a cell has removed all listeners", async () => {
    await run("var kept = 1; process.removeAllListeners()");
    const thrown = await run("setTimeout(() => { throw new Error('from a timer') }, 1); void 0");
    const rejected = await run("Promise.reject(new Error('rejected')); void 0");
    const told = (cell: number) => book.of(cell).find(({ msgType }) => msgType === "error")?.content.evalue;
    await until(() => told(thrown.cell) !== undefined && told(rejected.cell) !== undefined, "both errors");
    assert.deepEqual([told(thrown.cell), told(rejected.cell)], ["from a timer", "rejected"]);
    assert.equal((await run("kept")).text, "1");
  });

  it("survives a cell that replaces Promise and the timers", async () => {
    await run("var saved = [Promise, setTimeout] as const; const broken = () => { throw new Error('broken') }");
    await run(
      "(globalThis as any).setTimeout = broken; (globalThis as any).Promise = class { constructor() { broken() } }; void 0",
    );
    assert.equal((await run("1 + 1")).text, "2");
    assert.equal((await run("await null; 'waited'")).text, "'waited'");
    await run("[globalThis.Promise, globalThis.setTimeout] = saved");
  });

  it("that cannot start is tried a few times, then again with each cell, and says why", async () => {
    const unable = notebook({ env: { NODE_OPTIONS: "--require ./missing-preload.cjs" } });
    await until(() => unable.exits.length === 3, "three attempts");
    const { outcome } = await unable.run("1");
    assert.ok(outcome.status === "error" && outcome.died);
    assert.match(outcome.evalue, /before it was ready.*missing-preload/s);
    assert.equal(unable.exits.length, 4);
    await unable.session.dispose();
  });

  it("restart forgets the variables and ends what runs", async () => {
    await run("var before = 1");
    const running = run("await new Promise(() => {})");
    await book.session.restart();
    const { outcome } = await running;
    assert.ok(outcome.status === "error" && outcome.died);
    assert.equal((await run("typeof before")).text, "'undefined'");
    assert.deepEqual(book.exits, []);
  });

  it("ends with its parent, even while it is busy", async () => {
    const { spawn } = await import("node:child_process");
    const script = `
      import { createSession } from ${JSON.stringify(new URL("../../kernel/session/session.js", import.meta.url).href)};
      const session = createSession({ events: { publish() {}, input: async () => "", exit() {} } });
      void session.execute({ id: "1", code: "for (;;) {}", executionCount: 1, silent: false, storeHistory: false, userExpressions: {}, allowStdin: false, parent: {} });
      setTimeout(() => { console.log(session.pid); }, 400);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = Number(await new Promise((resolve) => parent.stdout.once("data", resolve)));
    assert.ok(pid > 0);
    parent.kill("SIGKILL");
    await until(() => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    }, "the orphan to end");
  });
});
