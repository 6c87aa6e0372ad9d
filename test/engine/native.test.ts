import assert from "node:assert/strict";
import { test } from "node:test";
import { ortEngine } from "../../src/engine/ort.js";
import { ortLibrary } from "../../src/engine/ortLibrary.js";
import { referenceEngine } from "../../src/engine/reference.js";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import * as ops from "../../src/graph/ops.js";
import { type Program, program } from "../../src/graph/program.js";
import { float32 } from "../../src/tensor.js";
import { llamaInputs, llamaShaped, tinySizes } from "../bench/llamaShaped.js";

/** Multiplies a matrix by itself often enough to take a while. */
function longProgram(): Program {
  const graph = new Graph();
  let x = graph.input("x", "float32", [256, 256]);
  for (let i = 0; i < 1500; i++) x = ops.tanh(ops.matMul(x, x));
  return program({ x });
}
const matrix = float32([256, 256], new Float32Array(256 * 256).fill(0.01));

test("the package's library is the one these function positions were checked with", () => {
  const library = ortLibrary();
  if (library instanceof Error) throw library;
  assert.equal(library.version, "1.30.0");
});

test("the event loop goes on during a run, and an abort ends it", async () => {
  const executable = await ortEngine({ through: "c-api" }).compile(longProgram());
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const started = performance.now();
  await executable.run({ x: matrix });
  const whole = performance.now() - started;
  assert.ok(ticks > 3, `${ticks} ticks in ${whole} ms`);

  const controller = new AbortController();
  const begun = performance.now();
  const running = executable.run({ x: matrix }, { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("interrupted")), 5);
  await assert.rejects(running, /interrupted/);
  assert.ok(performance.now() - begun < whole, "the run was not cut short");

  const { x } = await executable.run({ x: matrix });
  assert.ok(Number.isFinite(x?.data[0]), "it can run again");
  clearInterval(timer);
  await executable.dispose();
});

test("the number of threads can be set from outside, to a sensible number", () => {
  process.env.POLICYSCOPE_THREADS = "many";
  assert.throws(() => ortEngine(), /POLICYSCOPE_THREADS is "many"; expected a whole number/);
  process.env.POLICYSCOPE_THREADS = "1";
  ortEngine();
  delete process.env.POLICYSCOPE_THREADS;
});

test("runs that are started together take turns, and disposal waits for them", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [4]);
  const executable = await ortEngine({ through: "c-api" }).compile(program({ y: ops.mul(x, 2) }));
  const runs = [1, 2, 3].map((value) => executable.run({ x: float32([4], new Float32Array(4).fill(value)) }));
  const disposed = executable.dispose();
  assert.deepEqual(
    (await Promise.all(runs)).map(({ y }) => y?.data[3]),
    [2, 4, 6],
  );
  await disposed;
});

test("outputs are written into the arrays that the caller provides", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [4]);
  const executable = await ortEngine({ through: "c-api" }).compile(program({ y: ops.mul(x, 2), z: ops.neg(x) }));
  const own = new Float32Array(4);
  const asked: string[] = [];
  const allocate = (length: number, name: string) => {
    asked.push(`${name} ${length}`);
    return name === "y" ? own : new Float32Array(length);
  };
  const { y } = await executable.run({ x: float32([4], [1, 2, 3, 4]) }, { allocate });
  assert.equal(y?.data, own);
  assert.deepEqual([...own], [2, 4, 6, 8]);
  assert.deepEqual(asked, ["y 4", "z 4"]);
  await executable.dispose();
});

test("a whole Llama-shaped model gives the reference's loss and gradients", async () => {
  const sizes = {
    ...tinySizes,
    layers: 2,
    hidden: 24,
    heads: 3,
    kvHeads: 1,
    feedForward: 20,
    vocabulary: 11,
    batch: 2,
    promptLength: 3,
    responseLength: 2,
  };
  const graph = new Graph();
  const { rows, table, targets, weights } = llamaShaped(graph, sizes);
  const logprobs = ops.gatherElements(ops.logSoftmax(ops.fusedMatMul(rows, table, { transB: true })), targets);
  const loss = ops.neg(ops.reduceMean(logprobs));
  const outputs = Object.fromEntries(gradient(loss, weights).map((value, i) => [`d${i}`, value]));
  const compiled = program({ loss, ...outputs });
  const inputs = llamaInputs(weights, sizes);
  const [native, reference] = await Promise.all(
    [ortEngine(), referenceEngine()].map(async (engine) => (await engine.compile(compiled)).run(inputs)),
  );
  assert.ok(native && reference);
  for (const [name, { data }] of Object.entries(reference)) {
    const largest = Math.max(1e-30, ...[...data].map(Math.abs));
    for (const [i, expected] of data.entries()) {
      assert.ok(Math.abs(Number(native[name]?.data[i]) - expected) <= 2e-5 * largest, `${name}[${i}]`);
    }
  }
});
