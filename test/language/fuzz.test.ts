import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { chainAt, chainBefore } from "../../kernel/language/chain.js";
import { isComplete } from "../../kernel/language/isComplete.js";
import { LanguageService } from "../../kernel/language/languageService.js";
import { lexical } from "../../kernel/language/lexical.js";
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
      lexical(code);
      assert.match(isComplete(code).status, /^(complete|incomplete|invalid|unknown)$/);
      assert.equal(blankMagics(code).length, code.length);
      chainAt(code, offset);
      chainBefore(code, offset);
    }),
    { numRuns: 2000, seed: 7 },
  );
});

/** TypeScript with a bit of everything. */
const program = `import fs, { readFileSync as rd, type Stats } from "node:fs";
export * as ns from './x'; export { a as b, type C } from "y";
@dec({ a: 1 }) export abstract class Foo<T extends object = {}> extends Bar<T> implements Baz, Qux<string> {
  static #count = 0; declare x: number; readonly y?: string; z!: Date;
  private constructor(public a: string, protected b = 1, ...rest: any[]) { super(a); }
  get value(): T | undefined { return this.a ?? undefined }
  async *gen(): AsyncGenerator<number, void, unknown> { yield* other(); yield await 1; }
  override toString = (): string => \`Foo(\${this.a}, \${[1, 2].map(x => \`<\${x}>\`).join(", ")})\`;
}
type A<T> = T extends (infer U)[] ? U : { readonly [K in keyof T as \`get\${K}\`]-?: () => void };
interface I<T> extends J<T> { (x: number): string; method?<U>(this: I<T>, u: U): asserts u is T & U; [key: string]: any }
declare global { interface Window { q: 1 } var zz: string }
enum E { A = 1 << 2, B = "x".length } function over(a: string): string; function over(a: any) { return a satisfies unknown as any }
label: for (let i = 0, j = 10; i < j; i++, j--) { if (i % 2) continue label; else break label }
for await (const chunk of stream) process.stdout.write(chunk);
do { x-- } while (x > 0 && !done || (y ??= z)?.a?.[0]?.("q"));
while (true) { try { await risky() } catch { break } finally { cleanup(); } }
switch (typeof x) { case "string": case 'number': { doIt(); break } default: throw new Error("bad: " + x, { cause: e }) }
const re = /ab+c[/\\]]\\/(?<year>\\d{4})/giu.exec(s)?.groups!.year ?? 'none'; const { a: aa = 1, ...others } = await import("./x.js");
const fn = async function* named({ a, b = 2 }: { a: number; b?: number } = { a: 1 }, [c]: [string] = ["x"]) { yield a };
const arrow = async ({ a }, [b], c = 1): Promise<void> => { await a?.b!.c(b) }; const t = <const T,>(x: T) => x!; const f = g<string>;
using d = open(); var x1 = a ? b ? c : d : e, y1 = (1, 2, 3), z1 = new Foo, w1 = new Foo.Bar<string>(1), s1 = -+~!x; // {
`;

test("the beginning of a program is never called invalid", () => {
  assert.equal(isComplete(program).status, "complete");
  for (let end = 0; end < program.length; end++) {
    const code = program.slice(0, end);
    const { inside } = lexical(code);
    const withinToken = /[\w$][\w$]|[.=<>&|?*+-]{2}/.test(program.slice(end - 1, end + 1));
    if (withinToken || inside === "string" || inside === "regex") continue;
    assert.match(isComplete(code).status, /^(?:in)?complete$/, code.slice(-40));
  }
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
