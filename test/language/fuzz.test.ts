import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { chainAt, chainBefore } from "../../kernel/language/chain.js";
import { isComplete } from "../../kernel/language/isComplete.js";
import { LanguageService } from "../../kernel/language/languageService.js";
import { blankMagics } from "../../kernel/language/magicLines.js";

const pieces = [
  "const a = ",
  "let b: number",
  "interface C { x: 1 }",
  "class D<T> extends ",
  "function f(",
  ") {",
  "}",
  "`${",
  "`",
  "'",
  '"',
  "/*",
  "*/",
  "//",
  "\n",
  "import { x } from './x",
  "export default ",
  "await ",
  "=> ",
  "?.",
  ".",
  "[",
  "]",
  "(",
  "declare global {",
  "namespace N {",
  "enum E { A,",
  "@dec ",
  "#p",
  "😀",
  "\u2028",
  "%time ",
  "!ls",
  "?name",
  "using u = ",
  "type T = ",
  "keyof ",
  "a",
  "b",
  "f(1)",
  "<",
  ">",
  "\\u{",
  "0x",
  "1n",
  "/re",
  "async ",
  "yield",
  "\0",
  "import.meta",
  "var var",
  "...",
];
const cell = fc.array(fc.constantFrom(...pieces), { maxLength: 25 }).map((parts) => parts.join(""));
const logged: string[] = [];
const service = new LanguageService({ directory: tmpdir(), patience: 60_000, log: (line) => logged.push(line) });
before(() => service.warm());
after(() => service.dispose());

test("no text whatever breaks isComplete, the chains and the magics", () => {
  fc.assert(
    fc.property(fc.oneof(cell, fc.string({ unit: "binary" })), fc.nat(200), (code, at) => {
      const offset = Math.min(at, code.length);
      assert.match(isComplete(code).status, /^(complete|incomplete|invalid|unknown)$/);
      assert.equal(blankMagics(code).length, code.length);
      chainAt(code, offset);
      chainBefore(code, offset);
    }),
    { numRuns: 2000, seed: 7 },
  );
});

test("no cell whatever breaks the checker", async () => {
  await fc.assert(
    fc.asyncProperty(cell, fc.nat(200), async (code, at) => {
      const offset = Math.min(at, code.length);
      service.addCell(code, 1);
      const { start, end } = await service.complete(code, offset);
      assert.ok(start <= offset && end >= offset && end <= code.length, `${start} ${offset} ${end}`);
      await service.inspect(code, offset, 1);
      for (const { line, column, frame } of await service.diagnostics(code)) {
        assert.ok(line >= 1 && column >= 1);
        assert.equal(frame.split("\n").length, 2);
      }
    }),
    { numRuns: 25, seed: 7 },
  );
  assert.deepEqual(logged, []);
  assert.equal(service.state, "ready");
});
