import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import type { RuntimeName } from "../../kernel/language/answers.js";
import { LanguageService } from "../../kernel/language/languageService.js";
import { presentDiagnostics } from "../../kernel/language/present.js";
import { createSession } from "../../kernel/session/session.js";

const directory = mkdtempSync(join(tmpdir(), "language-"));
const asked: string[] = [];
const living: Record<string, readonly RuntimeName[]> = {
  "": [{ name: "livingThing", type: "instance" }],
  livingThing: [
    { name: "spark", type: "function", signature: "()" },
    { name: "two words", type: "instance" },
  ],
};
const service = new LanguageService({
  directory,
  patience: 60_000,
  runtime: {
    complete: async (expression) => {
      asked.push(expression);
      return living[expression] ?? [];
    },
    inspect: async (expression) => (expression === "count" ? { "text/plain": "42" } : {}),
  },
});

/** The cursor is where the bar stands. */
async function complete(marked: string) {
  const offset = marked.indexOf("|");
  return service.complete(marked.replace("|", ""), offset);
}
async function texts(marked: string): Promise<string[]> {
  return (await complete(marked)).items.map((item) => item.text);
}
async function hover(marked: string, detail: 0 | 1 = 0): Promise<string> {
  const offset = marked.indexOf("|");
  return (await service.inspect(marked.replace("|", ""), offset, detail)).data["text/plain"] ?? "";
}
async function messages(code: string): Promise<string[]> {
  return (await service.diagnostics(code)).map(({ code: number, message }) => `${number} ${message}`);
}

/** A session of its own, and how it runs a cell; `told` hears what the cells print. */
function startSession(told: (text: string) => void) {
  const session = createSession<object>({
    events: {
      publish: ({ content }) => told(String(content.text ?? "")),
      input: () => Promise.reject(new Error("nobody to ask")),
      exit: () => undefined,
    },
  });
  const [silent, storeHistory, allowStdin] = [false, false, false];
  const shared = { executionCount: 1, silent, storeHistory, userExpressions: {}, allowStdin, parent: {} };
  return { session, execute: (code: string) => session.execute({ id: code, code, ...shared }) };
}

describe("language service", () => {
  before(async () => {
    mkdirSync(join(directory, "node_modules/typed-pkg"), { recursive: true });
    writeFileSync(
      join(directory, "node_modules/typed-pkg/package.json"),
      '{"name":"typed-pkg","version":"1.0.0","type":"module","exports":{".":{"types":"./index.d.ts","default":"./index.js"}}}',
    );
    writeFileSync(join(directory, "node_modules/typed-pkg/index.js"), "export const zebraStripes = (n) => n;");
    writeFileSync(
      join(directory, "node_modules/typed-pkg/index.d.ts"),
      "/** How many stripes. */\nexport declare function zebraStripes(n: number): number;\nexport interface ZebraShape { legs: 4 }\n",
    );
    writeFileSync(join(directory, "package.json"), '{"dependencies":{"typed-pkg":"1.0.0"}}');
    writeFileSync(join(directory, "local.ts"), "/** Twice. */\nexport function twice(n: number) { return 2 * n }\n");
    writeFileSync(join(directory, "data.json"), '{"rows":[1,2],"title":"t"}');
  });
  after(async () => {
    await service.dispose();
    rmSync(directory, { recursive: true });
  });
  beforeEach(() => {
    asked.length = 0;
    service.reset();
  });

  test("magics complete where a line may begin with one", async () => {
    assert.deepEqual(await texts("%ti|"), ["%time", "%timeit"]);
    assert.deepEqual(await texts("%%ti|"), ["%%time", "%%timeit"]);
    assert.deepEqual(await texts("1\n%%ti|"), []);
    const listed: string[] = [];
    const { session, execute } = startSession((text) => listed.push(text));
    await execute("%lsmagic");
    await session.dispose();
    const names = listed.join("").match(/^%%?[a-z]+/gm) ?? [];
    assert.deepEqual([...names].sort(), [...(await texts("%|"))].sort());
  });

  test("before the checker is warm, living names answer at once", async () => {
    assert.equal(service.state, "cold");
    const answer = await complete("livi|");
    assert.deepEqual(
      [answer.source, answer.start, answer.end, answer.items.map((i) => i.text)],
      ["runtime", 0, 4, ["livingThing"]],
    );
    assert.deepEqual(await texts("livingThing.sp|"), ["spark"]);
    assert.deepEqual(asked, ["", "livingThing"]);
    await service.warm();
    assert.equal(service.state, "ready");
  });

  test("a cold checker: a session that is idle tells its names, one that loops keeps nobody waiting", async (t) => {
    const { session, execute } = startSession(() => {});
    t.after(() => session.dispose());
    const code =
      "const consEarlier = 1; let { consTaken, ...consRest } = {}; import { join as consJoin } from 'node:path'";
    await execute(code);
    const cold = (): LanguageService => {
      const made = new LanguageService({
        directory,
        runtime: {
          complete: (expression) => session.runtimeComplete(expression),
          inspect: (expression) => session.runtimeInspect(expression),
        },
      });
      made.addCell(code, 1);
      return made;
    };
    const names = ["consEarlier", "consJoin", "consRest", "consTaken", "console", "const"].sort();
    const ask = async (asking: LanguageService, typed: string) => {
      const { items, source } = await asking.complete(typed, typed.length);
      return [source, ...items.map(({ text }) => text)];
    };
    const first = cold();
    assert.deepEqual(await ask(first, "cons"), ["runtime", ...names]);
    assert.deepEqual(await ask(first, "Math.sq"), ["runtime", "sqrt"]);
    await first.dispose();
    const looping = execute("while (true) {}");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const second = cold();
    try {
      const started = performance.now();
      const answers = await Promise.all([ask(second, "cons"), ask(second, "displ")]);
      assert.ok(performance.now() - started < 2000, "about a second");
      assert.deepEqual(answers, [
        ["runtime", ...names],
        ["runtime", "display"],
      ]);
      // What only the checker can tell is waited for.
      assert.deepEqual(await ask(second, "Math.sq"), ["types", "sqrt"]);
      assert.equal((await second.inspect("consEarlier", 3, 0)).found, true);
    } finally {
      await second.dispose();
      await session.interrupt();
      await looping;
    }
  });

  test("a cold checker is waited for when somebody asks what a thing is", async () => {
    const cold = new LanguageService({
      directory,
      runtime: { complete: async () => [], inspect: async () => ({ "text/plain": "function told()" }) },
    });
    cold.addCell("/** What it is for. */\nfunction told(a: number): string { return '' }", 1);
    const { data } = await cold.inspect("told", 4, 0);
    await cold.dispose();
    assert.equal(data["text/plain"], "function told(a: number): string\n\nWhat it is for.\n\nValue: function told()");
  });

  test("members with type, signature and documentation", async () => {
    const { items, start, end, source } = await complete("[1].fla|");
    assert.deepEqual([start, end, source], [4, 7, "types"]);
    assert.deepEqual(
      items.map((i) => i.text),
      ["flat", "flatMap"],
    );
    assert.equal(items[0]?.type, "function");
    assert.match(items[0]?.signature ?? "", /flat<.*\): /);
    assert.match(items[0]?.documentation ?? "", /sub-array/);
  });

  test("letters of another case are proposed only where none fit as they are typed", async () => {
    assert.deepEqual(await texts("Math.sq|"), ["sqrt"]);
    assert.deepEqual(await texts("Math.SQ|"), ["SQRT1_2", "SQRT2"]);
    assert.deepEqual((await texts("Math.sQ|")).sort(), ["SQRT1_2", "SQRT2", "sqrt"]);
    assert.deepEqual(await texts("conso|"), ["console"]);
    assert.deepEqual((await texts("cons|")).slice(0, 2), ["console", "const"]);
  });

  test("types flow from cell to cell and the newest binding wins", async () => {
    service.addCell("interface Person { name: string }\nconst people: Person[] = [];", 1);
    service.addCell("const first = people[0];", 2);
    assert.deepEqual(await texts("first?.|"), ["name"]);
    service.addCell("interface Person { age: number }\nconst people: Map<string, Person> = new Map();", 3);
    assert.ok((await texts("people.|")).includes("forEach"));
    assert.deepEqual(await texts("people.get('a')?.|"), ["age"]);
    assert.deepEqual(await texts("first?.|"), ["name"]);
    assert.deepEqual(await messages("const people = 3; class Person {}; people.toFixed(); new Person()"), []);
  });

  test("redeclaring const, let, var, class, function, interface, type, enum and import is no error", async () => {
    const kinds = [
      "const a = 1",
      "let a = 'x'",
      "var a = true",
      "class a {}",
      "function a() {}",
      "interface a { b: 1 }",
      "type a = string",
      "enum a { X }",
      "import { readFileSync as a } from 'node:fs'",
      "namespace a { export const q = 1 }",
      "const { a, ...others } = { a: 1, c: 2 }",
      "for (var a = 0; a < 2; a++) {}",
    ];
    for (const [index, code] of kinds.entries()) {
      service.addCell(code, index + 1);
      for (const again of kinds.filter((_, i) => (i + index) % 3 === 0))
        assert.deepEqual(await messages(again), [], `${code} then ${again}`);
    }
  });

  test("an interface by the name of a global value hides the type, not the value", async () => {
    service.addCell("interface Array<T> { sum(): number }\ntype Map = { own: 1 }", 1);
    assert.deepEqual(await messages("Array.from([1]).length; new Map([[1, 2]])"), []);
    assert.deepEqual(await messages("const own: Map = { own: 1 }; Array.isArray(own)"), []);
    assert.deepEqual(await texts("Array.fr|"), ["from", "fromAsync"]);
    service.addCell("const Array = { mine: 1 }; interface Array { yours: 1 }", 2);
    assert.deepEqual(await texts("Array.mi|"), ["mine"]);
  });

  test("a cell that is typed again is not confused by its earlier run", async () => {
    service.addCell("let n = 1; function f() { return n }", 1);
    assert.deepEqual(await messages("let n = 1; function f() { return n }"), []);
    assert.deepEqual(await messages("n = 2; n += f()"), []);
    assert.deepEqual(await messages("n = 'x'"), ["2322 Type 'string' is not assignable to type 'number'."]);
  });

  test("an unfinished cell still completes", async () => {
    service.addCell("const table = { rows: 3, columns: 4 }", 1);
    assert.deepEqual(await texts("function f() { if (table.col|"), ["columns"]);
    assert.deepEqual(await texts("const x = table.|\nconst y = `never closed"), ["columns", "rows"]);
  });

  test("the kernel's globals and Node's", async () => {
    assert.deepEqual(await texts("display.cl|"), ["clear"]);
    assert.ok((await texts("Jupyter.comms.|")).includes("register"));
    assert.match(await hover("pro|mpt('x')"), /prompt: \(text\?: string/);
    assert.match(await hover("disp|lay(1)"), /shows itself/, "with its documentation");
    const usual = [
      "const door = Jupyter.comms.open('target', { a: 1 }, { buffers: [new Uint8Array(1)] });",
      "const stop = door.onMessage(async ({ data, buffers }) => console.log(data.x.y, buffers[0].getInt8(0)));",
      "stop(); door.send(); display(1).update(2); display.clear({ wait: true });",
      "prompt('a', 'b').trim(); (await input('a', { password: true })).trim(); Jupyter.html('<b>');",
    ];
    assert.deepEqual(await service.diagnostics(usual.join("\n")), [], "nothing that works is marked");
    assert.match((await service.diagnostics("input(1)")).map(({ message }) => message).join(), /not assignable/);
    assert.ok((await texts("process.std|")).includes("stdout"));
    assert.ok((await texts("docum|")).length === 0, "no DOM in Node");
  });

  test("paths and packages in import strings, files in other strings", async () => {
    assert.ok((await texts("import { x } from './lo|'")).some((text) => text.startsWith("local")));
    assert.ok((await texts("import { x } from 'node:f|'")).includes("node:fs/promises"));
    assert.deepEqual(await texts("import { x } from 'node:fs/p|'"), ["promises"]);
    assert.ok((await texts("import { x } from 'typed|'")).includes("typed-pkg"));
    assert.ok((await texts("import { ze| } from 'typed-pkg'")).includes("zebraStripes"));
    assert.deepEqual(await texts("open('./dat|')"), ["data.json"]);
  });

  test("imports of packages, local files and JSON have types", async () => {
    service.addCell(
      "import { zebraStripes } from 'typed-pkg'; import { twice } from './local.ts'; import data from './data.json' with { type: 'json' }",
      1,
    );
    assert.match(await hover("zebra|Stripes"), /function zebraStripes\(n: number\): number\n\nHow many stripes/);
    assert.match(await hover("twi|ce"), /function twice\(n: number\): number\n\nTwice/);
    assert.deepEqual(await texts("data.|"), ["rows", "title"]);
    writeFileSync(
      join(directory, "local.ts"),
      "/** Thrice. */\nexport function twice(n: number): string { return String(3 * n) }\n",
    );
    assert.match(await hover("twi|ce"), /function twice\(n: number\): string\n\nThrice/);
  });

  test("names that a dependency exports are proposed with their import", async () => {
    let found: string[] = [];
    for (let tries = 0; tries < 60 && found.length === 0; tries++) {
      found = await texts("zebraS|");
      if (found.length === 0) await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    assert.deepEqual(found, ['import { zebraStripes } from "typed-pkg";']);
    assert.deepEqual(await texts("const n = zebraS|"), ['(await import("typed-pkg")).zebraStripes']);
    assert.deepEqual(await texts("const n = () => zebraS|"), []);
  });

  test("nothing is proposed in comments, strings and new names", async () => {
    assert.deepEqual(await texts("// liv|"), []);
    assert.deepEqual(await texts("'liv|'"), []);
    assert.deepEqual(await texts("const liv|"), []);
  });

  test("living members complete what the types do not know", async () => {
    service.addCell("const livingThing: any = {}", 1);
    assert.deepEqual(await texts("livingThing.|"), ["spark"]);
    assert.deepEqual(await texts("livingThing['|"), ["spark", "two words"]);
    assert.deepEqual(await texts('livingThing["tw|"]'), ["two words"]);
  });

  test("a living value is not taken for a name that the cell declares itself", async () => {
    service.addCell("const livingThing = { dull: 1 }", 1);
    assert.deepEqual(await texts("livingThing.|"), ["dull", "spark"]);
    assert.deepEqual(await texts("const livingThing = { own: 1 };\nlivingThing.|"), ["own"]);
    assert.deepEqual(await texts("(livingThing: { given: 1 }) => livingThing.|"), ["given"]);
    assert.equal(await hover("function f(count: string) { return cou|nt }"), "(parameter) count: string");
  });

  test("the places where names are typed", async () => {
    service.addCell(
      "interface Point { px: number; py: number }\ntype Mode = 'fast' | 'slow';\nlet maybe = new Map<string, Point>();",
      1,
    );
    const cases: readonly (readonly [marked: string, ...expected: string[]])[] = [
      ["class P { #zed = 1; m() { this.#z| } }", "#zed"],
      ["maybe.get('x').|", "px", "py"],
      ["maybe.get('x')?.|", "px", "py"],
      ["const m: Mode = '|'", "fast", "slow"],
      ["const m: Mode = 's|", "slow"],
      ["const p: Point = { px: 1, | }", "py"],
      ["const { p| } = {} as Point", "px", "py"],
      ["let z: Poi|", "Point"],
      ["({}).hasO|", "hasOwnProperty"],
      ["`a $" + "{maybe.si|} b`", "size"],
      ["`maybe.si|`"],
      ["/* maybe.si| */"],
      ["'maybe.si|'"],
      ["/maybe.si|/"],
      ["JSON.|", "parse", "stringify"],
      ["?mayb|", "maybe"],
      ["lat|\nconst laterDeclared = 1", "laterDeclared"],
    ];
    for (const [marked, ...expected] of cases)
      assert.deepEqual((await texts(marked)).sort(), [...expected].sort(), marked);
    assert.equal((await texts("do|"))[0], "do");
    assert.deepEqual(await texts("class A {\n  /** @deprecated */\n  a1() {}\n  b1() {}\n}\nnew A().|"), ["b1", "a1"]);
    for (const marked of ["|", "con|", "mo|"]) {
      const found = await texts(marked);
      assert.equal(new Set(found).size, found.length, `each name once: ${marked}`);
    }
  });

  test("arguments of magics, files of commands", async () => {
    const cases: readonly (readonly [marked: string, ...expected: string[]])[] = [
      ["%types st|", "strict"],
      ["%types |", "off", "strict", "warn"],
      ["%npm a|", "add"],
      ["%load loc|", "local.ts"],
      ["%cd node|", "node_modules/"],
      ["%cd loc|"],
      ["!cat dat|", "data.json"],
      ["!cat ./node_modules/ty|", "typed-pkg/"],
      ["%%bash\ncat dat|", "data.json"],
      ["%%bash\nMath.ma|"],
      ["%time Math.ma|", "max"],
      ["%%time\nMath.ma|", "max"],
      ["%who |"],
    ];
    for (const [marked, ...expected] of cases)
      assert.deepEqual((await texts(marked)).sort(), [...expected].sort(), marked);
    assert.match(await hover("%ti|me 1"), /^%time/);
  });

  test("hover tells signature, documentation, tags and the current value", async () => {
    service.addCell("/** How many. @see nobody */\nlet count = 42;", 1);
    assert.equal(await hover("cou|nt"), "let count: number\n\nHow many.\n\n@see nobody\n\nValue: 42");
    const { data } = await service.inspect("count", 5, 0);
    assert.match(data["text/markdown"] ?? "", /```typescript\nlet count: number\n```/);
    assert.match(data["text/html"] ?? "", /<pre>let count: number<\/pre>/);
  });

  test("inside the arguments of a call, the function is told", async () => {
    service.addCell("/** Joins. */ function join(a: string, b: number) { return a + b }", 1);
    assert.match(await hover("join('x', |)"), /join\(a: string, b: number\): string/);
    assert.match(await hover("join(|"), /join\(a: string, b: number\): string/);
  });

  test("types by their name alone; members whose comment stands beside them; nothing in text and keywords", async () => {
    service.addCell(
      "/** A point. */\ninterface Point { /** Across. */ px: number }\nconst point: Point = { px: 1 };",
      1,
    );
    assert.equal(await hover("Poi|nt"), "interface Point\n\nA point.");
    assert.equal(await hover("point.p|x"), "(property) Point.px: number\n\nAcross.");
    assert.match(await hover("?poi|nt"), /const point: Point/);
    for (const nothing of ["con|st a = 1", "fo|r (;;) {}", "// cou|nt", "'cou|nt'", "`cou|nt`", "nobodyKno|ws"])
      assert.equal(await hover(nothing), "", nothing);
  });

  test("?? shows the text of the definition and where it stands", async () => {
    service.addCell("const before = 1;\nfunction area(r: number) {\n  return 3 * r * r;\n}", 7);
    assert.match(
      await hover("ar|ea", 1),
      /Defined in cell 7, line 2:\nfunction area\(r: number\) \{\n {2}return 3 \* r \* r;\n\}/,
    );
    service.addCell("let changing = [\n  1,\n];", 8);
    assert.match(await hover("chang|ing", 1), /Defined in cell 8, line 1:\nlet changing = \[\n {2}1,\n\]/);
  });

  test("what nobody knows is not found", async () => {
    assert.deepEqual(await service.inspect("nobodyKnows", 3, 0), { found: false, data: {} });
    assert.deepEqual(await service.inspect("", 0, 0), { found: false, data: {} });
  });

  test("diagnostics with line, column and caret frame", async () => {
    const found = await service.diagnostics("const a = 1;\n  const b: string = a;\n");
    assert.deepEqual(found, [
      {
        category: "error",
        code: 2322,
        message: "Type 'number' is not assignable to type 'string'.",
        start: 21,
        end: 22,
        line: 2,
        column: 9,
        frame: "  const b: string = a;\n        ^",
      },
    ]);
    assert.equal(
      presentDiagnostics(found, 5, false),
      "type error TS2322 in cell 5, 2:9: Type 'number' is not assignable to type 'string'.\n  2 |   const b: string = a;\n    |         ^\n",
    );
  });

  test("what the session refuses to run has no type errors", async () => {
    assert.deepEqual(await messages("const uninitialised"), []);
    assert.deepEqual(await messages("let a = 1,\n"), []);
  });

  test("a name that only lives is no unknown name; long lists and lines are cut", async () => {
    assert.deepEqual(await messages("livingThing.spark()"), []);
    assert.deepEqual(await messages("nobodyKnows"), ["2304 Cannot find name 'nobodyKnows'."]);
    const many = await service.diagnostics(
      Array.from({ length: 50 }, (_, i) => `const q${i}: string = ${i};`).join("\n"),
    );
    const text = presentDiagnostics(many, 3, false);
    assert.equal(text.match(/TS2322/g)?.length, 20);
    assert.match(text, /\.\.\. and 30 more type errors in cell 3\n$/);
    const long = await service.diagnostics(
      `/* ${"pad ".repeat(500)}*/ const s: string = 5; /* ${"pad ".repeat(500)}*/`,
    );
    const [, source = "", carets = ""] = presentDiagnostics(long, 3, false).split("\n");
    assert.ok(source.length < 200);
    assert.equal(source[carets.indexOf("^")], "s");
  });

  test("top-level await, using, decorators, magics and reassignment are fine", async () => {
    service.addCell("const fixed = 1; let free = 1; class C {} ", 1);
    const code =
      "%time const v = await Promise.resolve(3);\n!ls -la\nfree = v;\nusing d = { [Symbol.dispose]() {} };\nfunction dec(_: unknown, __: unknown) {}\n@dec class D extends C {}\nfor await (const x of []) {}\n?free";
    assert.deepEqual(await messages(code), []);
  });

  test("tsconfig.json next to the notebook is honoured, also when it changes", async () => {
    const code = "function f(a) { return a }";
    assert.deepEqual(await messages(code), []);
    writeFileSync(
      join(directory, "tsconfig.json"),
      '{ "compilerOptions": { "strict": true, "module": "commonjs", "noUnusedLocals": true } }',
    );
    assert.deepEqual(await messages(`${code}; await 1`), ["7006 Parameter 'a' implicitly has an 'any' type."]);
    rmSync(join(directory, "tsconfig.json"));
    assert.deepEqual(await messages(code), []);
  });

  test("offsets are UTF-16 units, also behind letters outside the basic plane", async () => {
    const { start, end, items } = await complete("'😀'; [1].flatM|");
    assert.deepEqual([start, end, items[0]?.text], [10, 15, "flatMap"]);
  });

  test("a completion overtakes the check of a large cell", async () => {
    const large = Array.from(
      { length: 1500 },
      (_, i) => `const v${i} = [1, 2, 3].map((x) => ({ x, y: String(x + ${i}) })).filter((p) => p.y.length > 1);`,
    ).join("\n");
    const order: string[] = [];
    const check = service.diagnostics(large).then(() => order.push("check"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await complete("[1].fla|").then(() => order.push("complete"));
    await check;
    assert.deepEqual(order, ["complete", "check"]);
  });

  test("cells that only replace each other do not pile up", async () => {
    for (let i = 0; i < 300; i++) service.addCell(`const same = ${i}; let other = same;`, i);
    const started = performance.now();
    assert.deepEqual(await texts("same.toF|"), ["toFixed"]);
    assert.ok(performance.now() - started < 10_000);
  });
});
