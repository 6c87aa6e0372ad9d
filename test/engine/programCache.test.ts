import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../../src/engine/engine.js";
import { programCache } from "../../src/engine/programCache.js";
import { referenceEngine } from "../../src/engine/reference.js";
import { Graph } from "../../src/graph/graph.js";
import { exp } from "../../src/graph/ops.js";
import { type Program, program } from "../../src/graph/program.js";
import { float32 } from "../../src/tensor.js";

const make = (): Program => program({ y: exp(new Graph().input("x", "float32", [1])) });
const inputs = { x: float32([1], [0]) };

/** The reference engine, counting compilations and disposals. */
function counting() {
  const counts = { compiled: 0, disposed: 0 };
  const inner = referenceEngine();
  const engine: Engine = {
    name: "counting",
    async compile(program) {
      counts.compiled++;
      const executable = await inner.compile(program);
      return {
        program,
        run: async (...args) => executable.run(...args),
        async dispose() {
          counts.disposed++;
          await executable.dispose();
        },
      };
    },
  };
  return { engine, counts };
}

test("compiles once per key, also when asked twice at once", async () => {
  const { engine, counts } = counting();
  const cache = programCache(engine);
  const [a, b] = await Promise.all([cache.get("key", make), cache.get("key", make)]);
  assert.equal(a, b);
  assert.equal(await cache.get("key", assert.fail), a);
  assert.equal(counts.compiled, 1);
  assert.equal((await a.run(inputs)).y?.data[0], 1);
});

test("disposes the least recently used when full, after its runs have ended", async () => {
  const { engine, counts } = counting();
  const cache = programCache(engine, { maxEntries: 2 });
  const first = await cache.get("1", make);
  await cache.get("2", make);
  await cache.get("1", assert.fail);
  const running = first.run(inputs);
  await cache.get("3", make);
  assert.equal(cache.size, 2);
  await cache.get("4", make);
  assert.equal((await running).y?.data[0], 1);
  await new Promise(setImmediate);
  assert.deepEqual(counts, { compiled: 4, disposed: 2 });
  await cache.dispose();
  assert.deepEqual([counts.disposed, cache.size], [4, 0]);
});

test("forgets a program that could not be compiled", async () => {
  const cache = programCache(referenceEngine());
  const failing = () => {
    throw new Error("no such program");
  };
  await assert.rejects(cache.get("key", failing), /no such program/);
  await new Promise(setImmediate);
  assert.equal(cache.size, 0);
  await cache.get("key", make);
});
