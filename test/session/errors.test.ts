import assert from "node:assert/strict";
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
});
