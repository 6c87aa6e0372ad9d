import assert from "node:assert/strict";
import { test } from "node:test";
import { murmur2 } from "../../kernel/debug/murmur2.js";
import { codeLines, isInsideTry } from "../../kernel/debug/syntax.js";

test("Murmur2 of a cell, as Jupyter front ends compute it", () => {
  // The plain-loop form of the algorithm as published, on bytes.
  const oracle = (text: string, seed: number): number => {
    const bytes = [...Buffer.from(text)];
    const mul = (a: number, b: number): number => Number((BigInt(a >>> 0) * BigInt(b >>> 0)) & 0xffffffffn);
    const m = 0x5bd1e995;
    let h = (seed ^ bytes.length) >>> 0;
    while (bytes.length >= 4) {
      const [a = 0, b = 0, c = 0, d = 0] = bytes.splice(0, 4);
      let k = mul((a | (b << 8) | (c << 16) | (d << 24)) >>> 0, m);
      k = mul((k ^ (k >>> 24)) >>> 0, m);
      h = (mul(h, m) ^ k) >>> 0;
    }
    const [a = 0, b = 0, c = 0] = bytes;
    if (bytes.length === 3) h = (h ^ (c << 16)) >>> 0;
    if (bytes.length >= 2) h = (h ^ (b << 8)) >>> 0;
    if (bytes.length >= 1) h = mul((h ^ a) >>> 0, m);
    h = mul((h ^ (h >>> 13)) >>> 0, m);
    return (h ^ (h >>> 15)) >>> 0;
  };
  for (const text of ["", "a", "ab", "abc", "abcd", "const x = 1;\nx", "äöü 😀 – ∀", "z".repeat(1001)])
    assert.equal(murmur2(text, 0xc70f6907), oracle(text, 0xc70f6907), text);
});

test("whether a throw is caught by its own function", () => {
  const at = (code: string): boolean => isInsideTry(code.replace("|", ""), code.indexOf("|"));
  assert.equal(at("try { |f() } catch {}"), true);
  assert.equal(at("try { f() } catch { |g() }"), false);
  assert.equal(at("try { |f() } finally {}"), false);
  assert.equal(at("try { (function () { |f() })() } catch {}"), false);
  assert.equal(at("(() => { try { if (x) { |f() } } catch (e) {} })()"), true);
});

test("lines on which execution can stop", () => {
  assert.deepEqual(
    codeLines(
      "\n// x\nconst a = 1;\ninterface B { c: 1 }\nfunction f() {\n\n  return 1;\n}\nimport x from 'y';\n[1].map(\n  (q) => q + 1,\n);",
    ),
    [3, 7, 8, 10, 11],
  );
});
