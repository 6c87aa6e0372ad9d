import assert from "node:assert/strict";
import { test } from "node:test";
import { ortEngine } from "../../src/engine/ort.js";
import { referenceEngine } from "../../src/engine/reference.js";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import {
  fusedMatMul,
  gather,
  gatherElements,
  logSoftmax,
  neg,
  reduceMean,
  rmsNormalization,
} from "../../src/graph/ops.js";
import { program } from "../../src/graph/program.js";
import { float32, int32 } from "../../src/tensor.js";

test("both backends agree on a small language model's loss and gradients", async () => {
  const graph = new Graph();
  const table = graph.input("table", "float32", [5, 4]);
  const scale = graph.input("scale", "float32", [4]);
  const ids = graph.input("ids", "int32", [2, 3]);
  const targets = graph.input("targets", "int32", [2, 3, 1]);
  const hidden = rmsNormalization(gather(table, ids), scale, 1e-5);
  const logits = fusedMatMul(hidden, table, { transB: true });
  const loss = neg(reduceMean(gatherElements(logSoftmax(logits), targets)));
  const [dTable, dScale] = gradient(loss, [table, scale]);
  assert.ok(dTable && dScale);
  const compiled = program({ loss, dTable, dScale });
  const inputs = {
    table: float32(
      [5, 4],
      Array.from({ length: 20 }, (_, i) => Math.sin(i)),
    ),
    scale: float32([4], [1, 0.5, 2, -1]),
    ids: int32([2, 3], [0, 1, 1, 4, 4, 0]),
    targets: int32([2, 3, 1], [1, 1, 4, 4, 0, 2]),
  };
  const [native, reference] = await Promise.all(
    [ortEngine(), referenceEngine()].map(async (engine) => (await engine.compile(compiled)).run(inputs)),
  );
  for (const name of ["loss", "dTable", "dScale"]) {
    const [a, b] = [native?.[name], reference?.[name]];
    assert.ok(a && b);
    assert.deepEqual(a.shape, b.shape);
    for (const [i, element] of a.data.entries()) {
      assert.ok(Math.abs(element - Number(b.data[i])) < 1e-6, `${name} ${i}`);
    }
  }
});
