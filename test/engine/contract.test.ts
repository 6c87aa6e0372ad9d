import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Engine } from "../../src/engine/engine.js";
import { ortEngine } from "../../src/engine/ort.js";
import { evaluate, referenceEngine } from "../../src/engine/reference.js";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import * as ops from "../../src/graph/ops.js";
import { program } from "../../src/graph/program.js";
import type { OpName } from "../../src/graph/value.js";
import { float32, int32, sizeOf, type Tensor } from "../../src/tensor.js";
import { buildCase, cases, wave } from "./cases.js";

/** Equal up to float32 rounding, with equal NaNs and infinities. */
function assertClose(actual: Tensor | undefined, expected: Tensor | undefined, what: string): void {
  assert.ok(actual && expected, what);
  assert.equal(actual.dtype, expected.dtype, what);
  assert.deepEqual(actual.shape, expected.shape, what);
  for (const [i, x] of actual.data.entries()) {
    const y = Number(expected.data[i]);
    if (Object.is(x, y) || x === y) continue;
    assert.ok(Math.abs(x - y) <= 2e-6 + 2e-5 * Math.abs(y), `${what}: element ${i} is ${x}, expected ${y}`);
  }
}

test("the cases cover every operation", () => {
  const met = new Set<OpName>();
  for (const item of cases) {
    const { y } = buildCase(item);
    for (const value of program({ y }).values) met.add(value.node.op);
  }
  const all: Record<OpName, true> = everyOp;
  assert.deepEqual(
    Object.keys(all).filter((op) => !met.has(op as OpName)),
    [],
  );
});

const onnxruntime = ortEngine();

describe("onnxruntime computes what the reference defines", async () => {
  for (const item of cases) {
    test(item.name, async () => {
      const { y, values } = buildCase(item);
      const wrt = differentiated(item.wrt, values);
      const outputs: Record<string, typeof y> = { y };
      if (wrt.length > 0) {
        const gradients = gradient(
          weightedSum(y),
          wrt.map(([, value]) => value),
        );
        wrt.forEach(([name], i) => Object.assign(outputs, { [`d${name}`]: gradients[i] }));
      }
      const compiled = program(outputs);
      const [native, reference] = await Promise.all(
        [onnxruntime, referenceEngine()].map(async (engine) => {
          const executable = await engine.compile(compiled);
          const results = await executable.run(item.inputs);
          await executable.dispose();
          return results;
        }),
      );
      for (const name of Object.keys(outputs)) assertClose(native?.[name], reference?.[name], name);
    });
  }
});

describe("gradients equal finite differences", () => {
  for (const item of cases) {
    const { y, values } = buildCase(item);
    const wrt = differentiated(item.wrt, values);
    if (wrt.length === 0 || y.dtype !== "float32") continue;
    test(item.name, () => {
      const loss = weightedSum(y);
      const gradients = gradient(
        loss,
        wrt.map(([, value]) => value),
      );
      const lossOnly = program({ loss });
      const inputs = new Map(
        Object.entries(item.inputs).map(([name, { shape, data }]) => [name, { shape, data: Float64Array.from(data) }]),
      );
      const lossAt = (name: string, index: number, step: number): number => {
        const { shape, data } = inputs.get(name) ?? assert.fail(name);
        const moved = data.slice();
        moved[index] = Number(data[index]) + step;
        return Number(evaluate(lossOnly, new Map([...inputs, [name, { shape, data: moved }]])).get("loss")?.data[0]);
      };
      wrt.forEach(([name, value], which) => {
        const derivative = gradients[which] ?? assert.fail(name);
        assert.deepEqual(derivative.shape, value.shape);
        const analytic = evaluate(program({ derivative }), inputs).get("derivative") ?? assert.fail(name);
        for (const [i, slope] of analytic.data.entries()) {
          const step = 1e-5;
          const numeric = (lossAt(name, i, step) - lossAt(name, i, -step)) / (2 * step);
          assert.ok(
            Math.abs(slope - numeric) <= 1e-6 + 1e-6 * Math.abs(numeric),
            `d${name}[${i}] is ${slope}, differences give ${numeric}`,
          );
        }
      });
    });
  }

  test("at ties min and max share the gradient, as PyTorch's do", () => {
    const graph = new Graph();
    const [a, b] = [graph.input("a", "float32", [2]), graph.input("b", "float32", [2])];
    const [da, db] = gradient(ops.reduceSum(ops.max(a, b)), [a, b]);
    assert.ok(da && db);
    const two = { shape: [2], data: Float64Array.of(1, 2) };
    const results = evaluate(
      program({ da, db }),
      new Map([
        ["a", two],
        ["b", { shape: [2], data: Float64Array.of(1, 3) }],
      ]),
    );
    assert.deepEqual([...(results.get("da")?.data ?? [])], [0.5, 0]);
    assert.deepEqual([...(results.get("db")?.data ?? [])], [0.5, 1]);
  });

  test("a stopped gradient is zero", () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [2]);
    const [dx] = gradient(ops.reduceSum(ops.mul(x, ops.stopGradient(x))), [x]);
    const [unused] = gradient(ops.reduceSum(ops.stopGradient(x)), [x]);
    assert.ok(dx && unused);
    const results = evaluate(program({ dx, unused }), new Map([["x", { shape: [2], data: Float64Array.of(3, -2) }]]));
    assert.deepEqual([...(results.get("dx")?.data ?? [])], [3, -2]);
    assert.deepEqual([...(results.get("unused")?.data ?? [])], [0, 0]);
  });
});

for (const engine of [ortEngine({ through: "c-api" }), ortEngine({ through: "binding" }), referenceEngine()]) {
  describe(`${engine.name} as an engine`, () => {
    const compileSum = (engine: Engine) => {
      const graph = new Graph();
      const [a, b] = [graph.input("a", "float32", [2]), graph.input("b", "float32", [2])];
      return engine.compile(program({ sum: ops.add(a, b), product: ops.mul(a, b), copy: a }));
    };
    const inputs = { a: float32([2], [1, 2]), b: float32([2], [3, 4]) };

    test("computes only the outputs that are asked for", async () => {
      const executable = await compileSum(engine);
      assert.deepEqual(Object.keys(await executable.run(inputs, { outputs: ["product"] })), ["product"]);
      assert.deepEqual(Object.keys(await executable.run(inputs)), ["sum", "product", "copy"]);
      await assert.rejects(
        executable.run(inputs, { outputs: ["quotient"] }),
        /no output "quotient"; it has sum, product, copy/,
      );
      await executable.dispose();
    });

    test("names the input that is missing or does not fit", async () => {
      const executable = await compileSum(engine);
      await assert.rejects(executable.run({ a: inputs.a }), /input "b" is missing; expected float32\[2\]/);
      await assert.rejects(
        executable.run({ ...inputs, b: float32([1, 2], [1, 2]) }),
        /input "b" is float32\[1, 2\]; expected float32\[2\]/,
      );
      await assert.rejects(
        executable.run({ ...inputs, b: int32([2], [1, 2]) }),
        /input "b" is int32\[2\]; expected float32\[2\]/,
      );
      await executable.dispose();
    });

    test("ignores inputs it does not know and reads a subarray where it lies", async () => {
      const executable = await compileSum(engine);
      const a = float32([2], Float32Array.of(9, 1, 2, 9).subarray(1, 3));
      const { sum, copy } = await executable.run({ ...inputs, a, other: float32([1], [0]) });
      assert.deepEqual([...(sum?.data ?? [])], [4, 6]);
      assert.deepEqual([...(copy?.data ?? [])], [1, 2]);
      assert.notEqual(copy?.data.buffer, a.data.buffer);
      await executable.dispose();
    });

    test("takes any names, and an input and an output of one name", async () => {
      const graph = new Graph();
      const x = graph.input("größe/Δ 1", "float32", [2]);
      const executable = await engine.compile(
        program({ "größe/Δ 1": ops.neg(x), "%0": ops.exp(ops.neg(x)), "": ops.neg(x) }),
      );
      const results = await executable.run({ "größe/Δ 1": float32([2], [0, 1]) });
      assert.deepEqual([...(results["größe/Δ 1"]?.data ?? [])], [-0, -1]);
      assert.deepEqual(Object.keys(results), ["größe/Δ 1", "%0", ""]);
      assert.deepEqual(results[""]?.data, results["größe/Δ 1"]?.data);
      await executable.dispose();
    });

    test("gives a scalar, an int32 and a bool result their shapes and types", async () => {
      const graph = new Graph();
      const x = graph.input("x", "float32", [2, 2]);
      const executable = await engine.compile(
        program({ sum: ops.reduceSum(x), best: ops.argMax(x), positive: ops.greater(x, 0) }),
      );
      const { sum, best, positive } = await executable.run({ x: float32([2, 2], [1, -2, 3, 4]) });
      assert.deepEqual([sum?.shape, sum?.data], [[], Float32Array.of(6)]);
      assert.deepEqual([best?.dtype, best?.shape, best?.data], ["int32", [2], Int32Array.of(0, 1)]);
      assert.deepEqual([positive?.dtype, positive?.data], ["bool", Uint8Array.of(1, 0, 1, 1)]);
      await executable.dispose();
    });

    test("takes an axis of no elements", async () => {
      const graph = new Graph();
      const [past, fresh] = [graph.input("past", "float32", [2, 0, 3]), graph.input("fresh", "float32", [2, 1, 3])];
      const executable = await engine.compile(
        program({ all: ops.concat([past, fresh], 1), nothing: ops.mul(past, 2) }),
      );
      const { all, nothing } = await executable.run({
        past: float32([2, 0, 3], []),
        fresh: float32([2, 1, 3], [1, 2, 3, 4, 5, 6]),
      });
      assert.deepEqual(all?.data, Float32Array.of(1, 2, 3, 4, 5, 6));
      assert.deepEqual([nothing?.shape, nothing?.data.length], [[2, 0, 3], 0]);
      await executable.dispose();
    });

    test("does not start once aborted", async () => {
      const executable = await compileSum(engine);
      await assert.rejects(executable.run(inputs, { signal: AbortSignal.abort(new Error("stop")) }), /stop/);
      const controller = new AbortController();
      const running = executable.run(inputs, { signal: controller.signal });
      controller.abort(new Error("late"));
      await assert.rejects(running, /late/);
      await executable.dispose();
    });

    test("can be disposed twice but not run afterwards", async () => {
      const executable = await compileSum(engine);
      await executable.dispose();
      await executable.dispose();
      await assert.rejects(executable.run(inputs), /disposed/);
    });
  });
}

function differentiated<V extends { dtype: string }>(
  names: readonly string[] | undefined,
  values: Record<string, V>,
): [string, V][] {
  return Object.entries(values).filter(([name, value]) => (names ? names.includes(name) : value.dtype === "float32"));
}

/** A scalar that depends on every element of y differently. */
function weightedSum(y: ReturnType<typeof buildCase>["y"]) {
  if (y.dtype !== "float32") return ops.reduceSum(ops.cast(y, "float32"));
  return ops.reduceSum(ops.mul(y, y.graph.constant(wave(y.shape, 3, sizeOf(y.shape) > 0 ? 1 : 0))));
}

const everyOp: Record<OpName, true> = {
  Input: true,
  Constant: true,
  Add: true,
  Sub: true,
  Mul: true,
  Div: true,
  Pow: true,
  Min: true,
  Max: true,
  Equal: true,
  Less: true,
  Greater: true,
  And: true,
  Or: true,
  Not: true,
  Where: true,
  Neg: true,
  Abs: true,
  Sign: true,
  Exp: true,
  Log: true,
  Sqrt: true,
  Reciprocal: true,
  Tanh: true,
  Sigmoid: true,
  Softplus: true,
  Erf: true,
  Relu: true,
  Sin: true,
  Cos: true,
  Gelu: true,
  Silu: true,
  ReduceSumSquare: true,
  StopGradient: true,
  Clip: true,
  Cast: true,
  FusedMatMul: true,
  Softmax: true,
  LogSoftmax: true,
  LayerNormalization: true,
  RMSNormalization: true,
  RotaryEmbedding: true,
  ReduceSum: true,
  ReduceMean: true,
  ReduceMax: true,
  CumSum: true,
  ArgMax: true,
  TopK: true,
  Reshape: true,
  Expand: true,
  Transpose: true,
  Concat: true,
  Slice: true,
  Pad: true,
  Gather: true,
  GatherElements: true,
  ScatterElements: true,
  Trilu: true,
};
