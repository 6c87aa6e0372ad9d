import type { Graph } from "../../src/graph/graph.js";
import * as ops from "../../src/graph/ops.js";
import type { Value } from "../../src/graph/value.js";
import { int32, sizeOf, type Tensor, tensor } from "../../src/tensor.js";

/** Sizes of a Llama-shaped model and batch. */
export interface Sizes {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly feedForward: number;
  readonly vocabulary: number;
  readonly batch: number;
  readonly promptLength: number;
  readonly responseLength: number;
}

export const smollm2Sizes: Sizes = {
  layers: 30,
  hidden: 576,
  heads: 9,
  kvHeads: 3,
  feedForward: 1536,
  vocabulary: 49152,
  batch: 8,
  promptLength: 20,
  responseLength: 32,
};

export const tinySizes: Sizes = {
  layers: 4,
  hidden: 160,
  heads: 5,
  kvHeads: 5,
  feedForward: 448,
  vocabulary: 2048,
  batch: 32,
  promptLength: 12,
  responseLength: 24,
};

/** Hidden states of the response positions `[B * responseLength, hidden]` of a Llama-shaped model with a tied head. */
export function llamaShaped(
  graph: Graph,
  sizes: Sizes,
): { rows: Value; table: Value; targets: Value; weights: Value[] } {
  const { layers, hidden, heads, kvHeads, feedForward, vocabulary, batch, promptLength, responseLength } = sizes;
  const length = promptLength + responseLength;
  const size = hidden / heads;
  const weights: Value[] = [];
  const weight = (name: string, ...shape: number[]): Value => {
    const value = graph.input(name, "float32", shape);
    weights.push(value);
    return value;
  };
  const linear = (x: Value, w: Value) => ops.fusedMatMul(x, w, { transB: true });
  const table = weight("embed", vocabulary, hidden);
  const ids = graph.input("ids", "int32", [batch, length]);
  const cos = graph.input("cos", "float32", [batch, length, size / 2]);
  const sin = graph.input("sin", "float32", [batch, length, size / 2]);
  const mask = graph.input("mask", "float32", [1, 1, length, length]);
  let x = ops.reshape(ops.gather(table, ids), [-1, hidden]);
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string) => `${layer}.${part}`;
    const normal = ops.rmsNormalization(x, weight(name("norm1"), hidden), 1e-5);
    const headsOf = (y: Value, count: number) =>
      ops.transpose(ops.reshape(y, [batch, length, count, size]), [0, 2, 1, 3]);
    const q = ops.rotaryEmbedding(headsOf(linear(normal, weight(name("q"), hidden, hidden)), heads), cos, sin);
    const k = ops.rotaryEmbedding(
      headsOf(linear(normal, weight(name("k"), kvHeads * size, hidden)), kvHeads),
      cos,
      sin,
    );
    const v = headsOf(linear(normal, weight(name("v"), kvHeads * size, hidden)), kvHeads);
    const groups = heads / kvHeads;
    const grouped = ops.reshape(q, [batch, kvHeads, groups * length, size]);
    const scores = ops.reshape(ops.fusedMatMul(grouped, k, { transB: true, alpha: size ** -0.5 }), [
      batch,
      kvHeads * groups,
      length,
      length,
    ]);
    const attention = ops.reshape(ops.softmax(ops.add(scores, mask)), [batch, kvHeads, groups * length, length]);
    const mixed = ops.reshape(ops.matMul(attention, v), [batch, heads, length, size]);
    const joined = ops.reshape(ops.transpose(mixed, [0, 2, 1, 3]), [-1, hidden]);
    x = ops.add(x, linear(joined, weight(name("o"), hidden, hidden)));
    const normal2 = ops.rmsNormalization(x, weight(name("norm2"), hidden), 1e-5);
    const gate = ops.silu(linear(normal2, weight(name("gate"), feedForward, hidden)));
    const up = linear(normal2, weight(name("up"), feedForward, hidden));
    x = ops.add(x, linear(ops.mul(gate, up), weight(name("down"), hidden, feedForward)));
  }
  const final = ops.rmsNormalization(x, weight("norm", hidden), 1e-5);
  const rows = ops.slice(ops.reshape(final, [batch, length, hidden]), 1, promptLength - 1, length - 1);
  const targets = graph.input("targets", "int32", [batch * responseLength, 1]);
  return { rows: ops.reshape(rows, [-1, hidden]), table, targets, weights };
}

/** Made-up weights and data for {@link llamaShaped}. */
export function llamaInputs(weights: readonly Value[], sizes: Sizes): Record<string, Tensor> {
  const { heads, hidden, vocabulary, batch, promptLength, responseLength } = sizes;
  const length = promptLength + responseLength;
  const half = hidden / heads / 2;
  const inputs: Record<string, Tensor> = {};
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
  const fill = (shape: readonly number[], f: (i: number) => number) =>
    tensor(
      "float32",
      shape,
      new Float32Array(sizeOf(shape)).map((_, i) => f(i)),
    );
  for (const { node, shape } of weights) {
    if (node.op !== "Input") continue;
    inputs[node.attributes.name] = fill(shape, shape.length === 1 ? () => 1 : () => random() * 0.05);
  }
  const id = () => Math.abs(Math.floor(random() * vocabulary)) % vocabulary;
  const ids = Int32Array.from({ length: batch * length }, id);
  inputs.ids = int32([batch, length], ids);
  inputs.targets = int32([batch * responseLength, 1], Int32Array.from({ length: batch * responseLength }, id));
  const angle = (i: number) => (Math.floor(i / half) % length) * 10000 ** (-(i % half) / half);
  inputs.cos = fill([batch, length, half], (i) => Math.cos(angle(i)));
  inputs.sin = fill([batch, length, half], (i) => Math.sin(angle(i)));
  inputs.mask = fill([1, 1, length, length], (i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
  return inputs;
}
