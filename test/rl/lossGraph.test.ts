import { test } from "node:test";
import { referenceEngine } from "../../src/engine/reference.js";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import { program } from "../../src/graph/program.js";
import { stream } from "../../src/random.js";
import { ppoLosses } from "../../src/rl/losses.js";
import { ppoLossGraph } from "../../src/rl/lossGraph.js";
import { float32 } from "../../src/tensor.js";
import { closeTo, closeToNumber } from "../helpers/golden.js";

const options = { cliprange: 0.2, cliprangeValue: 0.3, vfCoef: 0.7 };

async function lossAndGradients(batch: Record<string, readonly number[]>, size: number) {
  const graph = new Graph();
  const vector = (name: string) => graph.input(name, "float32", [size]);
  const scalar = (name: string) => graph.input(name, "float32", []);
  const newLogprobs = vector("newLogprobs");
  const newValues = vector("newValues");
  const loss = ppoLossGraph({
    mask: vector("mask"),
    advantages: vector("advantages"),
    returns: vector("returns"),
    logprobs: vector("logprobs"),
    values: vector("values"),
    newLogprobs,
    newValues,
    cliprange: scalar("cliprange"),
    cliprangeValue: scalar("cliprangeValue"),
    vfCoef: scalar("vfCoef"),
  });
  const [dLogprobs, dValues] = gradient(loss, [newLogprobs, newValues]);
  if (dLogprobs === undefined || dValues === undefined) throw new Error("two gradients");
  const executable = await referenceEngine().compile(program({ loss, dLogprobs, dValues }));
  const inputs = Object.fromEntries([
    ...Object.entries(batch).map(([name, data]) => [name, float32([size], data)]),
    ...Object.entries(options).map(([name, value]) => [name, float32([], [value])]),
  ]);
  const out = await executable.run(inputs);
  return {
    loss: Number(out.loss?.data[0]),
    dLogprobs: [...(out.dLogprobs?.data ?? [])].map(Number),
    dValues: [...(out.dValues?.data ?? [])].map(Number),
  };
}

const random = stream(3, "loss");
const size = 40;
const draw = (scale: number): number[] => Array.from({ length: size }, () => random.normal() * scale);
const logprobs = draw(1);
const values = draw(1);
const batch = {
  mask: Array.from({ length: size }, (): number => (random.uniform() < 0.7 ? 1 : 0)),
  advantages: draw(1),
  returns: draw(1),
  logprobs,
  values,
  newLogprobs: logprobs.map((x) => x + random.normal() * 0.3),
  newValues: values.map((x) => x + random.normal() * 0.5),
};

test("the graph's loss is the plain loss, and its gradient that of finite differences", async () => {
  const { loss, dLogprobs, dValues } = await lossAndGradients(batch, size);
  closeToNumber(loss, ppoLosses(batch, options).totalLoss, { abs: 1e-5 }, "loss");
  const slope = (name: "newLogprobs" | "newValues", i: number): number => {
    const at = (step: number) =>
      ppoLosses({ ...batch, [name]: batch[name].map((x, j) => (j === i ? x + step : x)) }, options).totalLoss;
    return (at(1e-5) - at(-1e-5)) / 2e-5;
  };
  const numbers = Array.from({ length: size }, (_, i) => i);
  closeTo(
    dLogprobs,
    numbers.map((i) => slope("newLogprobs", i)),
    { abs: 1e-5 },
    "by log-probs",
  );
  closeTo(
    dValues,
    numbers.map((i) => slope("newValues", i)),
    { abs: 1e-5 },
    "by values",
  );
});

test("before the first step, where every choice is a tie, the gradient is the unclipped one", async () => {
  const first = { ...batch, newLogprobs: logprobs, newValues: values };
  const { dLogprobs, dValues } = await lossAndGradients(first, size);
  const count = batch.mask.reduce((a, b) => a + b);
  const at = (x: readonly number[], i: number) => x[i] ?? Number.NaN;
  closeTo(
    dLogprobs,
    batch.mask.map((m, i) => (-at(batch.advantages, i) * m) / count),
    { abs: 1e-6 },
    "by log-probs",
  );
  const byValues = batch.mask.map((m, i) => (options.vfCoef * (at(values, i) - at(batch.returns, i)) * m) / count);
  closeTo(dValues, byValues, { abs: 1e-6 }, "by values");
});
