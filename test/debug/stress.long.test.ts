import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DebugAdapter } from "../../kernel/debug/debugAdapter.js";
import type { SessionExit } from "../../kernel/session/handle.js";
import { createSession } from "../../kernel/session/session.js";

const ending = [
  "let a = 1;\na += 1;\na += 2;\na",
  "function f(n: number) {\n  const m = n + 1;\n  return m;\n}\nlet s = 0;\nfor (let i = 0; i < 20; i++) {\n  s += f(i);\n}",
  "for (const end = Date.now() + 60; Date.now() < end; ) {\n  Math.sqrt(2);\n}",
  "await null;\nconst w = 3;\nawait new Promise((r) => setTimeout(r, 15));\nw",
  "setTimeout(() => {\n  globalThis.rang = true;\n}, 5);\nsetImmediate(() => {\n  globalThis.q = 1;\n});",
  "try {\n  throw new Error('x');\n} catch {}\nPromise.reject(new Error('p')).catch(() => 1);",
  "throw new RangeError('out')",
  "import { triple, slow } from './lib.ts';\nconst t = triple(3);\nawait slow(t)",
  "for (let i = 0; i < 300; i++) {\n  console.log(i);\n}",
  "[3, 1, 2].sort((a, b) => {\n  return a - b;\n})",
  "debugger;\n1",
  "%env X=1\nlet z = 1;\nz++;",
  "process.nextTick(() => {\n  globalThis.t = 1;\n});\nawait new Promise((r) => setImmediate(r))",
];
const endless = [
  "let turns = 0;\nwhile (true) {\n  turns++;\n}",
  "await new Promise(() => {})",
  "for (;;) {\n  await null;\n}",
  "setInterval(() => {\n  globalThis.i = 1;\n}, 3); await new Promise(() => {})",
];
const typed = [
  "1 + 1",
  "m * 2",
  "await Promise.resolve(2)",
  "console.log('typed')",
  "let typed = 1",
  "f(3)",
  "no.such",
];
const conditions = [{}, {}, {}, { condition: "i === 3" }, { condition: "no.such" }, { logMessage: "log {1}" }];

/** One client's session of a debugger, without rest; every cell of it ends, and the process lives. */
async function stress(seed: number, rounds: number): Promise<void> {
  let state = seed;
  const random = (): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const directory = mkdtempSync(join(tmpdir(), "stress-"));
  writeFileSync(
    join(directory, "lib.ts"),
    "export function triple(n: number): number {\n  return 3 * n;\n}\nexport async function slow(n: number) {\n  await null;\n  return n;\n}\n",
  );
  const exits: SessionExit[] = [];
  const session = createSession<object>({
    directory,
    events: {
      publish: () => undefined,
      input: () => Promise.reject(new Error("nobody to ask")),
      exit: (exit) => {
        exits.push(exit);
        void adapter.sessionLost();
      },
    },
  });
  const adapter = new DebugAdapter(session);
  let seq = 0;
  const ask = (command: string, args: object = {}) => adapter.request({ seq: ++seq, command, arguments: args });
  let count = 0;
  const run = (code: string) => {
    const executionCount = ++count;
    const how = { silent: false, storeHistory: true, userExpressions: {}, allowStdin: false, parent: {} };
    return session.execute({ id: `m${count}`, code, executionCount, ...how });
  };
  const look = async (): Promise<void> => {
    const { stackFrames = [] } = (await ask("stackTrace")).body as { stackFrames?: { id: number }[] };
    if (stackFrames.length === 0) return;
    const { scopes = [] } = (await ask("scopes", { frameId: pick(stackFrames).id })).body as {
      scopes?: { variablesReference: number }[];
    };
    for (const { variablesReference } of scopes) await ask("variables", { variablesReference });
  };
  const setSome = async (): Promise<void> => {
    const code = pick([...ending, ...endless]);
    const { sourcePath } = (await ask("dumpCell", { code })).body as { sourcePath: string };
    const line = () => 1 + Math.floor(random() * code.split("\n").length);
    const list = Array.from({ length: Math.floor(random() * 3) }, () => ({ line: line(), ...pick(conditions) }));
    await ask("setBreakpoints", { source: { path: sourcePath }, breakpoints: list });
  };
  const actions: readonly (() => Promise<unknown>)[] = [
    setSome,
    setSome,
    look,
    ...["pause", "pause", "continue", "continue", "stepIn", "next", "stepOut"].map((step) => () => ask(step)),
    () => ask("evaluate", { expression: pick(typed) }),
    () => ask("inspectVariables"),
    () => ask("setExceptionBreakpoints", { filters: pick([[], ["raised"], ["uncaught"]]) }),
    () => ask("disconnect"),
    () => ask("attach", { justMyCode: random() < 0.8 }),
    () => ask("attach"),
    () => session.interrupt(),
  ];
  const within = async (what: string, promise: Promise<unknown>): Promise<void> => {
    const late = sleep(15_000, "late", { ref: false });
    assert.notEqual(await Promise.race([promise, late]), "late", `seed ${seed}: ${what} takes for ever`);
  };
  try {
    for (let round = 0; round < rounds; round++) {
      const running = new Set<Promise<unknown>>();
      let last: Promise<unknown> = Promise.resolve();
      void ask("attach");
      for (let step = 0; step < 30; step++) {
        if (random() < 0.22) {
          const code = pick(random() < 0.2 ? endless : ending);
          const ran = last.then(() => run(code)).finally(() => running.delete(ran));
          running.add(ran);
          last = ran;
        } else void pick(actions)();
        if (random() < 0.75) await sleep(random() * 30);
      }
      await within(`round ${round}: a disconnect`, ask("disconnect"));
      for (let tries = 0; running.size > 0 && tries < 30; tries++) {
        await Promise.race([session.interrupt(), sleep(700)]);
        await Promise.race([Promise.all(running), sleep(300)]);
      }
      await within(`round ${round}: a cell`, Promise.all(running));
      await within(`round ${round}: a last cell`, run("1"));
    }
    assert.deepEqual(exits, [], `seed ${seed}: the process has ended`);
  } finally {
    await session.dispose();
    rmSync(directory, { recursive: true });
  }
}

for (const seed of [Number(process.env.STRESS_SEED ?? 1), 6, 21])
  test(
    `no order of debugger requests, cells and interrupts holds a cell up or ends the process: ${seed}`,
    {
      timeout: 300_000,
    },
    () => stress(seed, 15),
  );
