import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import * as ops from "../../src/graph/ops.js";
import { print } from "../../src/graph/print.js";
import { program } from "../../src/graph/program.js";
import { GraphError } from "../../src/graph/value.js";
import { float32 } from "../../src/tensor.js";

test("a linear layer and its gradient print as this", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2, 3, 4]);
  const weight = graph.input("weight", "float32", [5, 4]);
  const bias = graph.input("bias", "float32", [5]);
  const y = ops.tanh(ops.add(ops.fusedMatMul(x, weight, { transB: true }), bias));
  const [dWeight, dBias] = gradient(ops.reduceSum(y), [weight, bias]);
  assert.ok(dWeight && dBias);
  assert.equal(
    print(program({ dWeight, dBias })),
    `%0 = Input "x" : float32[2, 3, 4]
%1 = Input "weight" : float32[5, 4]
%2 = Input "bias" : float32[5]
%3 = FusedMatMul %0 %1 transB : float32[2, 3, 5]
%4 = Add %3 %2 : float32[2, 3, 5]
%5 = Tanh %4 : float32[2, 3, 5]
%6 = Constant 1 : float32[]
%7 = Mul %5 %5 : float32[2, 3, 5]
%8 = Sub %6 %7 : float32[2, 3, 5]
%9 = ReduceSum %8 axes=[0, 1] : float32[5]
%10 = Reshape %0 : float32[6, 4]
%11 = Reshape %8 : float32[6, 5]
%12 = FusedMatMul %11 %10 transA : float32[5, 4]
return dWeight = %12, dBias = %9
`,
  );
});

test("attributes print", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2, 4]);
  const y = ops.gelu(ops.clip(ops.slice(ops.pad(x, 1, 1, 2, 7), 1, 0, 4), -1, 1), "tanh");
  const z = ops.fusedMatMul(y, graph.constant(float32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8])), { transB: true, alpha: 0.5 });
  assert.equal(
    print(program({ best: ops.argMax(z), sums: ops.cumSum(z, 0, true), last: ops.trilu(z, { upper: false, k: -1 }) })),
    `%0 = Input "x" : float32[2, 4]
%1 = Pad %0 axis=1 before=1 after=2 value=7 : float32[2, 7]
%2 = Slice %1 axis=1 0..4 : float32[2, 4]
%3 = Clip %2 -1..1 : float32[2, 4]
%4 = Gelu %3 tanh : float32[2, 4]
%5 = Constant 1, 2, 3, 4, ... : float32[2, 4]
%6 = FusedMatMul %4 %5 transB alpha=0.5 : float32[2, 2]
%7 = ArgMax %6 axis=1 : int32[2]
%8 = CumSum %6 axis=0 reverse : float32[2, 2]
%9 = Trilu %6 lower k=-1 : float32[2, 2]
return best = %7, sums = %8, last = %9
`,
  );
});

describe("a graph", () => {
  test("shares equal expressions, keeps different ones apart", () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [3]);
    assert.equal(graph.input("x", "float32", [3]), x);
    assert.equal(ops.exp(x), ops.exp(x));
    assert.equal(ops.mul(x, 2), ops.mul(x, 2));
    assert.notEqual(ops.mul(x, 0), ops.mul(x, -0));
    assert.notEqual(ops.clip(x, 0, 1), ops.clip(x, 0, Number.POSITIVE_INFINITY));
    const table = float32([2], [1, 2]);
    assert.equal(graph.constant(table), graph.constant(table));
  });

  test("leaves out of a program what its outputs do not need", () => {
    const graph = new Graph();
    const [x, y] = [graph.input("x", "float32", [3]), graph.input("y", "float32", [3])];
    ops.add(x, y);
    assert.deepEqual(
      program({ out: ops.exp(x) }).inputs.map(({ name }) => name),
      ["x"],
    );
  });

  test("refuses what does not fit, and says why", () => {
    const graph = new Graph();
    const [x, ids] = [graph.input("x", "float32", [2, 3]), graph.input("ids", "int32", [2])];
    const refused: [() => unknown, RegExp][] = [
      [() => ops.add(x, ids), /Add\(float32\[2, 3\], int32\[2\]\): both operands must be float32 or both int32/],
      [() => ops.add(x, graph.input("z", "float32", [2])), /the shapes do not broadcast/],
      [() => ops.matMul(x, x), /the inner sizes 3 and 2 differ/],
      [() => ops.matMul(x, ids), /must be float32/],
      [() => ops.reshape(x, [4]), /\[4\] has 4 elements instead of 6/],
      [() => ops.transpose(x, [0, 0]), /not a permutation/],
      [() => ops.softmax(x, 2), /axis 2 is outside/],
      [() => ops.slice(x, 1, 2, 5), /2\.\.5 is not within the 3 elements of axis 1/],
      [() => ops.concat([x, ids], 0), /one dtype and equal sizes/],
      [() => ops.concat([], 0), /nothing to join/],
      [() => ops.split(x, [1, 1], 1), /do not add up/],
      [() => ops.gather(x, x), /ids must be int32/],
      [() => ops.expand(x, [2, 4]), /does not broadcast/],
      [() => ops.where(x, x, x), /condition must be bool/],
      [() => ops.add(1, 2), /at least one operand must be a value/],
      [() => ops.topK(x, 4), /k = 4 is not within the axis/],
      [() => ops.rotaryEmbedding(x, x, x), /x must be \[B, H, T, D\]/],
      [() => ops.layerNormalization(x, ids, ids, 1e-5), /last axis' size/],
      [() => graph.input("x", "float32", [3]), /input "x" was declared as float32\[2, 3\] and now as float32\[3\]/],
      [() => graph.input("bad", "float32", [-1]), /not made of whole numbers/],
      [() => ops.add(x, new Graph().input("x", "float32", [3])), /belongs to another graph/],
      [() => program({}), /at least one output/],
      [() => program({ x, y: new Graph().input("x", "float32", [3]) }), /different graphs/],
      [() => gradient(x, [x]), /must be a float32 scalar/],
      [() => gradient(ops.reduceSum(x), [ids]), /not float32/],
    ];
    for (const [build, message] of refused) {
      assert.throws(build, (error) => error instanceof GraphError && message.test(error.message), String(message));
    }
  });
});
