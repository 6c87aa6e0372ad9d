import { ortEngine } from "../../src/engine/ort.js";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import * as ops from "../../src/graph/ops.js";
import { program } from "../../src/graph/program.js";
import type { Value } from "../../src/graph/value.js";
import { adamStep } from "../../src/optim/adamKernel.js";
import { llamaInputs, llamaShaped, type Sizes, smollm2Sizes, tinySizes } from "./llamaShaped.js";
import type { Row } from "./step.js";

/** The engine by itself: one forward and backward pass of Llama-shaped models with made-up weights, and Adam's loop. */
export async function engineRows(): Promise<Row[]> {
  return [
    ...(await passRows("1.6 M parameters, 32 x 36 tokens", tinySizes, 10)),
    ...(await passRows("134.5 M parameters, 8 x 52 tokens", smollm2Sizes, 3)),
    adamRow(),
  ];
}

async function passRows(name: string, sizes: Sizes, runs: number): Promise<Row[]> {
  const graph = new Graph();
  const started = performance.now();
  const { rows, table, targets, weights } = llamaShaped(graph, sizes);
  const logprobs = ops.gatherElements(ops.logSoftmax(ops.fusedMatMul(rows, table, { transB: true })), targets);
  const loss = ops.neg(ops.reduceMean(logprobs));
  const outputs: Record<string, Value> = { loss };
  for (const [i, value] of gradient(loss, weights).entries()) outputs[`d${i}`] = value;
  const executable = await ortEngine().compile(program(outputs));
  const compiled = performance.now() - started;
  const inputs = llamaInputs(weights, sizes);
  const arrays = new Map<string, Float32Array>();
  const allocate = (length: number, output: string): Float32Array => {
    const array = arrays.get(output) ?? new Float32Array(length);
    arrays.set(output, array);
    return array;
  };
  const seconds: number[] = [];
  for (let i = 0; i <= runs; i++) {
    const begun = performance.now();
    await executable.run(inputs, { allocate });
    seconds.push((performance.now() - begun) / 1000);
  }
  await executable.dispose();
  return [
    { what: `${name}: build and compile`, unit: "s", ours: compiled / 1000 },
    { what: `${name}: forward and backward`, unit: "s", ours: Math.min(...seconds.slice(1)) },
    { what: `${name}: peak memory of the process so far`, unit: "MB", ours: process.resourceUsage().maxRSS / 1000 },
  ];
}

function adamRow(): Row {
  const length = 8_000_000;
  const array = () => new Float32Array(length).fill(0.01);
  const step = {
    ...{ param: array(), gradient: array(), m: array(), v: array(), outParam: array(), outM: array(), outV: array() },
    ...{ gradientScale: 1, l2: 0, shrink: 1, beta1: 0.9, beta2: 0.999, stepSize: 1e-5, inverseSqrtCorrection2: 1 },
    epsilon: 1e-8,
  };
  const rates: number[] = [];
  for (let i = 0; i < 5; i++) {
    const begun = performance.now();
    adamStep(step);
    rates.push(length / 1000 / (performance.now() - begun));
  }
  return { what: "Adam", unit: "M parameters/s", ours: Math.max(...rates) };
}
