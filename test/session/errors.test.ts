import assert from "node:assert/strict";
import { mkdtempSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { notebook, plain, until } from "./notebook.js";

describe("errors", () => {
  const book = notebook();
  const { run } = book;
  after(() => book.session.dispose());

  it("point at the TypeScript line and column in their cell, with a code frame", async () => {
    const { traceback, cell } = await run(
      "interface Shape { a: number }\nenum Kind { A }\nfunction fail(x: Shape): never {\n  const y: number = x.a;\n    throw new TypeError('bad ' + y);\n}\nfail({ a: 1 });",
    );
    assert.ok(
      traceback.includes(`TypeError: bad 1\n    at fail (Cell In[${cell}]:5:11)\n    at Cell In[${cell}]:7:1`),
      traceback,
    );
    assert.match(traceback, /> 5 \| {5}throw new TypeError\('bad ' \+ y\);\n {4}\| {11}\^/);
    assert.doesNotMatch(traceback, /node:internal|kernel|dist/);
  });

  it("of functions from earlier cells point at that cell", async () => {
    const { cell: defined } = await run("function later(): void {\n  null!.x;\n}");
    const { traceback, cell } = await run("\n  later()");
    assert.match(
      traceback,
      new RegExp(`at later \\(Cell In\\[${defined}\\]:2:\\d+\\)\\n    at Cell In\\[${cell}\\]:2:3`),
    );
  });

  it("of a name that nothing has point at the name", async () => {
    for (const [code, place] of [
      ["const typo = grett('x')", "1:14"],
      ["let sum = 1 + Math.max(grett('x'), 2)", "1:24"],
      ["'grett'.length; ({ grett: 1, b: 'grett' + grett /* grett */ })", "1:43"],
      ["Math.grett; await grett", "1:19"],
      ["\n  const { a } = [...grett$]", "2:21"],
      ["if (true) early; let early = 1", "1:11"],
      ["throw new ReferenceError('grett is not defined'); grett", "1:7"],
    ] as const) {
      const { traceback, cell } = await run(code);
      assert.equal(traceback.split("\n")[0], `Cell In[${cell}]:${place}`, code);
      assert.ok(traceback.includes(`at Cell In[${cell}]:${place}`), traceback);
    }
  });

  it("after an await keep their place", async () => {
    const { traceback, cell } = await run(
      "await null;\nasync function deep() {\n  await null;\n  throw new RangeError('deep');\n}\nawait deep()",
    );
    assert.match(
      traceback,
      new RegExp(`at deep \\(Cell In\\[${cell}\\]:4:9\\)\\n    at async Cell In\\[${cell}\\]:6:1`),
    );
  });

  it("of syntax say line and column", async () => {
    const { traceback, outcome, cell } = await run("const fine = 1;\nlet broken = ;");
    assert.ok(outcome.status === "error" && outcome.ename === "SyntaxError");
    assert.ok(traceback.includes(`Cell In[${cell}]:2:14`), traceback);
    const invalid = await run("const re = /(/;");
    assert.ok(invalid.outcome.status === "error" && invalid.outcome.ename === "SyntaxError");
    const behind = await run("function f() {} let re = /(/;");
    assert.ok(behind.traceback.includes(`Cell In[${behind.cell}]:1:26`), behind.traceback);
  });

  it("of syntax name what stands in the way, where it stands", async () => {
    for (const [code, place, said] of [
      ["let x = ;", "1:9", "Unexpected token ';'"],
      [
        "const a = 1;\nprint 'hello'",
        "2:7",
        "Unexpected token ''hello'' (a semicolon or a new line is missing before it)",
      ],
      ["let x = 1 2", "1:11", "Unexpected token '2' (a semicolon or a new line is missing before it)"],
      ["[1 2]", "1:4", "Unexpected token '2': expected `,` or `]`"],
      ["f(\n", "2:1", "Unexpected end of input: expected `)`"],
      ["1 +", "1:4", "Unexpected end of input"],
      ["let a =\u200b1", "1:8", "Invalid or unexpected token"],
    ] as const) {
      const { outcome, traceback, cell } = await run(code);
      assert.ok(outcome.status === "error");
      assert.deepEqual([outcome.evalue, traceback.split("\n")[0]], [said, `Cell In[${cell}]:${place}`]);
    }
  });

  it("in code handed to eval say where it was handed over; Node's codes are said once", async () => {
    const { traceback, cell } = await run("1;\n  eval('null.x')");
    assert.ok(traceback.includes(`at eval (eval at <anonymous> (Cell In[${cell}]:2:3), <anonymous>:1:6)`), traceback);
    const first = await run("eval('null.x')");
    assert.ok(first.traceback.includes(`(eval at <anonymous> (Cell In[${first.cell}]:1:1)`), first.traceback);
    const asserted = await run("import assert from 'node:assert'; assert.equal(1, 2)");
    assert.match(asserted.traceback, /^AssertionError \[ERR_ASSERTION\]: /m);
  });

  it("of a rejection that a later cell handles are shown once, and Node does not warn", async () => {
    const { cell } = await run("const handledLater = Promise.reject(new Error('soon')); void 0");
    await until(() => book.of(cell).some(({ msgType }) => msgType === "error"), "the rejection");
    const later = await run("await handledLater.catch(() => 0); await new Promise((r) => setTimeout(r, 20))");
    assert.equal(later.stderr, "");
  });

  it("point at the column of a cell that is one expression", async () => {
    const { traceback, cell } = await run("1 + undefinedName");
    assert.ok(traceback.includes(`Cell In[${cell}]:1:5`), traceback);
  });

  it("show their cause and their own properties", async () => {
    const { traceback } = await run(
      "throw Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'E1' })",
    );
    assert.match(traceback, /outer(?=[\s\S]*\[cause\]: Error: inner)[\s\S]*code: 'E1'/);
  });

  it("need not be Errors", async () => {
    for (const [code, evalue] of [
      ["throw 'text'", "text"],
      ["throw 42", "42"],
      ["throw null", "null"],
      ["throw undefined", "undefined"],
      ["throw { a: 1 }", "{ a: 1 }"],
    ] as const) {
      const { outcome } = await run(code);
      assert.equal(outcome.status === "error" && outcome.evalue, evalue);
    }
    const hostile = await run("throw { get message() { throw 1 }, get [Symbol.toStringTag]() { throw 2 } }");
    assert.equal(hostile.outcome.status, "error");
  });

  it("name their class", async () => {
    const { outcome } = await run("class OwnError extends Error { name = 'OwnError' }\nthrow new OwnError('mine')");
    assert.ok(outcome.status === "error");
    assert.deepEqual([outcome.ename, outcome.evalue], ["OwnError", "mine"]);
  });

  it("that nobody catches appear under the cell that started them, and the session lives", async () => {
    const { cell } = await run("setTimeout(() => { throw new Error('from a timer') }, 30); void 0");
    const rejected = await run("void new Promise((_, no) => setTimeout(() => no(new Error('rejected')), 30))");
    await run("'another cell'");
    const shown = (of: number): string =>
      plain(
        JSON.stringify(
          book
            .of(of)
            .filter(({ msgType }) => msgType === "error")
            .map(({ content }) => content.evalue),
        ),
      );
    await until(() => shown(cell) !== "[]" && shown(rejected.cell) !== "[]", "late errors");
    assert.deepEqual([shown(cell), shown(rejected.cell)], ['["from a timer"]', '["rejected"]']);
    assert.equal((await run("1")).text, "1");
    assert.deepEqual(book.exits, []);
  });

  it("stay in the user's terms whatever cells do to Error.prepareStackTrace", async () => {
    const own = await run(
      "const zero: number = 0;\nError.prepareStackTrace = (_, sites) => sites.map((s) => [s.getFileName(), s.getLineNumber(), s.getColumnNumber()].join(' '));\nconst sites: unknown = new Error().stack;\nError.prepareStackTrace = undefined;\nsites",
    );
    assert.equal(own.text, `[ 'Cell In[${own.cell}] 3 24' ]`);
    const restored = await run(
      "const before = Error.prepareStackTrace; Error.prepareStackTrace = () => { throw 1 }; Error.prepareStackTrace = before; null.x",
    );
    assert.ok(restored.traceback.endsWith(`    at Cell In[${restored.cell}]:1:125`), restored.traceback);
    await run("delete Error.prepareStackTrace");
    const after = await run("null.x");
    assert.ok(after.traceback.endsWith(`    at Cell In[${after.cell}]:1:6`), after.traceback);
  });

  it("are shown as far as they can be read", async () => {
    for (const [code, ename, evalue] of [
      ["class Odd extends TypeError {}\nthrow new Odd('a')", "Odd", "a"],
      ["throw Object.defineProperty(new Error('b'), 'stack', { get() { throw 1 } })", "Error", "b"],
      ["throw Object.defineProperty(new RangeError('c'), 'message', { get() { throw 1 } })", "RangeError", ""],
      ["throw new Proxy({}, { get() { throw 1 } })", "Uncaught", "{}"],
      ["const gone = Proxy.revocable({}, {}); gone.revoke(); throw gone.proxy", "Uncaught", "<Revoked Proxy>"],
      ["throw Object.assign(new Error('e'), { name: 7, stack: 5 })", "Error", "e"],
      ["throw { [Symbol.for('nodejs.util.inspect.custom')]() { throw 1 }, toString: null, a: 1 }", "Uncaught", /a: 1/],
      ["require('node:fs').readFileSync(1, { encoding: 'zz' as never })", "TypeError", /invalid encoding/],
    ] as const) {
      const { outcome } = await run(code);
      assert.ok(outcome.status === "error");
      assert.equal(outcome.ename, ename, code);
      if (typeof evalue === "string") assert.equal(outcome.evalue, evalue, code);
      else assert.match(outcome.evalue, evalue);
    }
  });

  it("in a very long line are shown where they are", async () => {
    const { traceback, cell } = await run(`const far = 1;${" ".repeat(100_000)}throw new Error('far')`);
    assert.ok(traceback.includes(`at Cell In[${cell}]:1:100021`), traceback);
    assert.match(traceback, /\.\.\. +throw new Error\('far'\)\n/);
    assert.ok(traceback.length < 5000);
  });

  it("in an object literal point at its columns", async () => {
    for (const code of ["{ a: null.x }", "  { a: null.x }", "\n{ a: (null as any).x }"]) {
      const { traceback, cell } = await run(code);
      const line = code.startsWith("\n") ? 2 : 1;
      assert.ok(
        traceback.includes(
          `at Cell In[${cell}]:${line}:${code.trimStart().indexOf(".x") + 2 + (line === 1 ? code.search(/\S/) : 0)}`,
        ),
        traceback,
      );
    }
  });

  it("of an unknown function alone in its cell begin at the first column", async () => {
    const { traceback, cell } = await run("unknownHere()");
    assert.match(traceback, new RegExp(`at Cell In\\[${cell}\\]:1:1$`));
  });

  it("of a name declared twice point at the second", async () => {
    const { traceback, cell } = await run("const twice = 1;\nconst twice = 2;");
    assert.ok(traceback.includes(`Cell In[${cell}]:2:7`), traceback);
  });

  it("in local modules show the module's line and the cell's, before and after a change on disk", async () => {
    const folder = mkdtempSync(join(tmpdir(), "modules-"));
    const write = (file: string, code: string): void => {
      writeFileSync(join(folder, file), code);
      utimesSync(join(folder, file), new Date(), new Date(Date.now() + Math.random() * 1e6));
    };
    await run(`process.chdir(${JSON.stringify(folder)})`);
    write("m.ts", "interface A { a: 1 }\nexport function boom(a: A): never {\n  throw new Error('old');\n}");
    const old = await run("import { boom } from './m.ts';\nboom({ a: 1 })");
    assert.match(old.traceback, /m\.ts:3:9[\s\S]*> 3 \| {3}throw new Error\('old'\);[\s\S]*> 2 \| boom\(\{ a: 1 \}\)/);
    write("m.ts", "type A = unknown;\n\n\n\nexport function boom(a: A): never {\n  throw new Error('new');\n}");
    const changed = await run("import { boom } from './m.ts';\nboom(1)");
    assert.match(changed.traceback, /> 6 \| {3}throw new Error\('new'\);[\s\S]*at boom \(.*m\.ts:6:9\)/);
    write("bad.ts", "export const a = 1;\nexport const b: number = ;");
    const broken = await run("await import('./bad.ts')");
    assert.ok(broken.outcome.status === "error" && broken.outcome.ename === "SyntaxError");
    assert.match(
      broken.traceback,
      /> 2 \| export const b: number = ;\n {4}\| {26}\^[\s\S]*at .*bad\.ts:2:26\n {4}at async Cell/,
    );
    write("plain.mjs", "import './deeper.mjs';");
    write("deeper.mjs", "export const a = 1;\nexport const = 2;");
    const deeper = await run("await import('./plain.mjs')");
    assert.match(
      deeper.traceback,
      /> 2 \| export const = 2;[\s\S]*SyntaxError: .*\n {4}at .*deeper\.mjs:2:\d+\n {4}at async Cell/,
    );
    write("bad.json", '{\n  "a": 1,\n  "b": }\n');
    const json = await run("1;\nimport data from './bad.json'");
    assert.match(
      json.traceback,
      /> 3 \| {3}"b": \}\n[\s\S]*> 2 \| import data[\s\S]*at .*bad\.json:3:8\n {4}at async Cell/,
    );
    write("typed.cts", "interface A { a: 1 }\n\nexports.boom = (a: A) => {\n  throw new Error('cts');\n};");
    const required = await run("require('./typed.cts').boom()");
    assert.match(required.traceback, /> 4 \| {3}throw new Error[\s\S]*at exports\.boom \(.*typed\.cts:4:9\)/);
    write("thread.ts", "type A = 1;\n\nthrow new Error('thread');");
    const thread = await run(
      "import { Worker } from 'node:worker_threads'; await new Promise((_, no) => new Worker('./thread.ts').on('error', no))",
    );
    assert.match(thread.traceback, /> 3 \| throw new Error[\s\S]*Error: thread\n {4}at .*thread\.ts:3:7/);
    const gone = await run("1;\nimport x from './gone.ts'");
    assert.match(
      gone.traceback,
      /> 2 \| import x[\s\S]*Cannot find module '.*gone\.ts'.*\n {4}at async Cell In\[\d+\]:2:1/,
    );
    for (const { traceback } of [old, changed, broken, deeper, json, required, gone])
      assert.doesNotMatch(traceback, /node:internal|kernel\/|dist\//);
  });

  it("go to the cell's own handlers where it has set some, and to the notebook again when it has removed them", async () => {
    const ran = await run(
      "process.once('uncaughtException', (e) => console.log('mine', e.message)); setTimeout(() => { throw new Error('a') }, 5); await new Promise((r) => setTimeout(r, 40))",
    );
    assert.equal(ran.stdout, "mine a\n");
    assert.deepEqual(
      ran.messages.filter(({ msgType }) => msgType === "error"),
      [],
    );
    const next = await run(
      "process.removeAllListeners('uncaughtException'); setTimeout(() => { throw new Error('b') }, 5); await new Promise((r) => setTimeout(r, 40))",
    );
    assert.equal(next.messages.find(({ msgType }) => msgType === "error")?.content.evalue, "b");
    assert.deepEqual(book.exits, []);
  });
});
