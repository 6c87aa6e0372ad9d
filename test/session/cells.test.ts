import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { notebook } from "./notebook.js";

describe("running cells", () => {
  const book = notebook();
  const { run } = book;
  after(() => book.session.dispose());

  const shows = (code: string, expected: string | undefined): Promise<void> =>
    run(code).then((ran) => {
      assert.equal(ran.outcome.status, "ok", ran.traceback);
      assert.equal(ran.text, expected, code);
    });

  it("shows the value of the last expression, hidden by a semicolon", async () => {
    await shows("1 + 1", "2");
    await shows("1 + 1;", undefined);
    await shows("1 + 1; // said", undefined);
    await shows("'text' // a comment", "'text'");
    await shows("undefined", undefined);
    await shows("null", "null");
    await shows("{ a: 1, b: [2] }", "{ a: 1, b: [ 2 ] }");
    await shows("{ const inner = 1 }", undefined);
    await shows("Promise.resolve(4)", "Promise { 4 }");
    await shows("`a\nb`", "'a\\nb'");
    await shows("", undefined);
    await shows("// nothing", undefined);
  });

  it("awaits at the top level", async () => {
    await shows("await Promise.resolve(3)", "3");
    await shows(
      "for await (const x of [Promise.resolve(7)]) globalThis.lastSeen = x;\n(globalThis as any).lastSeen",
      "7",
    );
    await shows("const slow = await new Promise<number>(r => setTimeout(() => r(5), 5)); slow * 2", "10");
  });

  it("lets any binding be declared again as anything", async () => {
    for (const declaration of [
      "const thing = 1",
      "let thing = 2",
      "var thing = 3",
      "class thing {}",
      "function thing() {}",
      "enum thing { A }",
      "import thing from 'node:path'",
      "namespace thing { export const a = 1 }",
      "async function thing() {}",
      "const { thing } = { thing: 1 }",
      "interface thing {}",
      "type thing = string",
      "const thing = 1",
    ]) {
      const { outcome, traceback } = await run(declaration);
      assert.equal(outcome.status, "ok", `${declaration}: ${traceback}`);
    }
    await shows("thing", "1");
  });

  it("shows closures the newest binding", async () => {
    await run("let shared = 1; function read() { return helper() + shared } function helper() { return 10 }");
    await shows("read()", "11");
    await run("const shared = 2; function helper() { return 20 }");
    await shows("read()", "22");
    await run("class shared { static valueOf() { return 5 } }");
    await shows("+read()", "25");
  });

  it("destructures, with defaults, rests and computed keys", async () => {
    await run(
      "const { a, b: { c = 3, ...others }, ['d' + 1]: d1 } = { a: 1, b: { e: 5 } as any, d1: 4 }, [f, , g = 6, ...h] = [1, 2, undefined, 8, 9]",
    );
    await shows("[a, c, others, d1, f, g, h]", "[ 1, 3, { e: 5 }, 4, 1, 6, [ 8, 9 ] ]");
    await run(
      "var { x, y } = { x: 1, y: 2 }; for (var { z } of [{ z: 3 }]) {} for (var i = 0, n = 2; i < n; i++) var inner = i",
    );
    await shows("[x, y, z, i, n, inner]", "[ 1, 2, 3, 2, 2, 1 ]");
  });

  it("keeps constants constant, in the cell and after it", async () => {
    for (const code of ["const fixed = 1; fixed = 2", "fixed = 3"]) {
      const { outcome } = await run(code);
      assert.equal(
        outcome.status === "error" && `${outcome.ename}: ${outcome.evalue}`,
        "TypeError: Assignment to constant variable.",
      );
    }
    await shows("fixed", "1");
  });

  it("is strict", async () => {
    const { outcome } = await run("undeclared = 1");
    assert.equal(outcome.status === "error" && outcome.ename, "ReferenceError");
    await shows("(function () { return this })()", undefined);
  });

  it("knows functions by their own names", async () => {
    await shows(
      "function named() {}\nasync function* gen() {}\n[named.name, gen.name, named]",
      "[ 'named', 'gen', [Function: named] ]",
    );
    await shows("const arrow = () => {}; arrow.name", "'arrow'");
    await shows("class Kind { static made = 1 }; [Kind.name, Kind]", "[ 'Kind', [class Kind] { made: 1 } ]");
  });

  it("uses functions before they are declared", async () => {
    await shows("const early = later(2); function later(n: number) { return n * n } early", "4");
  });

  it("runs TypeScript: enums, namespaces, parameter properties, generics, satisfies, overloads, abstract classes", async () => {
    await shows("enum Color { Red, Green = 'g' }; [Color.Red, Color[0], Color.Green]", "[ 0, 'Red', 'g' ]");
    await shows(
      "namespace Space { export const inside = 1; export function twice() { return inside * 2 } }\nSpace.twice()",
      "2",
    );
    await shows(
      "class Point { constructor(private readonly x = 3, public y?: number) {} get size(): number { return this.x } }\nnew Point().size",
      "3",
    );
    await shows("function id<T>(x: T): T;\nfunction id(x: unknown) { return x }\nid<number>(3)! satisfies number", "3");
    await shows(
      "abstract class Base { abstract f(): number }\nclass Derived extends Base { override f() { return 1 } declare z: string }\nnew Derived().f()",
      "1",
    );
    await shows("const generic = <T,>(x: T): T => x as T; generic<string>('a')", "'a'");
  });

  it("runs decorators and `using`", async () => {
    await shows(
      "function log(f: any, c: any) { return function (this: any, ...a: any[]) { return 'decorated ' + f.apply(this, a) } }\nclass D { @log say() { return 'hi' } }\nnew D().say()",
      "'decorated hi'",
    );
    const ran = await run(
      "const order: string[] = [];\n{ using r = { [Symbol.dispose]() { order.push('disposed') } }; order.push('used') }\norder",
    );
    assert.equal(ran.text, "[ 'used', 'disposed' ]", ran.traceback);
    const top = await run("using held = { v: 4, [Symbol.dispose]() { console.log('released') } };\nheld.v");
    assert.equal(top.text, "4", top.traceback);
    assert.equal(top.stdout, "released\n");
  });

  it("has no need of semicolons", async () => {
    await shows("const one = 1\nconst [two] = [2]\nconst { three } = { three: 3 }\n;[one, two, three]", "[ 1, 2, 3 ]");
    await shows("let q = 1\nlet w\nw = q\n++w\nw", "2");
  });

  it("shadows Node's own globals", async () => {
    await run("import crypto from 'node:crypto'; const process = 1, navigator = 'me'");
    await shows("[typeof crypto.createHash, process, navigator]", "[ 'function', 1, 'me' ]");
    await run("%reset process navigator");
  });

  it("keeps the environment for packages and for itself, whatever names cells declare", async () => {
    for (const name of [
      "JSON",
      "Map",
      "Symbol",
      "Promise",
      "Array",
      "Object",
      "Error",
      "console",
      "fetch",
      "display",
    ]) {
      await run(`const ${name} = 'mine'`);
      await shows(name, "'mine'");
    }
    await shows("[typeof globalThis.JSON, typeof globalThis.fetch]", "[ 'object', 'function' ]");
    await shows(
      "const { JSON: renamed = 1, ...rest } = { JSON }; ({ JSON, renamed, rest })",
      "{ JSON: 'mine', renamed: 'mine', rest: {} }",
    );
    await shows(
      "function scoped(JSON: number) { { const Map = JSON; return { Map }.Map + [1].map((Array) => Array)[0] } }\nscoped(2)",
      "3",
    );
    await shows("const fetch = () => 1; [fetch.name, fetch()]", "[ 'fetch', 1 ]");
    await shows(
      "class Map { static made = Map.name } function Set() { return Map.made }\n[Map.made, Set(), Set.name]",
      "[ 'Map', 'Map', 'Set' ]",
    );
    await shows("import { setTimeout } from 'node:timers/promises'; await setTimeout(1, 'slept')", "'slept'");
    assert.match((await run("null.x")).traceback, /^TypeError/m);
    assert.match((await run("Symbol()")).traceback, /^TypeError: Symbol is not a function$/m);
    assert.match((await run("const NaN = 1")).traceback, /SyntaxError: Identifier 'NaN' has already been declared/);
    assert.match((await run("({}).constructor.freeze({ icy: 1 }).icy = 2")).traceback, /read only property 'icy'/);
    const { outcome } = await run("display = 1");
    assert.equal(outcome.status === "error" && outcome.evalue, "Assignment to constant variable.");
    assert.match((await run("%whos")).stdout, /^fetch +function/m);
    await run("%reset JSON Map Symbol Promise Array Object Error console fetch display Set setTimeout");
    await shows("[typeof JSON.parse, new Map()]", "[ 'function', Map(0) {} ]");
  });

  it("goes on when a cell replaces what the language provides", async () => {
    const own = notebook();
    const is = async (code: string, expected: string | undefined): Promise<void> => {
      const ran = await own.run(code);
      assert.equal(ran.outcome.status, "ok", `${code}: ${ran.traceback}`);
      assert.equal(ran.text, expected, code);
    };
    try {
      await own.run("%who");
      for (const name of [
        "JSON",
        "Map",
        "Set",
        "Promise",
        "Symbol",
        "Array",
        "Object",
        "Error",
        "Reflect",

        "setTimeout",
      ]) {
        await is(`globalThis.${name} = null;`, undefined);
        await is(`const after${name} = typeof ${name}; [after${name}, await 1]`, "[ 'object', 1 ]");
      }
      assert.match((await own.run("%who")).stdout, /afterJSON/);
      await is("[].__proto__.map = () => 'mine'; [1].map((x) => x)", "'mine'");
      await is("[2].map((x) => x)", "'mine'");
      await is("({}).constructor.prototype.get = 5; const polluted = ({}).get; polluted", "5");
      await is("({ a: 1 })", "{ a: 1 }");
      await is("JSON = { stringify: () => 'mine' }; console.log('said'); JSON.stringify(1)", "'mine'");
      assert.match((await own.run("null.x")).traceback, /^TypeError: Cannot read/m);
      assert.deepEqual(own.exits, []);
    } finally {
      await own.session.dispose();
    }
  });

  it("goes on when a cell puts something on a prototype, or throws in place of its methods", async () => {
    const own = notebook();
    const goesOn = async (after: string): Promise<void> => {
      const ran = await own.run(
        "console.log('out'); const one = 1; function f() { return one } await 1; display({ 'text/html': 'x' }, { raw: true }); f() + 41",
      );
      assert.equal(ran.text, "42", `${after}: ${ran.traceback}`);
      assert.equal(ran.stdout, "out\n", after);
      assert.ok(ran.messages.some(({ msgType }) => msgType === "display_data"));
      assert.match(
        (await own.run("\n  null.x")).traceback,
        /TypeError: Cannot read[\s\S]* at Cell In\[\d+\]:2:8/,
        after,
      );
      assert.match((await own.run("let = ;")).traceback, /SyntaxError/, after);
      const interrupted = await own.interrupted("for (;;) {}", 20);
      assert.equal(interrupted.outcome.status === "error" && interrupted.outcome.ename, "KeyboardInterrupt", after);
      const told = own.all.length;
      const message = { metadata: {}, buffers: [], parent: { cell: -1 } };
      await own.session.comm({
        ...message,
        msgType: "comm_open",
        content: { comm_id: after, target_name: "t", data: {} },
      });
      await own.session.comm({ ...message, msgType: "comm_msg", content: { comm_id: after, data: 1 } });
      assert.equal(own.all.slice(told).find(({ msgType }) => msgType === "comm_msg")?.content.comm_id, after);
      assert.ok(((await own.session.runtimeComplete("process")) ?? []).length > 5, after);
      assert.deepEqual(own.exits, []);
    };
    try {
      await own.run(
        "const { defineProperty, getOwnPropertyDescriptor } = Reflect; Jupyter.comms.register('t', (comm) => void comm.onMessage(() => comm.send(1)))",
      );
      for (const key of ["foo", "get", "set", "0", "error", "buffers", "update", "value"]) {
        await own.run(`Object.prototype[${JSON.stringify(key)}] = { polluted: true }`);
        await goesOn(`Object.prototype.${key}`);
        await own.run(`delete Object.prototype[${JSON.stringify(key)}]`);
      }
      for (const name of ["Array.prototype[0]", "Array.prototype[2]", "Array.prototype.last"]) {
        await own.run(`${name} = 'polluted'`);
        await goesOn(name);
        await own.run(`delete ${name}`);
      }
      for (const [holder, keys] of Object.entries({
        "Function.prototype": "call apply bind toString",
        "Array.prototype": "pop push at map filter includes entries slice",
        "Map.prototype": "get set has delete values",
        "Set.prototype": "add delete has",
        "String.prototype": "slice trim split replace",
        "RegExp.prototype": "exec test",
        Atomics: "load store add sub notify compareExchange",
        Buffer: "from allocUnsafe",
        "TextEncoder.prototype": "encodeInto",
        "DataView.prototype": "setUint32",
      }))
        for (const key of keys.split(" ")) {
          const set = `defineProperty(${holder}, "${key}", { ...old, value() { throw new Error("replaced") } })`;
          const { traceback } = await own.run(`var old = getOwnPropertyDescriptor(${holder}, "${key}"); ${set};`);
          assert.equal(traceback, "", key);
          // The console is Node's, which calls some by name.
          if (["includes", "push", "pop", "exec"].includes(key))
            await own.run("console.log = (text) => void process.stdout.write(text + '\\n')");
          await goesOn(`${holder}.${key}`);
          await own.run(`defineProperty(${holder}, "${key}", old)`);
        }
    } finally {
      await own.session.dispose();
    }
  });

  it("shows what a statement leaves behind, as a console does", async () => {
    await shows("{ a: 1 } // an object", "{ a: 1 }");
    await shows("if (true) { 5 } else { 6 }", "5");
    await shows("if (true) { 5; }", undefined);
    await shows("for (let i = 0; i < 3; i++) i", "2");
    await shows("try { throw 1 } catch (thrown: unknown) { await 'caught' } finally { 3 }", "'caught'");
    await shows("block: { const inner: number = 4; inner }", "4");
    await shows("switch (1) { case 1: 'one'\nbreak }", "'one'");
    await shows("1; function after() {}", undefined);
  });

  it("lets nothing be read before it has a value, nor remain that got none", async () => {
    for (const code of [
      "tdz; let tdz = 1",
      "const tdz = tdz2; const tdz2 = 1",
      "new Tdz(); class Tdz {}",
      "let tdz = tdz + 1",
    ]) {
      const { outcome } = await run(code);
      assert.match(
        outcome.status === "error" ? `${outcome.ename}: ${outcome.evalue}` : code,
        /^ReferenceError: Cannot access '\w+' before/,
      );
    }
    assert.equal((await run("const done = 1; throw new Error('stop'); const undone = 2")).outcome.status, "error");
    await shows("[done, typeof undone]", "[ 1, 'undefined' ]");
    await run("let kept = 'old'; const readKept = () => kept");
    await run("await null; throw readKept(); let kept = 'new'");
    await shows("kept", "'old'");
    await run("throw kept; let kept = 'new'");
    await shows("kept", "'old'");
    await shows("await null; const during = readKept(); let kept = 'newer'; [during, kept]", "[ 'old', 'newer' ]");
  });

  it("imports before anything else, into constants", async () => {
    await shows(
      "const joined = useJoin(); import { join } from 'node:path'; function useJoin() { return join('a', 'b') }\njoined",
      "'a/b'",
    );
    const { outcome } = await run("join = 1");
    assert.equal(outcome.status === "error" && outcome.evalue, "Assignment to constant variable.");
  });

  it("has no arguments, and `this` is the global object", async () => {
    await shows("[this === globalThis, typeof arguments]", "[ true, 'undefined' ]");
  });

  it("takes namespaces and enums in several parts, a hash-bang, and computed keys that await", async () => {
    await shows("namespace Parts { export const a = 1 }\nnamespace Parts { export const b = a + 1 }\nParts.b", "2");
    await shows("#!/usr/bin/env node\n7", "7");
    await shows("class Computed { static [await 'key'] = 1 }\nComputed.key", "1");
  });

  it("takes sums of thousands of terms, and refuses what would break its parser", async () => {
    await shows(Array(5000).fill("1").join("+"), "5000");
    assert.match((await run("(".repeat(20_000))).traceback, /SyntaxError: brackets are nested more than 3000 deep/);
    await shows(`'${"(".repeat(5000)}'.length`, "5000");
  });

  it("exports are declarations here", async () => {
    await shows("export const exported = 1; export default 5; export { exported as other }; exported", "1");
  });

  it("evaluates user expressions", async () => {
    const { outcome } = await run("const base = 20", {
      userExpressions: { good: "base as number + 1", bad: "nothing.here" },
    });
    assert.ok(outcome.status === "ok");
    const { good, bad } = outcome.userExpressions as {
      good: { status: string; data: Record<string, string> };
      bad: { status: string; ename: string };
    };
    assert.match(good.data["text/plain"] ?? "", /21/);
    assert.deepEqual([bad.status, bad.ename], ["error", "ReferenceError"]);
  });

  it("publishes nothing when silent", async () => {
    const ran = await run("console.log('quiet'); display(1); 5", { silent: true });
    assert.deepEqual(ran.messages, []);
  });

  it("says so where a cell is chained more deeply than the parsers take, and goes on", async () => {
    await run("let chained = 5");
    for (const [code, expected] of [
      [`1${"+1".repeat(20_000)}`, "20001"],
      [`1${"+1".repeat(200_000)}`, "more than 50000 operators"],
      [`${"chained === 0 ? 0 : ".repeat(1000)}3`, "3"],
      [`${"chained === 0 ? 0 : ".repeat(4000)}3`, "too deeply"],
      [`${"chained === 0 ? 0 : ".repeat(60_000)}3`, "more than 5000 conditions"],
      [`if (chained === 0) 1;\n${"else if (chained === 0) 1;\n".repeat(1000)}else 7`, "7"],
      [`if (chained === 0) 1;\n${"else if (chained === 0) 1;\n".repeat(60_000)}`, "more than 5000 conditions"],
      [`${"chained = ".repeat(60_000)}3`, "more than 5000 conditions or assignments"],
      [
        `${"chained = 1\nif (chained ? 1 : 2) { chained += 1 } else chained = chained === 2 ? 3 : 4\n".repeat(7000)}chained`,
        "2",
      ],
    ] as const) {
      const { text, traceback } = await run(code);
      if (/^\d+$/.test(expected)) assert.deepEqual([text, traceback], [expected, ""]);
      else assert.match(traceback.slice(-1000), new RegExp(`SyntaxError: .*${expected}`), code.slice(0, 60));
    }
    await shows("typeof chained", "'number'");
  });

  it("runs a cell of one megabyte", async () => {
    const code = Array.from({ length: 20_000 }, (_, i) => `const v${i}: number = ${i}; // ${"x".repeat(20)}`).join(
      "\n",
    );
    const { outcome } = await run(`{\n${code}\n}\nvoid 0`);
    assert.equal(outcome.status, "ok");
  });

  it("runs immediates as Node does", async () => {
    await shows(
      `const order: unknown[] = [];
setImmediate((...args) => { order.push("first", ...args); process.nextTick(() => order.push("tick")); Promise.resolve().then(() => order.push("microtask")); setImmediate(() => order.push("nested")) }, 1, 2);
const cleared = setImmediate(() => order.push("never"));
setImmediate(function (this: unknown) { order.push("second", this === second) });
const second = setImmediate(function (this: unknown) { order.push("third", this === second, second.hasRef()) });
clearImmediate(cleared);
await new Promise(r => setTimeout(r, 30));
[order.join(), typeof second.ref().unref, await require("node:util").promisify(setImmediate)("value"), await require("node:timers/promises").setImmediate("also")].join(" ")`,
      "'first,1,2,tick,microtask,second,false,third,true,false,nested function value also'",
    );
    await shows(
      "import { AsyncLocalStorage } from 'node:async_hooks'; const kept = new AsyncLocalStorage<string>(); await new Promise(r => kept.run('store', () => setImmediate(() => r(kept.getStore()))))",
      "'store'",
    );
    const { traceback } = await run("setImmediate(5 as never)");
    assert.match(traceback, /ERR_INVALID_ARG_TYPE|"callback" argument must be of type function/);
  });

  it("answers questions, and runs further cells, after the cell that was sent before them", async () => {
    const order: string[] = [];
    const sent = [
      ["small", "var asked = 1; globalThis.ran = ['small']"],
      ["large", `globalThis.ran.push('large'); // ${"x".repeat(100_000)}`],
      ["small again", "globalThis.ran.push('small again'); asked = 2"],
    ];
    for (let round = 0; round < 10; round++) {
      const cells = sent.map(async ([name = "", code = ""]) => {
        await run(code);
        order.push(name);
      });
      const asked = book.session.runtimeInspect("asked");
      await Promise.all(cells);
      assert.match(String((await asked)?.["text/plain"]), /2/);
      assert.equal((await run("globalThis.ran.join()")).text, "'small,large,small again'");
    }
    assert.deepEqual(order.slice(0, 3), ["small", "large", "small again"]);
  });

  it("runs a cell again as tsconfig.json now wants it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cells-"));
    const project = notebook({ directory: folder });
    const code = "class Fields { kept: unknown; constructor() {} }\nObject.keys(new Fields()).length";
    const want = (useDefineForClassFields: boolean) =>
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { useDefineForClassFields } }));
    for (const define of [true, false, true]) {
      want(define);
      assert.equal((await project.run(code)).text, define ? "1" : "0");
    }
    await project.session.dispose();
    rmSync(folder, { recursive: true });
  });

  it("runs a second cell while the first awaits", async () => {
    const first = run("await new Promise<void>(resolve => { (globalThis as any).release = resolve }); 'first'");
    const second = await run("(globalThis as any).release(); 'second'");
    assert.deepEqual([(await first).text, second.text], ["'first'", "'second'"]);
  });
});
