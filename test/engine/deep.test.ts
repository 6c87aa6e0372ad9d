import assert from "node:assert/strict";
import { test } from "node:test";
import { ortEngine } from "../../src/engine/ort.js";
import { Graph } from "../../src/graph/graph.js";
import { add, mul } from "../../src/graph/ops.js";
import { program } from "../../src/graph/program.js";
import { float32 } from "../../src/tensor.js";

test("a graph of ten thousand operations in a row compiles and runs", async () => {
  const graph = new Graph();
  let x = graph.input("x", "float32", [1]);
  for (let i = 0; i < 5000; i++) x = add(mul(x, 0.5), 1);
  const executable = await ortEngine().compile(program({ x }));
  const { x: result } = await executable.run({ x: float32([1], [0]) });
  assert.equal(result?.data[0], 2);
  await executable.dispose();
});
