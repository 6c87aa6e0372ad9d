import assert from "node:assert/strict";
import { test } from "node:test";
import { adam } from "../../src/optim/adam.js";
import { addGradients, chain, clipByGlobalNorm, clipping, globalNorm } from "../../src/optim/optimizer.js";
import { sgd } from "../../src/optim/sgd.js";
import { float32, type Params } from "../../src/tensor.js";
import { closeTo } from "../helpers/golden.js";

const params: Params = new Map([
  ["a", float32([2], [1, 2])],
  ["b", float32([1], [3])],
]);
const gradients = (a: readonly number[], b: readonly number[], scale = 1) => ({
  tensors: new Map([
    ["a", float32([2], a)],
    ["b", float32([1], b)],
  ]),
  scale,
});

test("clipping in a chain scales the gradient down to the norm, and leaves a short one alone", () => {
  const optimizer = chain(clipping(1), sgd({ learningRate: 1 }));
  const state = optimizer.init(params);
  const long = optimizer.update(gradients([3, 0], [4]), state, params);
  closeTo(long.params.get("a")?.data ?? [], [1 - 0.6, 2], { abs: 1e-6 }, "a");
  closeTo(long.params.get("b")?.data ?? [], [3 - 0.8], { abs: 1e-6 }, "b");
  const short = optimizer.update(gradients([0.3, 0], [0.4]), state, params);
  closeTo(short.params.get("b")?.data ?? [], [2.6], { abs: 1e-6 }, "b");
  assert.equal(globalNorm(clipByGlobalNorm(gradients([3, 0], [4], 2), 100)), 10);
});

test("an update changes no array unless it is told to, and then only those", () => {
  const optimizer = adam({ learningRate: 0.1 });
  const before = params.get("a")?.data.slice();
  const first = optimizer.update(gradients([1, 2], [3]), optimizer.init(params), params);
  assert.deepEqual(params.get("a")?.data, before);
  const own = first.params.get("a")?.data;
  const kept = first.params.get("b")?.data;
  const second = optimizer.update(gradients([1, 2], [3]), first.state, first.params, {
    overwrite: (array) => array === own,
  });
  assert.equal(second.params.get("a")?.data, own);
  assert.notEqual(second.params.get("b")?.data, kept);
});

test("gradients add up with their scales, over the first one's memory", () => {
  const sum = addGradients(gradients([1, 2], [3], 0.5), gradients([10, 20], [30], 0.5));
  assert.equal(sum.scale, 0.5);
  assert.deepEqual([...(sum.tensors.get("a")?.data ?? [])], [11, 22]);
  const skipped = addGradients(gradients([1, 2], [3], 0.5), gradients([10, 20], [30], 0));
  assert.deepEqual(
    [...(skipped.tensors.get("b")?.data ?? [])].map((x) => x * skipped.scale),
    [1.5],
  );
});

test("a gradient of another size, or of nothing that is trained, is refused by name", () => {
  const optimizer = adam({ learningRate: 0.1 });
  const step = (name: string, length: number) => () =>
    optimizer.update(
      { tensors: new Map([[name, float32([length], new Float32Array(length))]]), scale: 1 },
      optimizer.init(params),
      params,
    );
  assert.throws(step("c", 1), /gradient for "c", which is not a parameter/);
  assert.throws(step("a", 3), /the gradient of "a" has 3 elements, the parameter 2/);
});
