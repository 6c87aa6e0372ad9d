import assert from "node:assert/strict";
import { test } from "node:test";
import { philox4x32, stream } from "../../src/random.js";

const hex = (words: readonly number[]): string => words.map((word) => word.toString(16).padStart(8, "0")).join(" ");

test("Philox 4x32-10 gives its published known answers", () => {
  const f = 0xffffffff;
  assert.equal(hex(philox4x32([0, 0, 0, 0], [0, 0])), "6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  assert.equal(hex(philox4x32([f, f, f, f], [f, f])), "408f276d 41c83b0e a20bc7c6 6d5451fd");
  assert.equal(
    hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

test("a stream is a function of seed, purpose, step and sequence, and of nothing else", () => {
  const draw = (...args: Parameters<typeof stream>) => {
    const random = stream(...args);
    return Array.from({ length: 6 }, () => random.bits()).join();
  };
  assert.equal(draw(7, "sample", 3, 5), draw(7, "sample", 3, 5));
  const others = [draw(8, "sample", 3, 5), draw(7, "shuffle", 3, 5), draw(7, "sample", 4, 5), draw(7, "sample", 3, 6)];
  const far = draw(7 + 2 ** 40, "sample", 3, 5);
  assert.equal(new Set([draw(7, "sample", 3, 5), far, ...others]).size, 6);
});

test("uniform and normal draws have the moments they should", () => {
  const random = stream(1, "moments");
  const n = 20_000;
  let sum = 0;
  let normalSum = 0;
  let normalSquares = 0;
  for (let i = 0; i < n; i++) {
    const u = random.uniform();
    assert.ok(u >= 0 && u < 1);
    sum += u;
    const z = random.normal();
    normalSum += z;
    normalSquares += z * z;
  }
  assert.ok(Math.abs(sum / n - 0.5) < 0.01);
  assert.ok(Math.abs(normalSum / n) < 0.03);
  assert.ok(Math.abs(normalSquares / n - 1) < 0.05);
});

test("a permutation has each index once, and every order is about equally likely", () => {
  const random = stream(2, "permutation");
  assert.deepEqual(
    [...random.permutation(100)].sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, i) => i),
  );
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = random.permutation(3).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 150);
});

test("a seed, step or bound that makes no sense is an error that names it", () => {
  assert.throws(() => stream(-1, "x"), /the seed .* not -1/);
  assert.throws(() => stream(0, "x", 0.5), /the step .* not 0.5/);
  assert.throws(() => stream(0, "x").integer(0), /not 0/);
});
