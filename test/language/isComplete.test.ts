import assert from "node:assert/strict";
import { test } from "node:test";
import { isComplete } from "../../kernel/language/isComplete.js";

const complete = [
  "",
  "1",
  "const x = 1",
  "const x = `a\nb`",
  "await fetch('x')",
  "for (const a of b) {}",
  "a // {",
  "const r = /[{(]/",
  "a / b / c",
  "'{'",
  "if (x) {}",
  "x!",
  "using d = f()",
  "import a from 'b' with { type: 'json' }",
  "%time foo()",
  "!ls -la",
  "?display",
  "display?",
  "%%bash\necho {",
  "const x = <T,>(a: T) => a",
  "@d class A {}",
  "enum E { A }",
  "declare function f(a: number): void",
  "type",
  "'abc\\\ndef'",
  "`abc \u0024{1}`",
  "#!/usr/bin/env node\n1",
  '! echo "it\'s"',
  "!ls -la | grep (",
  "!echo it's",
  "%%time\n1",
  "x\n\n",
  "a\n  .b",
  `const big = [1];${"\nbig.push(1);".repeat(60_000)}`,
  "const 𝒳 = '😀'",
];
const incomplete = [
  "const x =",
  "const x",
  "function f() {",
  "f(1,",
  "`abc",
  "`abc ${",
  "`abc ${x",
  "/* abc",
  "foo.",
  "if (x)",
  "if (x) {} else",
  "class A {\n  a() {",
  "a ?",
  "a ? b",
  "[1, 2",
  "const f = () =>",
  "import {",
  "import { a } from",
  "@dec",
  "switch (x) { case 1:",
  "try { a }",
  "do x; while",
  "type A =",
  "interface A",
  "let x: Array<",
  "a +",
  "new",
  "throw",
  "var a = 'abc\\\n",
  "x = {\n",
  "await",
  "a &&",
  "a?.",
  "(a, b) =>",
  "`abc \u0024{1}",
  "interface",
  "import.",
  "try {}",
  "do {} while (x",
  "function f()",
  "function f(a: number): void",
  "async (a, b): Promise<void>",
  "const { a }",
  "throw",
  "class A { #x",
  "class A { async *gen()",
  "x = { get d()",
  "let v = <const T,",
  "super.a(() => { const b = ({ c }, [d]) =>",
  "%%bash",
  "%%time\nfor (",
  "if (x) { // why",
  "(".repeat(20_000),
  "[".repeat(100_000),
  "f(".repeat(10_000),
];
const invalid = [
  "/(/",
  "x.match(/[b-a]/u)",
  "let = = 3",
  "}",
  "x = )",
  "1a",
  "a b",
  "'abc",
  "return 3",
  "const a = 1; const a = 2",
  "foo(]",
  "%%% x",
  "if (x {",
  "'abc\\\ndef",
  "f(1))",
  "(]",
  "const x = ;",
  "import numpy as np",
  "def f(x):",
  "5 = 3",
  "/abc",
  "return 3; // no continuation helps",
];

const title = (code: string): string => JSON.stringify(code).slice(0, 60);
for (const code of complete) test(`complete: ${title(code)}`, () => assert.equal(isComplete(code).status, "complete"));
for (const code of incomplete)
  test(`incomplete: ${title(code)}`, () => assert.equal(isComplete(code).status, "incomplete"));
for (const code of invalid) test(`invalid: ${title(code)}`, () => assert.equal(isComplete(code).status, "invalid"));

test("a nesting that no parser's stack holds is not parsed", () => {
  assert.deepEqual(isComplete(`${"(".repeat(20_000)}1${")".repeat(20_000)}`), { status: "unknown" });
});

test("of a very long line with many mistakes only the brackets are looked at", () => {
  const started = performance.now();
  assert.deepEqual(isComplete("return;".repeat(20_000)), { status: "complete" });
  assert.deepEqual(isComplete(`f(${"return;".repeat(20_000)}`), { status: "incomplete", indent: "  " });
  assert.ok(performance.now() - started < 2000, "about 0.1 seconds");
});

test("the indent of the next line follows the open block", () => {
  assert.deepEqual(isComplete("function f() {"), { status: "incomplete", indent: "  " });
  assert.deepEqual(isComplete("function f() {\n  if (x) {"), { status: "incomplete", indent: "    " });
  assert.deepEqual(isComplete("function f() {\n  return 1;"), { status: "incomplete", indent: "  " });
  assert.deepEqual(isComplete("class A {\n\tm() {"), { status: "incomplete", indent: "\t\t" });
  const next = (code: string): string | undefined => {
    const found = isComplete(code);
    return found.status === "incomplete" ? found.indent : undefined;
  };
  const cases: readonly (readonly [code: string, indent: string])[] = [
    ["foo(1,", "  "],
    ["foo(\n  1,", "  "],
    ["if (x) {\n  y()", "  "],
    ["if (x) { // why", "  "],
    ["if (x) {\n  if (y)", "    "],
    ["if (x) {} else", "  "],
    ["if (a) {\n    if (b) {", "        "],
    ["switch (x) {\n  case 1:", "    "],
    ["switch (x) {\n  case 1:\n    y();", "    "],
    ["function f() {\n  if (x) {\n    y();\n  }", "  "],
    ["const o = {\n  a: {\n    b: 1,", "    "],
    ["if (x) {\n  y();\n\n", "  "],
    ["a = 1\r\nif (x) {\r\n", "  "],
    ["const f = () =>", "  "],
  ];
  for (const [code, indent] of cases) assert.equal(next(code), indent, JSON.stringify(code));
});
