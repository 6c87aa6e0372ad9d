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
  "function f(a: number): void",
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
];
const invalid = [
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
];

for (const code of complete)
  test(`complete: ${JSON.stringify(code)}`, () => assert.equal(isComplete(code).status, "complete"));
for (const code of incomplete)
  test(`incomplete: ${JSON.stringify(code)}`, () => assert.equal(isComplete(code).status, "incomplete"));
for (const code of invalid)
  test(`invalid: ${JSON.stringify(code)}`, () => assert.equal(isComplete(code).status, "invalid"));

test("the indent of the next line follows the open block", () => {
  assert.deepEqual(isComplete("function f() {"), { status: "incomplete", indent: "  " });
  assert.deepEqual(isComplete("function f() {\n  if (x) {"), { status: "incomplete", indent: "    " });
  assert.deepEqual(isComplete("function f() {\n  return 1;"), { status: "incomplete", indent: "  " });
  assert.deepEqual(isComplete("class A {\n\tm() {"), { status: "incomplete", indent: "\t\t" });
  assert.deepEqual(isComplete("foo(1,"), { status: "incomplete", indent: "" });
});
