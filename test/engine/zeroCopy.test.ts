import assert from "node:assert/strict";
import { test } from "node:test";
import { ortEngine } from "../../src/engine/ort.js";
import { Graph } from "../../src/graph/graph.js";
import { add, gather, reduceSum } from "../../src/graph/ops.js";
import { program } from "../../src/graph/program.js";
import { float32, int32 } from "../../src/tensor.js";

test("weights are read where they lie: a program over 400 MB of them does not need another 400 MB", async () => {
  const rows = 100_000_000 / 500;
  const graph = new Graph();
  const tables = ["a", "b"].map((name) => graph.input(name, "float32", [rows / 2, 500]));
  const ids = graph.input("ids", "int32", [3]);
  const [a, b] = tables.map((table) => reduceSum(gather(table, ids)));
  assert.ok(a && b);
  const executable = await ortEngine().compile(program({ sum: add(a, b) }));
  const weights = float32([rows / 2, 500], new Float32Array((rows / 2) * 500).fill(1));
  const before = process.memoryUsage().rss;
  const { sum } = await executable.run({ a: weights, b: weights, ids: int32([3], [0, 5, rows / 2 - 1]) });
  const grown = process.memoryUsage().rss - before;
  assert.equal(sum?.data[0], 3000);
  assert.ok(grown < 50e6, `resident memory grew by ${Math.round(grown / 1e6)} MB`);
  await executable.dispose();
});
