import assert from "node:assert/strict";
import { after, test } from "node:test";
import { notebook, sleep } from "./notebook.js";

/** What a cell may do at its worst. */
const cells = [
  "1",
  "for (;;) {}",
  "await new Promise(() => {})",
  "setTimeout(() => { for (;;) {} }, 5); void 0",
  "setInterval(() => console.log('i'), 5); void 0",
  "process.nextTick(function again() { process.nextTick(again) }); void 0",
  "(function again() { queueMicrotask(again) })(); await new Promise(() => {})",
  "require('node:child_process').execSync('sleep 5')",
  "require('node:child_process').spawn('sleep', ['50']); void 0",
  "new (require('node:worker_threads').Worker)('for (;;) {}', { eval: true }); void 0",
  "for (;;) { try { prompt('again') } catch {} }",
  "await input('never')",
  "%%bash\nsleep 5",
  "console.log('x'.repeat(1e5))",
  "throw new Error('x')",
  "Jupyter.comms.register('t', () => { if (Math.random() < 0.5) for (;;) {} })",
  "process.exit(1)",
  "process.abort()",
  "process.kill(process.pid, 'SIGKILL')",
  "setTimeout(() => process.exit(2), 15); void 0",
];

test("no order of cells, interrupts, comms, crashes and restarts wedges a session", { timeout: 300_000 }, async () => {
  const book = notebook({ answer: () => new Promise(() => {}) });
  after(() => book.session.dispose());
  let seed = Number(process.env.SOAK_SEED ?? 1);
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  const send = (n: number) =>
    book.session
      .comm({
        msgType: "comm_open",
        content: { comm_id: `c${n}`, target_name: "t", data: {} },
        metadata: {},
        buffers: [],
        parent: { cell: -1 },
      })
      .catch(() => undefined);
  for (let round = 0; round < 30; round++) {
    const said: string[] = [];
    const running = new Set<Promise<unknown>>();
    for (let step = 0; step < 12; step++) {
      const what = random();
      if (what < 0.55) {
        const code = cells[Math.floor(random() * cells.length)] ?? "1";
        said.push(code);
        const ran = book.run(code).finally(() => running.delete(ran));
        running.add(ran);
      } else if (what < 0.8) {
        said.push("(interrupt)");
        void book.session.interrupt();
      } else if (what < 0.95) {
        said.push("(comm)");
        void send(round * 100 + step);
      } else {
        said.push("(restart)");
        await book.session.restart();
      }
      await sleep(random() * 40);
    }
    for (let tries = 0; running.size > 0; tries++) {
      assert.ok(
        tries < 40,
        `seed ${process.env.SOAK_SEED ?? 1}, round ${round}: still running after ${said.join(" | ")}`,
      );
      await Promise.race([book.session.interrupt(), sleep(500)]);
      await Promise.race([Promise.all(running), sleep(200)]);
    }
    let alive = false;
    for (let tries = 0; !alive && tries < 10; tries++) {
      const answer = book.run("'alive'").then(({ text }) => text === "'alive'");
      alive = await Promise.race([answer, sleep(3000).then(() => false)]);
      if (!alive) await Promise.race([book.session.interrupt(), sleep(500)]);
    }
    assert.ok(alive, `seed ${process.env.SOAK_SEED ?? 1}, round ${round}: dead after ${said.join(" | ")}`);
  }
});
