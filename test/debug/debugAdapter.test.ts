import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { type DapEvent, DebugAdapter } from "../../kernel/debug/debugAdapter.js";
import type { ExecuteOutcome, Session } from "../../kernel/session/handle.js";
import { createSession } from "../../kernel/session/session.js";

interface Frame {
  readonly id: number;
  readonly name: string;
  readonly line: number;
  readonly source?: { readonly name: string; readonly path: string };
}
interface Variable {
  readonly name: string;
  readonly value: string;
  readonly type?: string;
  readonly variablesReference: number;
}

const directory = mkdtempSync(join(tmpdir(), "debug-"));
let session: Session<object>;
let adapter: DebugAdapter;
let events: DapEvent[] = [];
let wake: (() => void) | undefined;
let printed = "";
let restored = Promise.resolve();
let seq = 1;
let count = 0;

/** A request that must succeed; its body. */
async function ask<Body = Record<string, never>>(command: string, args: object = {}): Promise<Body> {
  const response = await adapter.request({ seq: seq++, command, arguments: args });
  assert.ok(response.success, `${command}: ${response.message}`);
  assert.equal(response.type, "response");
  assert.equal(response.command, command);
  return response.body as Body;
}
function run(code: string): Promise<ExecuteOutcome> {
  const executionCount = ++count;
  return session.execute({
    id: `m${count}`,
    code,
    executionCount,
    silent: false,
    storeHistory: true,
    userExpressions: {},
    allowStdin: false,
    parent: {},
  });
}
async function next(event: string): Promise<Record<string, unknown>> {
  for (const end = performance.now() + 10_000; performance.now() < end; ) {
    const at = events.findIndex((each) => each.event === event);
    if (at >= 0) return events.splice(0, at + 1).at(-1)?.body as Record<string, unknown>;
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, 200);
    });
  }
  throw new Error(`no event ${event} within 10 s`);
}
async function frames(): Promise<readonly Frame[]> {
  return (await ask<{ stackFrames: Frame[] }>("stackTrace", { threadId: 1 })).stackFrames;
}
async function where(): Promise<string> {
  return (await frames()).map(({ name, source, line }) => `${name} ${source?.name}:${line}`).join(" < ");
}
async function variables(scope: string, frame = 0): Promise<Record<string, string>> {
  const frameId = (await frames())[frame]?.id;
  const { scopes } = await ask<{ scopes: { name: string; variablesReference: number }[] }>("scopes", { frameId });
  const variablesReference = scopes.find(({ name }) => name === scope)?.variablesReference;
  const list = (await ask<{ variables: Variable[] }>("variables", { variablesReference })).variables;
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}
async function breakpoints(code: string, list: readonly object[]): Promise<string> {
  const { sourcePath } = await ask<{ sourcePath: string }>("dumpCell", { code });
  await ask("setBreakpoints", { source: { path: sourcePath }, breakpoints: list, sourceModified: false });
  return sourcePath;
}
const name = (): string => `Cell In[${count}]`;

describe("debugger", { timeout: 120_000 }, () => {
  before(async () => {
    session = createSession<object>({
      directory,
      events: {
        publish: ({ msgType, content }) => {
          if (msgType === "stream") printed += content.text;
        },
        input: () => Promise.reject(new Error("nobody to ask")),
        exit: () => {
          restored = adapter.sessionLost();
        },
      },
    });
    adapter = new DebugAdapter(session);
    adapter.onEvent((event) => {
      events.push(event);
      wake?.();
    });
  });
  after(async () => {
    await session.dispose();
    rmSync(directory, { recursive: true });
  });
  afterEach(async () => {
    await ask("disconnect");
    events = [];
    printed = "";
  });

  test("before it is started: debugInfo, and variables without a stop", async () => {
    const info = await ask<Record<string, unknown>>("debugInfo");
    assert.deepEqual(
      [info.isStarted, info.hashMethod, info.tmpFileSuffix, info.stoppedThreads, info.richRendering],
      [false, "Murmur2", ".ts", [], true],
    );
    await run(
      "const number = 3; const text = 'a\\'b'; const list = [1, [2]]; const map = new Map([['k', { v: 1 }]]); const odd = { get boom(): never { throw 1 } }; class K { p = 1 }; const k = new K(); let nothing = null; const big = 10n;",
    );
    const { variables: list } = await ask<{ variables: Variable[] }>("inspectVariables");
    const found = Object.fromEntries(list.map((variable) => [variable.name, variable]));
    assert.deepEqual(
      list.map((each) => each.name),
      ["number", "text", "list", "map", "odd", "K", "k", "nothing", "big"],
    );
    assert.equal(found.number?.value, "3");
    assert.equal(found.text?.value, '"a\'b"');
    assert.equal(found.odd?.value, "{boom: (...)}");
    assert.equal(found.k?.value, "K {p: 1}");
    assert.equal(found.nothing?.value, "null");
    assert.equal(found.big?.value, "10n");
    const inner = await ask<{ variables: Variable[] }>("variables", {
      variablesReference: found.list?.variablesReference,
    });
    assert.deepEqual(inner.variables.map((each) => `${each.name}=${each.value}`).slice(0, 2), [
      "0=1",
      "1=Array(1) [2]",
    ]);
    assert.match(JSON.stringify(await ask("richInspectVariables", { variableName: "number" })), /"text\/plain"/);
  });

  test("the debugger is on from initialize, before attach: a front end that asks between the two shall not take it for off", async () => {
    const initialized = ask("initialize", { clientID: "test" });
    assert.equal((await ask<{ isStarted: boolean }>("debugInfo")).isStarted, true);
    await initialized;
  });

  test("what is evaluated while a cell starts neither stops nor holds up", async () => {
    await ask("initialize");
    await ask("attach");
    const code = "let started = 1;\nstarted += 1;\nstarted";
    await breakpoints(code, [{ line: 2 }]);
    for (let times = 0; times < 5; times++) {
      const running = run(code);
      const looks = [
        ask("inspectVariables"),
        ask("evaluate", { expression: "1 + 1" }),
        ask("evaluate", { expression: "await Promise.resolve(2)" }),
      ];
      assert.equal((await next("stopped")).reason, "breakpoint");
      assert.equal(await where(), `${name()} ${name()}:2`);
      await ask("continue");
      await Promise.all(looks);
      assert.equal((await running).status, "ok");
    }
  });

  test("a breakpoint in a function of a cell, then step over, out, and on", async () => {
    const code =
      "function add(a: number, b: number) {\n  const c = a + b;\n  return c;\n}\n\nconst sum: number = add(2, 3);\nawait null;\nsum * 2";
    assert.deepEqual(
      (await ask<Record<string, unknown>>("initialize", { clientID: "test" })).supportsConditionalBreakpoints,
      true,
    );
    await ask("attach", {});
    await next("initialized");
    const path = await breakpoints(code, [{ line: 2 }]);
    await ask("configurationDone");
    const running = run(code);
    const stop = await next("stopped");
    assert.deepEqual([stop.reason, stop.threadId, stop.allThreadsStopped], ["breakpoint", 1, true]);
    assert.equal((await frames())[0]?.source?.path, path);
    assert.equal(await where(), `add ${name()}:2 < ${name()} ${name()}:6`);
    assert.deepEqual(await variables("Locals"), { a: "2", b: "3", c: "undefined" });
    assert.deepEqual((await ask<Record<string, unknown>>("debugInfo")).stoppedThreads, [1]);
    await ask("next", { threadId: 1 });
    assert.equal((await next("stopped")).reason, "step");
    assert.equal(await where(), `add ${name()}:3 < ${name()} ${name()}:6`);
    const [top] = await frames();
    assert.equal(
      (await ask<{ result: string }>("evaluate", { expression: "a * 100 + c", frameId: top?.id, context: "repl" }))
        .result,
      "205",
    );
    await ask("copyToGlobals", { srcVariableName: "c", dstVariableName: "copied", srcFrameId: top?.id });
    await ask("stepOut", { threadId: 1 });
    await next("stopped");
    assert.equal(await where(), `${name()} ${name()}:6`);
    await ask("next", { threadId: 1 });
    await next("stopped");
    await ask("next", { threadId: 1 });
    await next("stopped");
    assert.equal(await where(), `${name()} ${name()}:8`, "over an await");
    assert.equal((await variables("Locals")).sum, "5", "variables of the cell are its frame's locals");
    await ask("continue", { threadId: 1 });
    assert.equal((await running).status, "ok");
    assert.equal((await ask<{ result: string }>("evaluate", { expression: "copied", context: "repl" })).result, "5");
  });

  test("debugInfo remembers breakpoints, and a changed list replaces the old one", async () => {
    await ask("attach");
    const code = "let q = 1;\n\n// only a comment\nq = 2;";
    const { sourcePath } = await ask<{ sourcePath: string }>("dumpCell", { code });
    const set = (lines: readonly number[]) =>
      ask<{ breakpoints: { verified: boolean; line: number }[] }>("setBreakpoints", {
        source: { path: sourcePath },
        breakpoints: lines.map((line) => ({ line })),
      });
    assert.deepEqual(
      (await set([1, 3])).breakpoints.map(({ verified, line }) => [verified, line]),
      [
        [true, 1],
        [true, 4],
      ],
    );
    assert.deepEqual((await ask<Record<string, unknown>>("debugInfo")).breakpoints, [
      { source: sourcePath, breakpoints: [{ line: 1 }, { line: 4 }] },
    ]);
    assert.equal((await ask<{ content: string }>("source", { source: { path: sourcePath } })).content, code);
    await set([4]);
    const running = run(code);
    await next("stopped");
    assert.equal(await where(), `${name()} ${name()}:4`);
    await set([]);
    await ask("continue");
    await running;
    assert.deepEqual((await ask<Record<string, unknown>>("debugInfo")).breakpoints, []);
    assert.equal((await run(code)).status, "ok");
  });

  test("conditions, hit counts and log points", async () => {
    await ask("attach");
    const code = "let total = 0;\nfor (let i = 0; i < 10; i++) {\n  total += i;\n  total += 0;\n  total -= 0;\n}";
    await breakpoints(code, [
      { line: 3, condition: "i === 7" },
      { line: 4, hitCondition: "9" },
      { line: 5, logMessage: "i is {i} `and` {total + 0}" },
    ]);
    const running = run(code);
    await next("stopped");
    assert.deepEqual([await where(), (await variables("Locals")).i], [`${name()} ${name()}:3`, "7"]);
    await ask("continue");
    await next("stopped");
    assert.deepEqual([await where(), (await variables("Locals")).i], [`${name()} ${name()}:4`, "8"]);
    await ask("continue");
    await next("stopped");
    await ask("continue");
    assert.equal((await running).status, "ok");
    assert.match(printed, /^i is 0 `and` 0\ni is 1 `and` 1\n/);
  });

  test("a condition that fails stops and says why; so does a log message, without a stop", async () => {
    await ask("attach");
    const code = "let failing = 0;\nfailing++;\nfailing++;\nfailing";
    await breakpoints(code, [
      { line: 2, condition: "noSuch.name" },
      { line: 3, logMessage: "{noSuch} {failing}" },
    ]);
    const running = run(code);
    await next("stopped");
    assert.equal((await frames())[0]?.line, 2);
    await ask("continue");
    assert.equal((await running).status, "ok");
    assert.match(printed, /condition noSuch.name failed: ReferenceError: noSuch is not defined/);
    assert.match(printed, /log message \{noSuch\} \{failing\} failed: ReferenceError/);
  });

  test("a breakpoint in a local file, in TypeScript lines", async () => {
    const path = join(directory, "local.ts");
    writeFileSync(
      path,
      "export interface Q {\n  a: number;\n}\n\nexport function triple(n: number): number {\n  const k: number = 3;\n  return k * n;\n}\n",
    );
    await ask("attach");
    await ask("setBreakpoints", { source: { path }, breakpoints: [{ line: 7 }] });
    const running = run("import { triple } from './local.ts';\ntriple(4)");
    await next("stopped");
    assert.equal(await where(), `triple local.ts:7 < ${name()} ${name()}:2`);
    assert.deepEqual(await variables("Locals"), { n: "4", k: "3" });
    await ask("continue");
    await running;
    const again = run("triple(5)");
    await next("stopped");
    assert.equal(await where(), `triple local.ts:7 < ${name()} ${name()}:1`);
    await ask("continue");
    await again;
    const { modules } = await ask<{ modules: { path: string }[] }>("modules");
    assert.ok(modules.some((module) => module.path === path));
  });

  test("exceptions: uncaught by the user's code, or all", async () => {
    await ask("attach");
    await ask("setExceptionBreakpoints", { filters: ["uncaught"] });
    const code =
      "try { throw new Error('caught') } catch {}\nfunction bad() {\n  throw new RangeError('out');\n}\nbad()";
    const running = run(code);
    const stop = await next("stopped");
    assert.deepEqual([stop.reason, stop.text], ["exception", "RangeError: out"]);
    assert.equal(await where(), `bad ${name()}:3 < ${name()} ${name()}:5`);
    assert.equal((await ask<{ exceptionId: string }>("exceptionInfo")).exceptionId, "RangeError");
    await ask("continue");
    assert.equal((await running).status, "error");
    await ask("setExceptionBreakpoints", { filters: ["raised"] });
    const other = run("try { throw new Error('caught') } catch {}");
    assert.equal((await next("stopped")).text, "Error: caught");
    await ask("continue");
    assert.equal((await other).status, "ok");
  });

  test("packages: stepped over and through, stopped in where the user says so, their uncaught errors shown at the caller", async () => {
    const folder = join(directory, "node_modules", "pkg");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "name": "pkg", "type": "module", "main": "index.js" }');
    const path = join(folder, "index.js");
    writeFileSync(
      path,
      "export function call(f) {\n  return f(1);\n}\nexport function fail() {\n  throw new Error('inside');\n}\n",
    );
    await ask("attach");
    const running = run(
      "import { call, fail } from 'pkg';\nfunction back(x: number) {\n  return x;\n}\ndebugger;\ncall(back);\n1",
    );
    await next("stopped");
    for (const step of ["next", "stepIn"]) {
      await ask(step);
      await next("stopped");
    }
    assert.equal(await where(), `back ${name()}:3 < ${name()} ${name()}:6`);
    await ask("continue");
    assert.equal((await running).status, "ok");
    await ask("setBreakpoints", { source: { path }, breakpoints: [{ line: 2 }] });
    const again = run("call(back)");
    await next("stopped");
    assert.equal(await where(), `call index.js:2 < ${name()} ${name()}:1`);
    await ask("continue");
    await again;
    await ask("setBreakpoints", { source: { path }, breakpoints: [] });
    await ask("setExceptionBreakpoints", { filters: ["uncaught"] });
    for (const [code, text] of [
      ["fail()", "Error: inside"],
      ["try { fail() } catch {}\nrequire('node:fs').readFileSync('/no/such')", "Error: ENOENT: no such file"],
    ] as const) {
      const failing = run(code);
      assert.ok(String((await next("stopped")).text).startsWith(text), text);
      assert.equal(await where(), `${name()} ${name()}:${code.split("\n").length}`);
      await ask("continue");
      assert.equal((await failing).status, "error");
    }
    assert.equal((await run("require('node:fs').existsSync('/no/such')")).status, "ok", "what Node catches is caught");
  });

  test("pause in an endless loop, and an interrupt while stopped", async () => {
    await ask("attach");
    const running = run("let turns = 0;\nwhile (true) {\n  turns++;\n}");
    await new Promise((resolve) => setTimeout(resolve, 100));
    await ask("pause", { threadId: 1 });
    assert.equal((await next("stopped")).reason, "pause");
    assert.match(await where(), /Cell In\[\d+\]:[23]$/);
    await session.interrupt();
    assert.equal((await running).status, "error");
    assert.equal((await run("1")).status, "ok");
  });

  test("stepping in goes to the user's functions, never into Node or the kernel", async () => {
    await ask("attach");
    const code =
      "function inner(x: number) {\n  return x + 1;\n}\ndebugger;\nconsole.log('x');\nconst s = JSON.stringify({ a: inner(1) });\ns";
    const running = run(code);
    await next("stopped");
    const seen: string[] = [];
    for (let i = 0; i < 5; i++) {
      seen.push((await frames()).map(({ line }) => line).join("<"));
      await ask("stepIn", { threadId: 1 });
      await next("stopped");
    }
    assert.deepEqual(seen, ["4", "5", "6", "2<6", "6"]);
    await ask("continue");
    await running;
  });

  test("a step in a loop of one statement is one turn; the loop can be left and interrupted afterwards", async () => {
    await ask("attach");
    const running = run("let turn = 0;\nwhile (true) {\n  turn++;\n}");
    await new Promise((resolve) => setTimeout(resolve, 30));
    await ask("pause", { threadId: 1 });
    await next("stopped");
    await ask("stepIn", { threadId: 1 });
    await next("stopped");
    const turn = async () => Number((await ask<{ result: string }>("evaluate", { expression: "turn" })).result);
    const before = await turn();
    for (let times = 0; times < 3; times++) {
      await ask("next", { threadId: 1 });
      await next("stopped");
    }
    assert.ok((await turn()) - before <= 3);
    await ask("disconnect");
    await session.interrupt();
    assert.equal((await running).status, "error");
  });

  test("breakpoints outlive the session's process", async () => {
    await ask("attach");
    const code = "let alive = 1;\nalive++;";
    await breakpoints(code, [{ line: 2 }]);
    await run("process.exit(3)");
    await restored;
    const running = run(code);
    await next("stopped");
    assert.equal(await where(), `${name()} ${name()}:2`);
    await ask("continue");
    assert.equal((await running).status, "ok");
  });

  test("a breakpoint is met in a timer after its cell has ended, and in a promise", async () => {
    await ask("attach");
    const code = "setTimeout(() => {\n  globalThis.rang = true;\n}, 20);";
    await breakpoints(code, [{ line: 2 }]);
    await run(code);
    await next("stopped");
    assert.equal((await frames())[0]?.line, 2);
    await ask("continue");
  });

  test("long arrays come in pieces", async () => {
    await run("const long = Array.from({ length: 25_000 }, (_, i) => i); const floats = new Float32Array(300);");
    const { variables: list } = await ask<{ variables: Variable[] }>("inspectVariables");
    const reference = (wanted: string) => list.find((variable) => variable.name === wanted)?.variablesReference;
    const pieces = (await ask<{ variables: Variable[] }>("variables", { variablesReference: reference("long") }))
      .variables;
    assert.deepEqual(
      pieces.map((piece) => piece.name),
      ["[0…9999]", "[10000…19999]", "[20000…24999]"],
    );
    const inner = (
      await ask<{ variables: Variable[] }>("variables", { variablesReference: pieces[2]?.variablesReference })
    ).variables;
    assert.equal(inner.length, 50);
    const elements = (
      await ask<{ variables: Variable[] }>("variables", { variablesReference: inner[0]?.variablesReference })
    ).variables;
    assert.deepEqual([elements.length, elements[0]?.name, elements[0]?.value], [100, "20000", "20000"]);
    assert.equal(
      (await ask<{ variables: Variable[] }>("variables", { variablesReference: reference("floats") })).variables.length,
      3,
    );
  });

  test("imports are variables with the values that the module has by now", async () => {
    writeFileSync(join(directory, "counted.ts"), "export let count = 1; export const inc = () => { count++ };");
    await run("import { count, inc } from './counted.ts'; import { posix } from 'node:path'; inc()");
    const { variables: list } = await ask<{ variables: Variable[] }>("inspectVariables");
    const shown = list.filter(({ name }) => /^(?:count|inc|posix)/.test(name)).map(({ name, value }) => [name, value]);
    assert.deepEqual(shown.map(([name]) => name).sort(), ["count", "inc", "posix"]);
    assert.equal(Object.fromEntries(shown).count, "2");
    assert.equal((await ask<{ result: string }>("evaluate", { expression: "count", context: "hover" })).result, "2");
    const rich = await ask<{ data: Record<string, string> }>("richInspectVariables", { variableName: "count" });
    assert.equal(rich.data["text/plain"], "2");
  });

  test("variables can be assigned", async () => {
    await run("let mutable = 1; const holder = { inside: 'a' };");
    const { variables: list } = await ask<{ variables: Variable[] }>("inspectVariables");
    const holder = list.find((variable) => variable.name === "holder");
    assert.equal(
      (
        await ask<{ value: string }>("setVariable", {
          variablesReference: holder?.variablesReference,
          name: "inside",
          value: "'b' + 1",
        })
      ).value,
      "'b1'",
    );
    assert.equal((await ask<{ result: string }>("evaluate", { expression: "holder.inside" })).result, "'b1'");
  });

  test("setVariable and evaluate mean the frame they name, not the innermost", async () => {
    await ask("attach");
    const code =
      "function inner(v: number) {\n  return v;\n}\nfunction outer(v: number) {\n  const got = inner(1);\n  return [v, got];\n}\nouter(5)";
    await breakpoints(code, [{ line: 2 }]);
    const running = run(code);
    await next("stopped");
    const outer = (await frames())[1];
    assert.equal(outer?.name, "outer");
    const { scopes } = await ask<{ scopes: { name: string; variablesReference: number }[] }>("scopes", {
      frameId: outer.id,
    });
    const variablesReference = scopes[0]?.variablesReference;
    await ask("setVariable", { variablesReference, name: "v", value: "77 as number" });
    assert.equal((await ask<{ result: string }>("evaluate", { expression: "v", frameId: outer.id })).result, "77");
    assert.equal((await ask<{ result: string }>("evaluate", { expression: "v" })).result, "1");
    assert.equal((await ask<{ result: string }>("evaluate", { expression: "{ a: v }" })).result, "{a: 1}");
    await ask("continue");
    assert.equal((await running).status, "ok");
  });

  test("callers that have ended are shown: the cell that set a timer, the function that awaits", async () => {
    await ask("attach");
    const code =
      "async function leaf() {\n  await null;\n  return 1;\n}\nasync function caller() {\n  return 1 + (await leaf());\n}\nawait caller()";
    await breakpoints(code, [{ line: 3 }]);
    const running = run(code);
    await next("stopped");
    assert.deepEqual(
      (await frames()).map(({ name, line }) => `${name}:${line}`),
      ["leaf:3", "async caller:6", `async ${name()}:8`],
    );
    const awaiting = (await frames())[1];
    const { scopes } = await ask<{ scopes: { name: string }[] }>("scopes", { frameId: awaiting?.id });
    assert.deepEqual(
      scopes.map((scope) => scope.name),
      ["Globals"],
    );
    await ask("continue");
    assert.equal((await running).status, "ok");
  });

  test("an error that a caller awaits in a try is caught", async () => {
    await ask("attach");
    await ask("setExceptionBreakpoints", { filters: ["uncaught"] });
    const code =
      "async function late() {\n  await null;\n  throw new Error('late');\n}\ntry {\n  await late();\n} catch {}\nlate()";
    const running = run(code);
    await next("stopped");
    assert.deepEqual(
      (await frames()).map(({ line }) => line),
      [3, 8],
      "only the second call's error, which nobody catches",
    );
    await ask("continue");
    await running;
  });

  test("lines that can never be met, and conditions that cannot be read, are not verified", async () => {
    await ask("attach");
    const { sourcePath } = await ask<{ sourcePath: string }>("dumpCell", { code: "\n// first\nlet z = 1;\n// last" });
    const { breakpoints: set } = await ask<{ breakpoints: { verified: boolean; line: number; message?: string }[] }>(
      "setBreakpoints",
      {
        source: { path: sourcePath },
        breakpoints: [
          { line: 1 },
          { line: 4 },
          { line: 3, condition: "z ===" },
          { line: 3, hitCondition: "often" },
          { line: 3, logMessage: "{z +}" },
        ],
      },
    );
    assert.deepEqual(
      set.map(({ verified, line }) => [verified, line]),
      [
        [true, 3],
        [false, 4],
        [false, 3],
        [false, 3],
        [false, 3],
      ],
    );
    assert.match(set[1]?.message ?? "", /no code is at line 4/);
    assert.match(set[2]?.message ?? "", /the condition z === cannot be read/);
  });

  test("a cell with magics has its breakpoints, on its own lines", async () => {
    await ask("attach");
    const code = "%env DEBUGGED=1\nlet magic = 1;\nmagic += 1;";
    await breakpoints(code, [{ line: 3 }]);
    const running = run(code);
    await next("stopped");
    assert.equal((await frames())[0]?.line, 3);
    await ask("continue");
    assert.equal((await running).status, "ok");
  });

  test("a breakpoint in a plain JavaScript file is met at its first import", async () => {
    const path = join(directory, "plain.mjs");
    writeFileSync(
      path,
      "export const doubled = (n) => {\n  const two = 2;\n  return n * two;\n};\nexport const at = 1;\n",
    );
    await ask("attach");
    await ask("setBreakpoints", { source: { path }, breakpoints: [{ line: 3 }, { line: 5 }] });
    const running = run("import { doubled } from './plain.mjs';\ndoubled(2)");
    await next("stopped");
    assert.equal((await frames())[0]?.line, 5);
    await ask("continue");
    await next("stopped");
    assert.equal((await frames())[0]?.line, 3);
    assert.equal((await variables("Locals")).two, "2");
    await ask("continue");
    assert.equal((await running).status, "ok");
  });

  test("rich values: as they show themselves, stopped or not", async () => {
    await ask("attach");
    const code =
      "const shown = { [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>bold</b>' }) };\nfunction look(here: object) {\n  return here;\n}\nlook(shown);";
    await breakpoints(code, [{ line: 3 }]);
    const running = run(code);
    await next("stopped");
    const rich = async (args: object) =>
      (await ask<{ data: Record<string, unknown> }>("richInspectVariables", args)).data;
    const frameId = (await frames())[0]?.id;
    assert.equal((await rich({ variableName: "here", frameId }))["text/html"], "<b>bold</b>");
    await ask("continue");
    await running;
    assert.equal((await rich({ variableName: "shown" }))["text/html"], "<b>bold</b>");
    await run("const plain = 'Hello';");
    assert.deepEqual(await rich({ variableName: "plain" }), { "text/plain": "'Hello'" });
  });

  test("what is typed into the console: types, awaits, imports, declarations a cell may repeat", async () => {
    await ask("attach");
    const result = async (expression: string) => (await ask<{ result: string }>("evaluate", { expression })).result;
    assert.equal(await result("(1 as number) + 1"), "2");
    assert.equal(await result("await Promise.resolve({ a: 1 })"), "{a: 1}");
    assert.equal(await result("typeof (await import('node:fs')).readFileSync"), "'function'");
    await ask("evaluate", { expression: "let typed = 4;" });
    assert.equal(await result("typed + 1"), "5");
    assert.equal((await run("let typed = 6;")).status, "ok");
    assert.equal(await result("typed"), "6");
  });

  test("parts of long arrays, named and indexed members", async () => {
    await run("const parts = Array.from({ length: 1000 }, (_, i) => i * 2);");
    const { variables: list } = await ask<{ variables: Variable[] }>("inspectVariables");
    const variablesReference = list.find((variable) => variable.name === "parts")?.variablesReference;
    const names = async (wanted: object) =>
      (await ask<{ variables: Variable[] }>("variables", { variablesReference, ...wanted })).variables.map(
        ({ name: each, value }) => `${each}=${value}`,
      );
    assert.deepEqual(await names({ filter: "indexed", start: 500, count: 2 }), ["500=1000", "501=1002"]);
    assert.deepEqual(await names({ filter: "named" }), ["length=1000"]);
  });

  test("answers come while a cell runs a busy loop", async () => {
    await ask("attach");
    const running = run("let spun = 0;\nfor (const end = Date.now() + 1_000; Date.now() < end; ) {\n  spun++;\n}");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const begun = performance.now();
    assert.ok(Number((await ask<{ result: string }>("evaluate", { expression: "spun" })).result) >= 0);
    assert.ok((await ask<{ variables: Variable[] }>("inspectVariables")).variables.length > 0);
    await ask("evaluate", { expression: "console.log('while it runs')" });
    assert.ok(performance.now() - begun < 800, "long before the loop ends");
    assert.equal((await running).status, "ok");
    assert.match(printed, /while it runs/);
  });

  test("disconnect while stopped lets the cell end; a crash while stopped ends the stop", async () => {
    await ask("attach");
    const code = "let held = 1;\nheld++;\nheld";
    await breakpoints(code, [{ line: 2 }]);
    const running = run(code);
    await next("stopped");
    await ask("disconnect", { restart: false });
    await next("terminated");
    assert.equal((await running).status, "ok");
    await ask("attach");
    await breakpoints(code, [{ line: 2 }]);
    const again = run(code);
    await next("stopped");
    process.kill(session.pid ?? 0, "SIGKILL");
    assert.equal((await again).status, "error");
    await next("continued");
    assert.deepEqual((await ask<Record<string, unknown>>("debugInfo")).stoppedThreads, []);
    const third = run(code);
    await next("stopped");
    await ask("continue");
    assert.equal((await third).status, "ok", "its breakpoint was set before it ran, without waiting");
  });

  test("an attach right behind a disconnect is on, and a disconnect right behind an attach is off", async () => {
    await ask("attach");
    await Promise.all([ask("disconnect"), ask("attach")]);
    assert.equal((await ask<{ isStarted: boolean }>("debugInfo")).isStarted, true);
    const code = "let met = 1;\nmet++;\nmet";
    await breakpoints(code, [{ line: 2 }]);
    const running = run(code);
    await next("stopped");
    await ask("continue");
    assert.equal((await running).status, "ok");
    await Promise.all([ask("disconnect"), ask("attach"), ask("disconnect")]);
    assert.equal((await ask<{ isStarted: boolean }>("debugInfo")).isStarted, false);
    const paused = await adapter.request({ seq: seq++, command: "pause", arguments: { threadId: 1 } });
    assert.match(paused.message ?? "", /not on/);
    assert.equal((await run("debugger;\n1")).status, "ok");
  });

  test("an interrupt stops what V8 does not terminate: a promise hook, a breakpoint's condition", async () => {
    await ask("attach");
    const loop = "let rounds = 0;\nfor (;;) {\n  rounds++;\n  await null;\n}";
    const stops = async (code: string) => {
      const running = run(code);
      await new Promise((resolve) => setTimeout(resolve, 15));
      await session.interrupt();
      assert.equal((await running).status, "error");
    };
    for (let times = 0; times < 15; times++) await stops(loop);
    await breakpoints(loop, [
      { line: 3, logMessage: "round {rounds}" },
      { line: 4, condition: "rounds < 0" },
    ]);
    for (let times = 0; times < 5; times++) await stops(loop);
    assert.equal((await run("1")).status, "ok");
  });

  test("an interrupt ends an endless loop that was typed into the console, stopped or not", async () => {
    await ask("attach");
    const endless = async (frameId?: number) => {
      const given = { expression: "(() => { for (;;); })()", ...(frameId === undefined ? {} : { frameId }) };
      const evaluated = adapter.request({ seq: seq++, command: "evaluate", arguments: given });
      // It may not have begun yet.
      const again = setInterval(() => void session.interrupt(), 100);
      await evaluated;
      clearInterval(again);
      assert.match((await evaluated).message ?? "", /KeyboardInterrupt/);
    };
    await endless();
    const code = "let kept = 1;\nkept++;\nkept";
    await breakpoints(code, [{ line: 2 }]);
    const running = run(code);
    await next("stopped");
    await endless((await frames())[0]?.id);
    assert.equal((await running).status, "error");
    assert.equal((await ask<{ result: string }>("evaluate", { expression: "kept" })).result, "1");
  });

  test("what cannot be is said, and nothing breaks", async () => {
    const say = async (command: string, args: object = {}) => {
      const response = await adapter.request({ seq: seq++, command, arguments: args });
      assert.equal(response.success, false, command);
      return response.message ?? "";
    };
    assert.match(await say("noSuchThing"), /does not know the command "noSuchThing"/);
    assert.match(await say("scopes", { frameId: 99 }), /not stopped/);
    assert.match(await say("variables", { variablesReference: 99_999 }), /99999 is not known/);
    assert.match(await say("evaluate", { expression: "noSuchName" }), /noSuchName is not defined/);
    assert.match(await say("dumpCell", {}), /code is missing; expected a string/);
    assert.match(await say("dumpCell"), /dumpCell: code is missing/);
    assert.match(await say("setBreakpoints", { breakpoints: [] }), /source is missing; expected an object/);
    assert.match(
      await say("setBreakpoints", { source: { path: "x" }, breakpoints: [{ line: "2" }] }),
      /breakpoints\.0\.line is "2"; expected/,
    );
    assert.match(await say("next"), /not stopped/);
    assert.match(await say("evaluate", { expression: "f()", context: "hover" }), /more than a name/);
    assert.match((await adapter.request({})).message ?? "", /does not know the command ""/);
    assert.match(await say("source", { source: { path: "/no/such/file.ts" } }), /no source \/no\/such\/file.ts/);
    assert.match(await say("richInspectVariables", { variableName: "noSuchName" }), /no value/);
  });
});
